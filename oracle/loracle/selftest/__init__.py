"""The oracle's own test: what it misses, what it accuses wrongly, how often it names the defect.

`plan` says what is run, `outcome` what came of one run, `run` does them all, `summary` counts. The
rules that are in use elsewhere judge the same kernels in `rivals`.
"""
