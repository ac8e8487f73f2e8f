"""Kernels that keep their contract in their own way, by contract."""
