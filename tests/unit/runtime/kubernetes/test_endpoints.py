"""Which pods of a Service are taken for its addresses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from fakes.endpoints import an_endpoint, an_endpoint_slice
from steersman.runtime.kubernetes.endpoints import ready_hosts


def hosts(*slices: dict[str, Any]) -> list[str]:
    return ready_hosts(slices, "weak")


def test_the_pods_of_all_slices_of_the_service_are_found_and_no_others() -> None:
    found = hosts(
        an_endpoint_slice("weak", an_endpoint("10.0.0.2")),
        an_endpoint_slice("weak", an_endpoint("10.0.0.1")),
        an_endpoint_slice("strong", an_endpoint("10.0.0.3")),
    )
    assert found == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        pytest.param({"ready": True}, ["10.0.0.1"], id="ready"),
        pytest.param({}, ["10.0.0.1"], id="unknown, which means ready"),
        pytest.param({"ready": None}, ["10.0.0.1"], id="unknown too"),
        pytest.param({"ready": False}, [], id="not ready"),
        pytest.param({"ready": False, "serving": True, "terminating": True}, [], id="ending"),
    ],
)
def test_only_ready_pods_count(conditions: dict[str, bool | None], found: list[str]) -> None:
    assert hosts(an_endpoint_slice("weak", an_endpoint("10.0.0.1", **conditions))) == found


def test_a_service_without_pods_has_no_addresses() -> None:
    assert hosts({**an_endpoint_slice("weak"), "endpoints": None}) == []
    assert hosts() == []


def test_a_pod_of_two_families_is_one_address() -> None:
    found = hosts(
        an_endpoint_slice("weak", an_endpoint("fd00::1"), family="IPv6"),
        an_endpoint_slice("weak", an_endpoint("10.0.0.1")),
    )
    assert found == ["10.0.0.1"]


def test_a_service_of_version_six_alone_is_found_too() -> None:
    assert hosts(an_endpoint_slice("weak", an_endpoint("fd00::1"), family="IPv6")) == ["fd00::1"]


def test_names_instead_of_addresses_are_left_out() -> None:
    assert hosts(an_endpoint_slice("weak", an_endpoint("weak.example"), family="FQDN")) == []


def test_a_pod_that_moves_between_slices_and_is_in_both_is_one_address() -> None:
    assert hosts(*[an_endpoint_slice("weak", an_endpoint("10.0.0.1"))] * 2) == ["10.0.0.1"]


@given(st.permutations([f"10.0.0.{number}" for number in range(6)]), st.integers(min_value=0, max_value=6))
def test_how_pods_are_spread_over_slices_makes_no_difference(order: list[str], cut: int) -> None:
    found = hosts(
        an_endpoint_slice("weak", *map(an_endpoint, order[:cut])),
        an_endpoint_slice("weak", *map(an_endpoint, order[cut:])),
    )
    assert found == sorted(order)
