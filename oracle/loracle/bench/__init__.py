"""`loracle bench`: the six adapter gradients of `lora-attention`, method against method.

Time, peak memory and true error of each, side by side in one run, with the almost-linear kernel's
certificates. The process that runs the command plans, compares and shows; every measurement has a
fresh process of its own (`child`), and only those import torch.
"""
