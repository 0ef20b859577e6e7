from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from fakes.logged import a_logged
from steersman.calibration.bootstrap import Resampling
from steersman.calibration.decisions import Logged
from steersman.calibration.replay import PER, Labels, Replay, WhatIf, replay
from steersman.router.model import Fallback, OutOfDomain, Price

FEW = Resampling(resamples=10)
PRICES = {"weak": Price(1.0, 2.0), "strong": Price(10.0, 20.0)}


def charged(decision: Logged) -> float:
    return PRICES[decision.tier].usd(decision.prompt_tokens, decision.completion_tokens)


def paid(score: float, **changes: object) -> Logged:
    """A decision at a boundary of 0.7, charged by `PRICES`."""
    return a_logged(score, **{"usd": charged(a_logged(score, **changes)), **changes})


def played(
    decisions: Sequence[Logged],
    *boundaries: float,
    tiers: tuple[str, ...] = ("weak", "strong"),
    prices: dict[str, Price] | None = None,
    labels: Labels | None = None,
    rule: OutOfDomain | None = None,
) -> Replay:
    return replay(decisions, WhatIf(tiers, boundaries, prices or PRICES, rule), labels or {}, FEW)


SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(SCORES)
def test_the_same_policy_and_prices_change_nothing(scores: list[float]) -> None:
    found = played([paid(score) for score in scores], 0.7)
    assert found.moved == 0
    for compared in (*found.shares.values(), found.usd):
        assert compared.difference.value == pytest.approx(0.0)
        assert compared.recorded.value == pytest.approx(compared.replayed.value)


@given(SCORES, st.floats(0, 1))
def test_another_boundary_gives_the_shares_of_its_scores(scores: list[float], boundary: float) -> None:
    found = played([paid(score) for score in scores], boundary)
    strong = sum(score >= boundary for score in scores) / len(scores)
    assert found.shares["strong"].replayed.value == pytest.approx(strong)
    assert sum(share.replayed.value for share in found.shares.values()) == pytest.approx(1.0)


@given(SCORES)
def test_a_higher_boundary_never_costs_more(scores: list[float]) -> None:
    found = played([paid(score) for score in scores], 0.9)
    assert found.usd.replayed.value <= found.usd.recorded.value + 1e-12


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param(
            {"score": math.nan, "wanted_for": "OVERRIDE"}, "no score", id="the caller named the tier"
        ),
        pytest.param({"wanted_for": "A_LATER_ONE"}, "A_LATER_ONE", id="a reason of later versions"),
        pytest.param({"wanted_for": "CAPABILITY"}, "CAPABILITY", id="one tier alone could"),
        pytest.param({"own_boundaries": True}, "the caller's own threshold", id="the caller's threshold"),
        pytest.param({"score": math.nan, "wanted_for": "CLASSIFIER_TIMEOUT"}, "no score", id="no classifier"),
    ],
)
def test_what_no_boundary_decided_stays_and_is_counted(changes: dict[str, object], why: str) -> None:
    found = played([a_logged(0.9, **changes), a_logged(0.9)], 0.95)
    assert found.kept == {why: 1}
    assert found.moved == 1


def novel(score: float, *, tier: str, rule: str = "proportional") -> Logged:
    """A decision out of domain."""
    return a_logged(
        score, novelty=1.0, tier=tier, wanted_tier=tier, wanted_for="OUT_OF_DOMAIN", out_of_domain=rule
    )


@pytest.mark.parametrize("rule", Fallback)
def test_the_same_rule_for_queries_out_of_domain_changes_nothing(rule: Fallback) -> None:
    tiers = {Fallback.WEAK: "weak", Fallback.STRONG: "strong"}
    decisions = [
        novel(n / 40, tier=tiers.get(rule, "strong" if n % 3 else "weak"), rule=rule.value) for n in range(40)
    ]
    found = played(decisions, 0.7, rule=OutOfDomain(rule=rule))
    assert (found.moved, found.out_of_domain, found.kept) == (0, 40, {})


def test_a_rule_that_is_new_takes_queries_out_of_domain_from_their_scores() -> None:
    decisions = [a_logged(0.9, novelty=0.95) for _ in range(10)] + [a_logged(0.9)]
    found = played(decisions, 0.7, rule=OutOfDomain(0.9, Fallback.WEAK))
    assert (found.moved, found.out_of_domain) == (10, 10)


def test_a_new_proportional_rule_draws_a_tier_in_the_planned_shares() -> None:
    decisions = [a_logged(0.9, novelty=0.95) for _ in range(600)]
    found = played(decisions, 0.7, rule=OutOfDomain(0.9))
    assert found.shares["strong"].replayed.value == pytest.approx(0.3, abs=0.08)
    assert played(decisions, 0.7, rule=OutOfDomain(0.9)) == found


def test_without_a_rule_queries_out_of_domain_go_by_their_scores() -> None:
    found = played([novel(0.9, tier="weak"), novel(0.1, tier="weak")], 0.7, rule=None)
    assert (found.moved, found.out_of_domain) == (1, 0)


