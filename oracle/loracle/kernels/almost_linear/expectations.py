"""The two passes: moments of the keys' features, and what each query expects of a key.

With phi, psi the features of queries and keys and w the weights of the monomials, the approximate
probabilities are f~ = D~^-1 phi diag(w) psi^T diag(omega), and the mean of a column h over the keys
    E_j[h] = phi_j diag(w) (psi^T diag(omega) h) / (phi_j diag(w) (psi^T omega)).
No factor is wider than k, and the keys are read once for all queries.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from loracle.kernels.almost_linear.blocks import blocks
from loracle.kernels.almost_linear.features import Columns, FeatureBlock
from loracle.kernels.almost_linear.monomials import IndexSet

__all__ = ["key_moments", "query_sums"]


def key_moments(
    keys: Tensor, columns: Columns, index_set: IndexSet, *, dtype: torch.dtype, block: int
) -> Tensor:
    """sum_l psi_mu(k_l) h_l for every monomial mu and column h, (H, k, (1 + d)^2), float64.

    keys: (H, d, M). Within a block in the dtype, in any order; from block to block in float64.
    """
    heads, _, length = keys.shape
    block = min(block, length)
    features = FeatureBlock(index_set, block, dtype=dtype, like=keys)
    memory = keys.new_empty(heads, columns.count, block, dtype=dtype)
    total = keys.new_zeros(heads, index_set.rank, columns.count, dtype=torch.float64)
    for part in blocks(length, block):
        psi = features.fill(keys[..., part])
        with _own_precision(keys):
            total += psi @ columns.fill(part, memory).mT
    return total


def query_sums(
    queries: Tensor,
    moments: Tensor,
    index_set: IndexSet,
    *,
    dtype: torch.dtype,
    rows: int,
    block: int,
) -> Iterator[tuple[slice, Tensor]]:
    """`rows` queries at a time, sum_l p(<q_j, k_l>) omega_l h_l for every column h,
    (H, (1 + d)^2, rows).

    queries: (H, d, L); moments from `key_moments`; dtype: of features and results; block: queries
    whose features are in memory at once.
    """
    length = queries.shape[-1]
    rows, block = min(rows, length), min(block, length)
    weights = torch.tensor(index_set.weights, dtype=torch.float64, device=queries.device)
    weighted = (moments * weights[:, None]).mT.to(dtype).contiguous()
    features = FeatureBlock(index_set, block, dtype=dtype, like=queries)
    for part in blocks(length, rows):
        with _own_precision(queries):
            sums = _products(weighted, features, queries[..., part], block)
        yield part, sums


def _own_precision(like: Tensor) -> torch.autocast:
    """The products in the features' dtype, whatever torch.autocast is set to outside."""
    return torch.autocast(like.device.type, enabled=False)


def _products(weighted: Tensor, features: FeatureBlock, queries: Tensor, block: int) -> Tensor:
    length = queries.shape[-1]
    if length <= block:
        return weighted @ features.fill(queries)
    sums = weighted.new_empty(*weighted.shape[:2], length)
    for part in blocks(length, block):
        phi = features.fill(queries[..., part])
        for head, weights in enumerate(weighted):
            torch.mm(weights, phi[head], out=sums[head, :, part])
    return sums
