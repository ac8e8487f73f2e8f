"""The corpus: wrong kernels that the oracle must catch and right ones that it must let pass.

`catalogue` says what there is without importing torch; `wrong` and `right` hold the kernels.
"""
