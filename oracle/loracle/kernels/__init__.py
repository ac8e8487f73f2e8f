"""torch kernels for the contracts, any device and dtype.

`exact` is the closed form with the L x M matrices in memory; `streaming` computes the same numbers
block by block in O((L + M) d) memory. Both are judged by the oracle like anybody else's.
"""
