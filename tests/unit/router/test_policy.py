from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import pytest
from hypothesis import example, given, strategies as st

from fakes.catalogue import a_policy, a_tier
from fakes.classifier import assessment
from steersman.router import policy as rule
from steersman.router.model import Fallback, Needs, OutOfDomain, Policy, Reason, Scored, Tier
from steersman.runtime.errors import InvalidRequest

NAMES = ("nano", "small", "medium", "large")

NOVEL: Final = 0.999
"""Novelty from which on a query is out of domain, unless a policy says otherwise."""

shares = st.floats(min_value=0.0, max_value=1.0)
needs = st.builds(
    Needs, st.integers(min_value=0, max_value=2000), st.booleans(), st.booleans(), st.booleans()
)


@st.composite
def policies(draw: st.DrawFn, min_tiers: int = 1) -> Policy:
    count = draw(st.integers(min_value=min_tiers, max_value=len(NAMES)))
    boundaries = sorted(draw(st.lists(shares, min_size=count - 1, max_size=count - 1)))
    fallback = draw(st.sampled_from(Fallback))
    return a_policy(tiers=NAMES[:count], boundaries=boundaries, fallback=fallback)


@st.composite
def catalogues(draw: st.DrawFn) -> dict[str, Tier]:
    """Tiers that can do anything or nothing."""
    windows = st.sampled_from([1, 1000, 10_000])
    return {
        name: a_tier(
            name,
            context_window=draw(windows),
            images=draw(st.booleans()),
            tools=draw(st.booleans()),
            json_schema=draw(st.booleans()),
        )
        for name in NAMES
    }


def able(*names: str) -> dict[str, Tier]:
    """Tiers that can serve anything."""
    return {name: a_tier(name, images=True) for name in names or NAMES}


def chosen(
    policy: Policy,
    score: float | None,
    *,
    novelty: float = 0.25,
    failure: Reason | None = None,
    stand_in: Callable[[], float] = lambda: 0.0,
    boundaries: Sequence[float] | None = None,
    tiers: dict[str, Tier] | None = None,
    needed: Needs | None = None,
) -> tuple[str, Reason]:
    return rule.choose(
        policy,
        boundaries=policy.boundaries if boundaries is None else boundaries,
        scored=Scored(None if score is None else assessment(score, novelty=novelty), failure=failure),
        stand_in=stand_in,
        tiers=tiers or able(*policy.tiers),
        needs=needed or Needs(),
    )


@pytest.mark.parametrize(
    ("score", "tier"),
    [(0.0, "weak"), (0.699, "weak"), (0.7, "strong"), (0.701, "strong"), (1.0, "strong")],
)
def test_a_query_goes_to_strong_when_its_score_is_at_or_over_the_threshold(score: float, tier: str) -> None:
    assert chosen(a_policy(boundaries=[0.7]), score) == (tier, Reason.SCORE)


@pytest.mark.parametrize(("score", "tier"), [(0.1, "nano"), (0.3, "small"), (0.6, "medium"), (0.95, "large")])
def test_boundaries_divide_scores_among_any_number_of_tiers(score: float, tier: str) -> None:
    assert chosen(a_policy(tiers=NAMES, boundaries=[0.25, 0.5, 0.75]), score) == (tier, Reason.SCORE)


def test_the_callers_own_boundary_takes_the_place_of_the_policys() -> None:
    policy = a_policy(boundaries=[0.7])
    assert chosen(policy, 0.5, boundaries=[0.5])[0] == "strong"
    assert chosen(policy, 0.9, boundaries=[0.95])[0] == "weak"


def test_a_threshold_of_zero_sends_everything_to_strong() -> None:
    assert chosen(a_policy(boundaries=[0.0]), 0.0)[0] == "strong"


@given(policies(), shares, shares)
def test_a_higher_score_never_gets_a_cheaper_tier(policy: Policy, one: float, other: float) -> None:
    lower, higher = sorted((one, other))
    at = policy.tiers.index
    assert at(chosen(policy, lower)[0]) <= at(chosen(policy, higher)[0])


@given(policies(min_tiers=2), shares, shares)
def test_a_lower_boundary_never_makes_a_query_cheaper(policy: Policy, score: float, by: float) -> None:
    lowered = [max(0.0, boundary - by) for boundary in policy.boundaries]
    at = policy.tiers.index
    assert at(chosen(policy, score, boundaries=lowered)[0]) >= at(chosen(policy, score)[0])


@given(policies(), shares)
def test_every_score_gets_a_tier_of_the_policy(policy: Policy, score: float) -> None:
    assert chosen(policy, score)[0] in policy.tiers


@given(st.lists(shares, max_size=5).map(sorted))
def test_every_tier_is_reached_when_boundaries_differ(boundaries: list[float]) -> None:
    reached = {rule.tier_index(score, boundaries) for score in (-0.1, *boundaries)}
    assert len(reached) == len(set(boundaries)) + 1


def test_a_policy_with_one_tier_needs_no_score() -> None:
    policy = a_policy(tiers=["only"], boundaries=[])
    assert chosen(policy, None) == ("only", Reason.SINGLE_TIER)
    assert chosen(policy, 0.9) == ("only", Reason.SINGLE_TIER)


