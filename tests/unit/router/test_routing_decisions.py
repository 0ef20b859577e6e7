from __future__ import annotations

import math

import pytest

from fakes.catalogue import THRESHOLD, a_catalogue, a_policy, a_tier
from fakes.classifier import IDENTITY
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from steersman.router.model import CacheState, Fallback, OutOfDomain, Reason
from steersman.runtime.errors import (
    InvalidRequest,
    Unavailable,
    UnknownModel,
)


async def test_an_easy_query_goes_to_weak_and_a_hard_one_to_strong(router: RouterOnFakes) -> None:
    router.classifier.score = lambda text: 0.9 if "theorem" in text else 0.1
    assert (await router.decided(a_request("Hello"))).tier == "weak"
    assert (await router.decided(a_request("Prove the theorem"))).tier == "strong"


async def test_a_decision_says_all_that_it_was_made_from(router: RouterOnFakes) -> None:
    router.hard()
    decision = await router.decided()
    assert (decision.tier, decision.wanted_tier, decision.reason) == ("strong", "strong", Reason.SCORE)
    assert (decision.policy, decision.boundaries) == (a_policy(), (THRESHOLD,))
    assert decision.scored.assessment is not None
    assert (decision.scored.cache, decision.scored.classifier) == (CacheState.MISS, IDENTITY)


async def test_deciding_calls_no_tier(router: RouterOnFakes) -> None:
    await router.decided()
    assert router.weak.seen == router.strong.seen == []
    assert router.ledger.outcomes == ["OK"]


async def test_a_change_of_threshold_does_not_ask_the_classifier_again(router: RouterOnFakes) -> None:
    router.easy()
    assert (await router.decided()).tier == "weak"
    router.routing.catalogue = a_catalogue(a_policy(boundaries=[0.5]))
    decision = await router.decided()
    assert (decision.tier, decision.scored.cache) == ("strong", CacheState.L1_HIT)


async def test_the_callers_threshold_is_used_and_told(router: RouterOnFakes) -> None:
    router.easy()
    decision = await router.decided(a_request(threshold=0.2))
    assert (decision.tier, decision.boundaries, decision.reason) == ("strong", (0.2,), Reason.SCORE)


@pytest.mark.parametrize("model", ["", "auto", "strong"], ids=["default", "policy", "tier"])
@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf, -0.001, 1.001])
async def test_a_threshold_out_of_range_is_refused(
    router: RouterOnFakes, model: str, threshold: float
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await router.decided(a_request(threshold=threshold, model=model))
    assert refused.value.violations[0].field == "threshold"


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.0])
async def test_thresholds_at_the_ends_of_the_range_are_taken(router: RouterOnFakes, threshold: float) -> None:
    assert (await router.decided(a_request(threshold=threshold))).boundaries == (threshold,)


async def test_a_threshold_is_for_policies_with_two_tiers() -> None:
    three = a_policy(tiers=["weak", "middle", "strong"], boundaries=[0.3, 0.6])
    router = await router_on_fakes(
        a_catalogue(three, tiers=[a_tier("weak"), a_tier("middle"), a_tier("strong")])
    )
    with pytest.raises(InvalidRequest, match="does not have exactly two tiers"):
        await router.decided(a_request(threshold=0.5))


async def test_an_unknown_model_is_named_with_what_there_is(router: RouterOnFakes) -> None:
    with pytest.raises(UnknownModel, match="auto, weak, strong"):
        await router.decided(a_request(model="gpt-7"))
    assert router.classifier.asked == []
    assert router.ledger.outcomes == ["UNKNOWN_MODEL"]


@pytest.mark.parametrize("model", ["weak", "weak-model"])
async def test_a_caller_may_insist_on_a_tier_by_its_name_or_its_models(
    router: RouterOnFakes, model: str
) -> None:
    router.hard()
    decision = await router.decided(a_request(model=model))
    assert (decision.tier, decision.reason) == ("weak", Reason.OVERRIDE)
    assert router.classifier.asked == []


async def test_a_policy_is_found_by_its_name() -> None:
    router = await router_on_fakes(a_catalogue(a_policy("auto"), a_policy("frugal", boundaries=[0.99])))
    router.classifier.score = lambda _: 0.9
    assert (await router.decided(a_request(model="auto"))).tier == "strong"
    assert (await router.decided(a_request(model="frugal"))).tier == "weak"


async def test_a_policy_with_one_tier_asks_no_classifier() -> None:
    router = await router_on_fakes(a_catalogue(a_policy(tiers=["weak"], boundaries=[])))
    assert (await router.decided()).reason is Reason.SINGLE_TIER
    assert router.classifier.asked == []


async def test_a_tier_that_lacks_a_capability_is_passed_over(router: RouterOnFakes) -> None:
    router.easy()
    router.routing.catalogue = a_catalogue(
        tiers=[a_tier("weak", tools=False), a_tier("strong", price=10.0, images=True)]
    )
    decision = await router.decided(a_request(tools=[{"type": "function"}]))
    assert (decision.tier, decision.reason) == ("strong", Reason.CAPABILITY)


