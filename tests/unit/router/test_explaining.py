from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.catalogue import a_policy
from fakes.router import RouterOnFakes, a_request
from steersman.router.accounting import Record
from steersman.router.explaining import Rule, decided, rule_of, sentence
from steersman.router.model import Assessment, CacheState, Decision, Fallback, Policy, Reason, Scored


def a_record(
    score: float | None = 0.75,
    *,
    reason: Reason = Reason.SCORE,
    wanted_for: Reason | None = None,
    tier: str = "strong",
    wanted: str = "",
    policy: Policy | None = None,
    novelty: float = 0.25,
    failure: Reason | None = None,
    boundaries: tuple[float, ...] | None = None,
) -> Record:
    policy = policy or a_policy()
    found = None if score is None else Assessment(score, 0.5, novelty, truncated=False)
    boundaries = policy.boundaries if boundaries is None else boundaries
    scored = Scored(found, CacheState.MISS, failure)
    decision = Decision("0" * 32, tier, wanted or tier, reason, policy, boundaries, scored, truncated=False)
    return Record(decision=decision, wanted_for=wanted_for or reason)


@pytest.mark.parametrize(
    ("record", "rule", "words"),
    [
        pytest.param(
            a_record(0.75),
            Rule.BOUNDARIES,
            "Tier strong was chosen because the score of 0.7500 is at or over policy auto's boundary of 0.7.",
            id="over its boundary",
        ),
        pytest.param(
            a_record(0.25, tier="weak", boundaries=(0.5,)),
            Rule.BOUNDARIES,
            "Tier weak was chosen because the score of 0.2500 is below the request's own boundary of 0.5.",
            id="below the caller's own",
        ),
        pytest.param(
            a_record(
                0.7, tier="mid", policy=a_policy(tiers=("weak", "mid", "strong"), boundaries=(0.5, 0.9))
            ),
            Rule.BOUNDARIES,
            "Tier mid was chosen because the score of 0.7000 is at or over policy auto's boundary of 0.5 and below "
            "policy auto's boundary of 0.9.",
            id="between two",
        ),
        pytest.param(
            a_record(None, reason=Reason.CLASSIFIER_TIMEOUT, failure=Reason.CLASSIFIER_TIMEOUT),
            Rule.PROPORTIONAL,
            "Tier strong was chosen because the classifier did not answer in time, and a hash of its text decides, "
            "which keeps the planned shares.",
            id="without a score",
        ),
        pytest.param(
            a_record(
                None,
                reason=Reason.CLASSIFIER_FAILED,
                failure=Reason.CLASSIFIER_FAILED,
                tier="weak",
                policy=a_policy(fallback=Fallback.WEAK),
            ),
            Rule.WEAK,
            "Tier weak was chosen because the classifier failed on this query, and the policy sends such queries to "
            "its cheapest tier.",
            id="the cheapest in its place",
        ),
        pytest.param(
            a_record(0.75, novelty=1.0, reason=Reason.OUT_OF_DOMAIN),
            Rule.PROPORTIONAL,
            "Tier strong was chosen because the query is unlike the training data (novelty 1.0000), and a hash of its "
            "text decides, which keeps the planned shares.",
            id="out of domain",
        ),
        pytest.param(
            a_record(0.25, reason=Reason.SESSION),
            Rule.SESSION,
            "Tier strong was chosen because its conversation stands there, although the score of 0.2500 is below "
            "policy auto's boundary of 0.7.",
            id="kept by its conversation",
        ),
        pytest.param(
            a_record(0.75, reason=Reason.BUDGET, tier="weak"),
            Rule.BUDGET,
            "Tier weak was chosen because the tenant's calls of the dearest tier are spent.",
            id="spent",
        ),
        pytest.param(
            a_record(0.25, reason=Reason.CAPABILITY),
            Rule.BOUNDARIES,
            "Tier strong was chosen because the tier that was meant for it cannot serve this request (the score of "
            "0.2500 is below policy auto's boundary of 0.7).",
            id="capable",
        ),
        pytest.param(
            a_record(None, reason=Reason.OVERRIDE, policy=a_policy("", tiers=("strong",), boundaries=())),
            Rule.CALLER,
            "Tier strong was chosen because the request named it.",
            id="named",
        ),
        pytest.param(
            a_record(None, reason=Reason.SINGLE_TIER, policy=a_policy(tiers=("strong",), boundaries=())),
            Rule.ONLY_TIER,
            "Tier strong was chosen because policy auto has no other.",
            id="the only one",
        ),
        pytest.param(
            a_record(0.25, reason=Reason.TIER_COLD, wanted_for=Reason.SESSION, tier="weak", wanted="strong"),
            Rule.SESSION,
            "Tier weak stood in for tier strong, which had no replica running and was wanted because its conversation "
            "stands there, although the score of 0.2500 is below policy auto's boundary of 0.7.",
            id="stood in for",
        ),
    ],
)
def test_a_decision_is_explained_by_its_rule_and_a_sentence(record: Record, rule: Rule, words: str) -> None:
    assert rule_of(record) is rule
    assert sentence(record) == words


def test_a_request_that_ended_badly_says_so_in_a_second_sentence() -> None:
    record = replace(a_record(), outcome="ENGINE_BROKE_OFF")
    assert sentence(record).endswith(" The request ended with ENGINE_BROKE_OFF.")


def test_nothing_is_explained_where_nothing_was_decided() -> None:
    with pytest.raises(ValueError, match="nothing was decided"):
        decided(Record())


async def test_why_a_tier_was_wanted_is_still_known_when_another_one_stands_in(router: RouterOnFakes) -> None:
    router.hard()
    await router.sleep("strong")
    await router.streamed(a_request(stream=True))
    (record,) = router.ledger.records
    assert decided(record).reason is Reason.TIER_COLD
    assert record.wanted_for is Reason.SCORE
