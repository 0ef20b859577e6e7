from __future__ import annotations

import pytest

from fakes.catalogue import a_resource
from steersman.router.catalogue import CatalogueError, parse_resource

RESOURCE = a_resource("careful", generation=2)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        pytest.param({}, "tiers: Field required", id="nothing"),
        pytest.param({"tiers": ["a", "b"]}, "give either threshold or boundaries", id="no threshold"),
        pytest.param({"tiers": ["a"], "tier_fallback": True}, "tier_fallback", id="a name as in the file"),
        pytest.param({"tiers": ["a"], "budget": 3}, "budget", id="a field of a later version"),
        pytest.param({"tiers": "a"}, "tiers", id="another type"),
        pytest.param({"tiers": ["a"], "fallback": 3}, "fallback", id="no choice"),
        pytest.param(
            {"tiers": ["a"], "outOfDomain": {"rule": "Coin"}}, "outOfDomain.rule", id="another rule"
        ),
        pytest.param({"tiers": ["a"], "outOfDomain": {"rule": 3}}, "outOfDomain.rule", id="no rule"),
        pytest.param({"tiers": ["a"], "whenCold": "Never"}, "whenCold", id="another choice"),
    ],
)
def test_a_resource_that_is_not_valid_is_refused_with_its_fault(spec: dict[str, object], fault: str) -> None:
    with pytest.raises(CatalogueError, match=fault):
        parse_resource(RESOURCE, spec)


def test_a_resource_that_is_nested_deeply_is_refused() -> None:
    spec: dict[str, object] = {}
    for _ in range(2_000):
        spec = {"sticky": spec}
    with pytest.raises(CatalogueError, match="nested too deeply"):
        parse_resource(RESOURCE, spec)