@pytest.mark.parametrize(
    ("fallback", "tier"), [(Fallback.WEAK, "weak"), (Fallback.STRONG, "strong")], ids=["weak", "strong"]
)
async def test_without_the_classifier_the_policys_fallback_decides(fallback: Fallback, tier: str) -> None:
    router = await router_on_fakes(a_catalogue(a_policy(fallback=fallback)))
    router.classifier.failure = Reason.CLASSIFIER_TIMEOUT
    decision = await router.decided()
    assert (decision.tier, decision.reason) == (tier, Reason.CLASSIFIER_TIMEOUT)


async def test_a_proportional_fallback_keeps_the_strong_share(router: RouterOnFakes) -> None:
    router.classifier.failure = Reason.CLASSIFIER_UNAVAILABLE
    tiers = [(await router.decided(a_request(f"query number {n}"))).tier for n in range(400)]
    assert tiers.count("strong") / 400 == pytest.approx(1 - THRESHOLD, abs=0.09)


async def test_a_proportional_fallback_gives_the_same_text_the_same_tier(router: RouterOnFakes) -> None:
    router.classifier.failure = Reason.CLASSIFIER_UNAVAILABLE
    other = await router_on_fakes()
    other.classifier.failure = Reason.CLASSIFIER_TIMEOUT
    for number in range(50):
        request = a_request(f"query number {number}")
        assert (await router.decided(request)).tier == (await other.decided(request)).tier


async def test_queries_out_of_domain_keep_the_strong_share_whatever_their_scores(
    router: RouterOnFakes,
) -> None:
    router.hard()
    router.classifier.novelty = lambda _: 1.0
    decisions = [await router.decided(a_request(f"query number {n}")) for n in range(400)]
    strong = [decision.tier for decision in decisions].count("strong")
    assert strong / 400 == pytest.approx(1 - THRESHOLD, abs=0.09)
    assert {decision.reason for decision in decisions} == {Reason.OUT_OF_DOMAIN}


async def test_a_query_out_of_domain_is_told_with_its_score_and_its_novelty(router: RouterOnFakes) -> None:
    router.classifier.novelty = lambda _: 0.9995
    decision = await router.decided()
    assert decision.out_of_domain is Fallback.PROPORTIONAL
    assert decision.scored.assessment is not None
    assert (decision.scored.assessment.score, decision.scored.assessment.novelty) == (0.5, 0.9995)


async def test_a_cached_query_is_out_of_domain_as_it_was_wherever_it_is_found(router: RouterOnFakes) -> None:
    router.hard()
    router.classifier.novelty = lambda _: 1.0
    router.routing.catalogue = a_catalogue(a_policy(out_of_domain=OutOfDomain(rule=Fallback.WEAK)))
    asked = await router.decided()
    known = await router.decided()
    other = await router_on_fakes(router.routing.catalogue)
    other.store.entries = router.store.entries
    shared = await other.decided()
    assert [each.scored.cache for each in (asked, known, shared)] == [
        CacheState.MISS,
        CacheState.L1_HIT,
        CacheState.L2_HIT,
    ]
    assert {(each.tier, each.reason) for each in (asked, known, shared)} == {("weak", Reason.OUT_OF_DOMAIN)}


async def test_a_change_of_the_rule_does_not_ask_the_classifier_again(router: RouterOnFakes) -> None:
    router.hard()
    router.classifier.novelty = lambda _: 0.95
    assert (await router.decided()).reason is Reason.SCORE
    router.routing.catalogue = a_catalogue(a_policy(out_of_domain=OutOfDomain(0.9, Fallback.WEAK)))
    decision = await router.decided()
    assert (decision.tier, decision.reason) == ("weak", Reason.OUT_OF_DOMAIN)
    assert decision.scored.cache is CacheState.L1_HIT


async def test_a_query_out_of_domain_stays_one_when_another_tier_answers(router: RouterOnFakes) -> None:
    router.classifier.novelty = lambda _: 1.0
    router.routing.catalogue = a_catalogue(a_policy(out_of_domain=OutOfDomain(rule=Fallback.STRONG)))
    router.strong.error = Unavailable("gone", reason="ENGINE_UNREACHABLE")
    await router.routing.complete(a_request())
    decision = router.ledger.records[-1].decision
    assert decision is not None
    assert (decision.tier, decision.wanted_tier, decision.reason) == (
        "weak",
        "strong",
        Reason.TIER_UNAVAILABLE,
    )
    assert decision.out_of_domain is Fallback.STRONG


async def test_a_caller_who_names_a_tier_gets_it_however_novel_the_query_is(router: RouterOnFakes) -> None:
    router.classifier.novelty = lambda _: 1.0
    decision = await router.decided(a_request(model="strong"))
    assert (decision.reason, decision.out_of_domain) == (Reason.OVERRIDE, None)
