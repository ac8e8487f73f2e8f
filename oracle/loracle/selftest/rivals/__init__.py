"""The rules by which kernels are judged elsewhere, on the inputs of a typical unit test."""