def test_another_boundary_moves_the_part_of_a_proportional_rule_that_lies_between() -> None:
    decisions = [novel(0.1, tier="strong") for _ in range(300)] + [
        novel(0.9, tier="weak") for _ in range(700)
    ]
    found = played(decisions, 0.85, rule=OutOfDomain())
    assert found.shares["strong"].replayed.value == pytest.approx(0.15, abs=0.04)
    assert found.moved == pytest.approx(150, abs=40), "none of those that were weak"


def test_what_happened_to_a_wanted_tier_happens_again() -> None:
    fell_back = a_logged(0.9, tier="weak")
    assert played([fell_back], 0.8).shares["weak"].replayed.value == 1.0
    assert played([fell_back], 0.95).moved == 0


@pytest.mark.parametrize(
    ("score", "wanted_for", "wanted_tier", "tier"),
    [
        pytest.param(0.1, "SESSION", "strong", "mid", id="a conversation kept its tier"),
        pytest.param(0.9, "BUDGET", "mid", "weak", id="calls were spent"),
        pytest.param(0.1, "CAPABILITY", "strong", "mid", id="one tier alone could"),
    ],
)
def test_what_no_boundary_decided_stays_where_another_tier_stood_in_for_it(
    score: float, wanted_for: str, wanted_tier: str, tier: str
) -> None:
    stood_in = a_logged(
        score, wanted_for=wanted_for, wanted_tier=wanted_tier, tier=tier, boundaries=(0.3, 0.7)
    )
    found = played([stood_in], 0.3, 0.7, tiers=("weak", "mid", "strong"))
    assert (found.moved, found.kept) == (0, {wanted_for: 1})


def test_an_answer_that_moves_is_as_long_as_the_mean_of_its_new_tier() -> None:
    decisions = [
        paid(0.9, completion_tokens=1000),
        paid(0.2, completion_tokens=10),
        paid(0.3, completion_tokens=30),
    ]
    found = played(decisions, 0.95)
    expected = [Price(1.0, 2.0).usd(100, tokens) for tokens in (20, 10, 30)]
    assert found.usd.replayed.value == pytest.approx(sum(expected) / 3 * PER)


def test_where_the_new_tier_has_answered_nothing_an_answer_keeps_its_length() -> None:
    found = played([paid(0.2, completion_tokens=10)], 0.1)
    assert found.usd.replayed.value == pytest.approx(PRICES["strong"].usd(100, 10) * PER)


def test_other_prices_cost_more_where_nothing_moves() -> None:
    dearer = {**PRICES, "strong": Price(20.0, 40.0)}
    found = played([paid(0.9)], 0.7, prices=dearer)
    assert found.usd.replayed.value == pytest.approx(2 * found.usd.recorded.value)


def test_a_decision_that_nobody_answered_has_a_share_and_no_cost() -> None:
    routed = a_logged(0.9, prompt_tokens=0, completion_tokens=0, usd=0.0)
    found = played([paid(0.2), routed], 0.7)
    assert found.answered == 1
    assert found.usd.recorded.value == pytest.approx(charged(paid(0.2)) * PER)
    assert found.shares["strong"].recorded.value == 0.5


def test_a_tier_that_the_policy_does_not_have_keeps_its_cost() -> None:
    found = played([paid(0.9), a_logged(0.5, wanted_for="OVERRIDE", tier="mid", usd=3.0)], 0.7)
    assert found.shares["mid"].replayed.value == 0.5
    assert found.usd.difference.value == pytest.approx(0.0)


def test_a_third_tier_takes_what_its_boundaries_say() -> None:
    prices = {**PRICES, "mid": Price(5.0, 5.0)}
    found = played(
        [paid(s) for s in (0.1, 0.5, 0.9)], 0.3, 0.8, tiers=("weak", "mid", "strong"), prices=prices
    )
    assert [found.shares[tier].replayed.value for tier in ("weak", "mid", "strong")] == pytest.approx(
        [1 / 3] * 3
    )


def test_a_thin_sample_counts_for_what_it_stands_for() -> None:
    found = played([paid(0.9, weight=3.0), paid(0.2)], 0.7)
    assert found.shares["strong"].recorded.value == 0.75


def test_quality_is_compared_where_both_tiers_are_known() -> None:
    moves, stays, half_known = a_logged(0.8), a_logged(0.2), a_logged(0.8)
    labels = {
        moves.id: {"strong": 0.9, "weak": 0.5},
        stays.id: {"weak": 0.7},
        half_known.id: {"strong": 1.0},
    }
    found = played([moves, stays, half_known], 0.95, labels=labels)
    assert found.labelled == 2
    assert found.quality is not None
    assert found.quality.recorded.value == pytest.approx(0.8)
    assert found.quality.replayed.value == pytest.approx(0.6)


def test_without_labels_nothing_is_said_of_quality() -> None:
    assert played([a_logged()], 0.5).quality is None


def test_the_same_seed_gives_the_same_digits() -> None:
    decisions = [a_logged(score / 20) for score in range(20)]
    assert played(decisions, 0.5) == played(decisions, 0.5)
