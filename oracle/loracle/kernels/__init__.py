"""torch kernels for the contracts, any device and dtype.

`exact` is the closed form with the L x M matrices in memory, `mha` that of `lora-mha`; `streaming`
computes the same numbers block by block in O((L + M) d) memory; `almost_linear` approximates them
within a certified error, in time that is almost linear in L + M. All are judged by the oracle like
anybody else's.
"""
