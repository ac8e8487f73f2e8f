"""The certificate of the almost-linear gradient is nearly attained, relative to a natural scale
that is not much too small."""

from __future__ import annotations

import pytest

from .almost_linear_problems import ATTAINED, CONTRACTS, complaints, generated, ratios


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_natural_scale_is_not_much_too_small(contract: str, seed: int) -> None:
    """Catches a lower bound of nothing: zero is one."""
    instance = generated(contract, {"L": 10, "M": 12, "d": 2, "r": 1}, seed, 0.2)
    result = instance.solve(epsilon=1e-2)
    assert result.certificate is not None
    for name, natural in instance.truth.natural.items():
        assert float(result.certificate.natural_scale[name]) >= 0.3 * natural, name


@pytest.mark.parametrize("name", ATTAINED)
def test_the_certificate_is_attained(name: str) -> None:
    """No certificate a tenth smaller would hold: this is what makes the mutants of
    test_almost_linear_rules.py fail, and says that none of the factors is there for safety."""
    case = ATTAINED[name]
    result = case.instance.solve(epsilon=case.epsilon, promise="gradient")
    assert complaints(result, case.instance.truth, case.epsilon) == []
    found = ratios(result, case.instance.truth)
    assert all(found[output] > 0.9 for output in case.outputs), found
