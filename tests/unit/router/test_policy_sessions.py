"""How a conversation keeps its tier, as a pure rule."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from fakes.catalogue import a_policy, a_tier
from fakes.classifier import assessment
from steersman.router import policy as rule
from steersman.router.model import Needs, Reason, Scored, Sticky
from steersman.router.policy import Before

THREE = ("small", "medium", "large")
BOUNDARIES = (0.5, 0.8)
UPWARD, BOTH = Sticky(0.05), Sticky(0.05, downward=True)


def chosen(
    score: float | None, before: str | None, sticky: Sticky | None = UPWARD, *, same_turn: bool = False
) -> rule.Choice:
    policy = a_policy(tiers=THREE, boundaries=BOUNDARIES, sticky=sticky)
    scored = Scored(failure=Reason.CLASSIFIER_TIMEOUT) if score is None else Scored(assessment(score))
    return rule.choose(
        policy,
        boundaries=policy.boundaries,
        scored=scored,
        stand_in=lambda: 0.99,
        tiers={name: a_tier(name) for name in THREE},
        needs=Needs(1, images=False, tools=False, json_schema=False),
        before=None if before is None else Before(before, same_turn),
    )


@pytest.mark.parametrize(
    ("score", "before", "sticky", "tier"),
    [
        pytest.param(0.54, "small", UPWARD, "small", id="a little over the boundary: stays"),
        pytest.param(0.55, "small", UPWARD, "medium", id="well over it: moves up"),
        pytest.param(0.99, "small", UPWARD, "large", id="far over all: moves over both"),
        pytest.param(
            0.82, "small", UPWARD, "medium", id="well over one, a little over the other: moves over one"
        ),
        pytest.param(0.01, "large", UPWARD, "large", id="never down"),
        pytest.param(0.46, "medium", BOTH, "medium", id="a little under the boundary: stays"),
        pytest.param(0.44, "medium", BOTH, "small", id="well under it: moves down"),
        pytest.param(0.01, "large", BOTH, "small", id="far under all: moves down over both"),
        pytest.param(0.82, "medium", BOTH, "medium", id="a little over the boundary, either way: stays"),
    ],
)
def test_a_conversation_moves_over_a_boundary_only_when_it_is_well_beyond_it(
    score: float, before: str, sticky: Sticky, tier: str
) -> None:
    assert chosen(score, before, sticky)[0] == tier


def test_the_reason_says_when_the_conversation_has_decided() -> None:
    assert chosen(0.54, "small") == ("small", Reason.SESSION)
    assert chosen(0.6, "small") == ("medium", Reason.SCORE)
    assert chosen(0.6, "medium") == ("medium", Reason.SCORE)


def test_a_tools_result_keeps_the_tier_of_the_turn_that_it_serves() -> None:
    assert chosen(0.99, "small", same_turn=True) == ("small", Reason.SESSION)
    assert chosen(0.01, "large", BOTH, same_turn=True) == ("large", Reason.SESSION)


def test_while_the_classifier_is_away_a_conversation_stays_where_it_is() -> None:
    assert chosen(None, None) == ("large", Reason.CLASSIFIER_TIMEOUT)
    assert chosen(None, "small") == ("small", Reason.SESSION)


def test_a_tier_that_the_policy_does_not_have_any_more_binds_nobody() -> None:
    assert chosen(0.54, "gone") == ("medium", Reason.SCORE)


def test_where_a_policy_heeds_no_conversation_each_turn_is_decided_by_itself() -> None:
    assert chosen(0.54, "small", None) == ("medium", Reason.SCORE)


@given(st.floats(0, 1), st.sampled_from(THREE))
def test_with_upward_moves_only_a_conversation_never_gets_a_cheaper_tier(score: float, before: str) -> None:
    assert THREE.index(chosen(score, before)[0]) >= THREE.index(before)


@given(st.floats(0, 1), st.sampled_from(THREE))
def test_without_hysteresis_and_with_all_moves_the_score_alone_decides(score: float, before: str) -> None:
    assert chosen(score, before, Sticky(0.0, downward=True))[0] == chosen(score, None)[0]