@given(policies(), st.one_of(st.none(), shares), catalogues(), needs, shares)
def test_a_tier_that_lacks_a_capability_is_never_chosen(
    policy: Policy, score: float | None, tiers: dict[str, Tier], needed: Needs, stand_in: float
) -> None:
    can = {name for name in policy.tiers if tiers[name].capabilities.missing(needed) is None}
    ask = (policy, score)
    wanted, why = chosen(*ask, stand_in=lambda: stand_in)
    if not can:
        with pytest.raises(InvalidRequest) as refused:
            chosen(*ask, tiers=tiers, needed=needed, stand_in=lambda: stand_in)
        assert refused.value.reason == "CAPABILITY"
        return
    tier, reason = chosen(*ask, tiers=tiers, needed=needed, stand_in=lambda: stand_in)
    assert tier in can
    assert (tier == wanted) == (wanted in can)
    assert reason is (why if tier == wanted else Reason.CAPABILITY)


def test_the_next_dearer_tier_that_can_takes_over_from_one_that_cannot() -> None:
    tiers = able() | {"nano": a_tier("nano"), "small": a_tier("small")}
    policy = a_policy(tiers=NAMES, boundaries=[0.25, 0.5, 0.75])
    assert chosen(policy, 0.1, tiers=tiers, needed=Needs(images=True)) == ("medium", Reason.CAPABILITY)


def test_a_cheaper_tier_takes_over_only_when_no_dearer_one_can() -> None:
    tiers = {name: a_tier(name, images=name in {"nano", "small"}) for name in NAMES}
    policy = a_policy(tiers=NAMES, boundaries=[0.25, 0.5, 0.75])
    assert chosen(policy, 0.6, tiers=tiers, needed=Needs(images=True)) == ("small", Reason.CAPABILITY)


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        pytest.param(Needs(tokens=9000), "9000 tokens do not fit its context window of 8192", id="tokens"),
        pytest.param(Needs(images=True), "does not support images", id="images"),
        pytest.param(Needs(tools=True), "does not support tools", id="tools"),
        pytest.param(Needs(json_schema=True), "does not support json schema", id="json schema"),
    ],
)
def test_what_is_missing_is_said_in_words(needed: Needs, words: str) -> None:
    tiers = {name: a_tier(name, tools=False, json_schema=False) for name in ("weak", "strong")}
    with pytest.raises(InvalidRequest, match=words) as refused:
        chosen(a_policy(), 0.1, tiers=tiers, needed=needed)
    assert refused.value.violations[0].field == "messages"


@pytest.mark.parametrize(
    "failure", [Reason.CLASSIFIER_UNAVAILABLE, Reason.CLASSIFIER_TIMEOUT, Reason.CLASSIFIER_FAILED]
)
@pytest.mark.parametrize(
    ("fallback", "tier"),
    [(Fallback.WEAK, "nano"), (Fallback.STRONG, "large"), (Fallback.PROPORTIONAL, "medium")],
)
def test_without_a_score_the_fallback_decides_and_says_why(
    failure: Reason, fallback: Fallback, tier: str
) -> None:
    policy = a_policy(tiers=NAMES, boundaries=[0.25, 0.5, 0.75], fallback=fallback)
    assert chosen(policy, None, failure=failure, stand_in=lambda: 0.6) == (tier, failure)


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3, 0.7, 0.95, 1.0])
def test_a_proportional_fallback_keeps_the_planned_strong_share(threshold: float) -> None:
    count = 4000
    policy = a_policy(boundaries=[threshold])
    texts = [f"query number {number}" for number in range(count)]
    tiers = [chosen(policy, None, stand_in=partial(rule.stand_in_of, text))[0] for text in texts]
    planned = 1.0 - threshold
    deviation = math.sqrt(planned * (1.0 - planned) / count)
    assert tiers.count("strong") / count == pytest.approx(planned, abs=4 * deviation)


@given(st.text(st.characters()))
@example("\ud800")
def test_the_stand_in_for_a_score_is_in_range_and_the_same_for_the_same_text(text: str) -> None:
    assert 0.0 <= rule.stand_in_of(text) < 1.0
    assert rule.stand_in_of(text) == rule.stand_in_of(text)


def never() -> float:
    raise AssertionError("nobody should ask")


def test_a_score_leaves_the_stand_in_alone() -> None:
    assert chosen(a_policy(), 0.9, stand_in=never)[0] == "strong"


@pytest.mark.parametrize("novelty", [NOVEL, 1.0])
def test_a_query_out_of_domain_is_decided_proportionally_unless_its_policy_says_otherwise(
    novelty: float,
) -> None:
    policy = a_policy(boundaries=[0.7])
    assert chosen(policy, 0.9, novelty=novelty, stand_in=lambda: 0.6) == ("weak", Reason.OUT_OF_DOMAIN)
    assert chosen(policy, 0.1, novelty=novelty, stand_in=lambda: 0.8) == ("strong", Reason.OUT_OF_DOMAIN)


