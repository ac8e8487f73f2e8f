"""Kernels with one defect each, by contract."""
