from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from fakes.catalogue import a_tier
from steersman.router.accounting import Record
from steersman.router.model import Assessment, Capabilities, Needs, Price, Stages, Usage

anything = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("assessment", "valid"),
    [
        (Assessment(0.0, 0.0, 0.0, truncated=False), True),
        (Assessment(1.0, 1.0, 1.0, truncated=True), True),
        (Assessment(0.5, math.nan, 0.5, truncated=False), True),
        (Assessment(math.nan, 0.5, 0.5, truncated=False), False),
        (Assessment(0.5, 0.5, math.nan, truncated=False), False),
        (Assessment(-0.001, 0.5, 0.5, truncated=False), False),
        (Assessment(0.5, 1.001, 0.5, truncated=False), False),
        (Assessment(0.5, 0.5, math.inf, truncated=False), False),
    ],
)
def test_an_assessment_is_valid_within_its_ranges(assessment: Assessment, *, valid: bool) -> None:
    assert assessment.valid is valid


@given(anything, anything, anything)
def test_no_number_is_too_strange_to_be_checked(score: float, win: float, novelty: float) -> None:
    assert isinstance(Assessment(score, win, novelty, truncated=False).valid, bool)


def test_a_tier_that_can_do_all_misses_nothing() -> None:
    can = Capabilities(1000, images=True, tools=True, json_schema=True)
    assert can.missing(Needs(1000, images=True, tools=True, json_schema=True)) is None


def test_one_token_too_many_does_not_fit() -> None:
    can = Capabilities(1000, images=False, tools=False, json_schema=False)
    assert can.missing(Needs(1000)) is None
    assert can.missing(Needs(1001)) is not None


def test_a_price_is_for_a_million_tokens() -> None:
    assert Price(2.0, 8.0).usd(500_000, 250_000) == pytest.approx(3.0)


def test_what_steersman_adds_is_the_sum_of_its_stages() -> None:
    assert Stages(1.0, 2.0, 3.0, 4.0, 5.0).total == 15.0


def test_charging_a_record_prices_it() -> None:
    record = Record()
    record.charge(Usage(10, 20, 5), a_tier("weak", price=1.0), a_tier("strong", price=10.0))
    assert record.usage == Usage(10, 20, 5)
    assert record.usd == pytest.approx(50e-6)
    assert record.strongest_usd == pytest.approx(500e-6)
    assert record.joules == pytest.approx(20.0)