def test_a_query_that_is_a_little_less_novel_is_decided_by_its_score() -> None:
    below = math.nextafter(NOVEL, 0)
    assert chosen(a_policy(), 0.9, novelty=below, stand_in=never) == ("strong", Reason.SCORE)


@pytest.mark.parametrize(
    ("instead", "tier"),
    [(Fallback.WEAK, "nano"), (Fallback.STRONG, "large"), (Fallback.PROPORTIONAL, "medium")],
)
@pytest.mark.parametrize("boundaries", [[0.25, 0.5, 0.75], [0.0, 0.5, 1.0]])
def test_the_policys_rule_decides_for_a_query_out_of_domain(
    instead: Fallback, tier: str, boundaries: list[float]
) -> None:
    policy = a_policy(tiers=NAMES, boundaries=boundaries, out_of_domain=OutOfDomain(0.9, instead))
    decided = chosen(policy, 0.3, novelty=0.95, stand_in=lambda: 0.6)
    assert decided == (tier, Reason.OUT_OF_DOMAIN)


@given(shares)
def test_without_a_rule_the_score_decides_however_novel_a_query_is(novelty: float) -> None:
    policy = a_policy(out_of_domain=None)
    assert chosen(policy, 0.9, novelty=novelty, stand_in=never) == ("strong", Reason.SCORE)


@given(st.floats(min_value=0.0, max_value=1.0, exclude_min=True))
def test_nothing_is_out_of_domain_to_a_method_that_knows_no_novelty(novelty: float) -> None:
    policy = a_policy(out_of_domain=OutOfDomain(novelty))
    assert chosen(policy, 0.9, novelty=0.0, stand_in=never) == ("strong", Reason.SCORE)


@given(policies(min_tiers=2), st.text(), shares)
def test_a_text_gets_the_same_tier_out_of_domain_as_without_a_classifier(
    policy: Policy, text: str, score: float
) -> None:
    alike = a_policy(tiers=policy.tiers, boundaries=policy.boundaries)
    own = partial(rule.stand_in_of, text)
    assert chosen(alike, score, novelty=1.0, stand_in=own)[0] == chosen(alike, None, stand_in=own)[0]


def test_the_callers_own_boundary_holds_for_a_query_out_of_domain_too() -> None:
    decided = chosen(a_policy(), 0.1, novelty=1.0, stand_in=lambda: 0.5, boundaries=[0.4])
    assert decided == ("strong", Reason.OUT_OF_DOMAIN)


def test_a_capability_goes_before_the_rule_for_queries_out_of_domain() -> None:
    policy = a_policy(out_of_domain=OutOfDomain(rule=Fallback.WEAK))
    tiers = {"weak": a_tier("weak"), "strong": a_tier("strong", images=True)}
    decided = chosen(policy, 0.9, novelty=1.0, tiers=tiers, needed=Needs(images=True))
    assert decided == ("strong", Reason.CAPABILITY)


def test_a_policy_with_one_tier_has_nothing_out_of_domain() -> None:
    assert chosen(a_policy(tiers=["only"], boundaries=[]), 0.5, novelty=1.0)[1] is Reason.SINGLE_TIER


def test_a_caller_gets_the_tier_that_it_names() -> None:
    tiers = able("weak", "strong")
    assert rule.override("weak", tiers=tiers, needs=Needs()) == ("weak", Reason.OVERRIDE)


def test_a_named_tier_that_cannot_serve_the_request_is_refused_and_not_replaced() -> None:
    tiers = {"weak": a_tier("weak"), "strong": a_tier("strong", images=True)}
    with pytest.raises(InvalidRequest, match="tier weak cannot serve this request"):
        rule.override("weak", tiers=tiers, needs=Needs(images=True))


@pytest.mark.parametrize(
    ("tier", "others"),
    [
        ("nano", ["small", "medium", "large"]),
        ("small", ["medium", "large", "nano"]),
        ("large", ["medium", "small", "nano"]),
    ],
)
def test_dearer_tiers_stand_in_before_cheaper_ones_and_the_nearest_first(
    tier: str, others: list[str]
) -> None:
    policy = a_policy(tiers=NAMES, boundaries=[0.25, 0.5, 0.75])
    assert rule.alternatives(policy, tier, tiers=able(), needs=Needs()) == others


@given(policies(), catalogues(), needs, st.data())
def test_no_tier_stands_in_for_itself_or_beyond_its_capabilities(
    policy: Policy, tiers: dict[str, Tier], needed: Needs, data: st.DataObject
) -> None:
    tier = data.draw(st.sampled_from(policy.tiers))
    others = rule.alternatives(policy, tier, tiers=tiers, needs=needed)
    assert tier not in others
    assert len(others) == len(set(others))
    assert all(tiers[name].capabilities.missing(needed) is None for name in others)


def test_no_tier_stands_in_when_the_policy_forbids_it() -> None:
    policy = a_policy(tier_fallback=False)
    assert rule.alternatives(policy, "strong", tiers=able("weak", "strong"), needs=Needs()) == []
