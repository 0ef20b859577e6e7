"""Tenants that are kept to what they may use, on their way through a router on fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from fakes.catalogue import a_catalogue, a_policy, a_tier
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from fakes.served import over_http
from fakes.upstream import DOWN, completion
from fixtures.callers import body, fetch
from steersman.router.model import Reason, Rights
from steersman.router.quotas import DAY, HOUR, MINUTE, Kind, Quota, Quotas
from steersman.runtime.errors import Overloaded, Unavailable

REQUESTS = Quota("requests_per_minute", Kind.REQUESTS, 2.0, MINUTE)
TOKENS = Quota("tokens_per_minute", Kind.TOKENS, 1000.0, MINUTE)
STRONG = Quota("strong_calls_per_hour", Kind.STRONG_CALLS, 1.0, HOUR)
MONEY = Quota("usd_per_day", Kind.USD, 1e-6, DAY)


async def router_with(*quotas: Quota, weak_when_spent: bool = False) -> RouterOnFakes:
    """A router whose one tenant has these quotas."""
    rights = Rights(quotas=Quotas(quotas, weak_when_spent))
    catalogue = replace(a_catalogue(a_policy(sticky=None)), tenants={"default": rights, "other": Rights()})
    return await router_on_fakes(catalogue)


async def answered(router: RouterOnFakes, *, model: str = "", tenant: str = "default") -> str:
    """The tier that answers."""
    record, _ = await router.routing.complete(a_request(model=model, tenant=tenant))
    assert record.decision is not None
    return record.decision.tier


async def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(Overloaded) as told:
        await ask()  # type: ignore[misc] # whatever it is, it can be awaited
    return told.value.reason


async def test_a_tenant_that_has_used_up_its_requests_is_refused_and_others_are_not() -> None:
    router = await router_with(REQUESTS)
    for _ in range(2):
        await answered(router)
    assert await refused(lambda: answered(router)) == "REQUESTS_PER_MINUTE"
    await answered(router, tenant="other")
    assert router.ledger.outcomes == ["OK", "OK", "REQUESTS_PER_MINUTE", "OK"]


async def test_what_is_refused_costs_nothing_else() -> None:
    router = await router_with(REQUESTS)
    for _ in range(2):
        await answered(router)
    asked = len(router.store.asked)
    await refused(lambda: answered(router))
    assert len(router.store.asked) == asked
    assert len(router.weak.seen) + len(router.strong.seen) == 2


async def test_money_is_spent_by_what_answers_cost() -> None:
    router = await router_with(MONEY)
    await answered(router, model="strong")
    assert await refused(lambda: answered(router)) == "USD_PER_DAY"


async def test_an_answer_that_never_came_gives_its_tokens_back() -> None:
    router = await router_with(TOKENS)
    for upstream in (router.weak, router.strong):
        upstream.error = Unavailable("away")
    for _ in range(3):
        with pytest.raises(Unavailable):
            await router.routing.complete(a_request(max_tokens=900))


async def test_who_leaves_before_the_end_has_used_the_estimate() -> None:
    router = await router_with(TOKENS)
    router.weak.hold_at = 1
    router.strong.hold_at = 1
    stream = router.routing.stream(a_request(max_tokens=900))
    await anext(stream)
    await stream.aclose()
    assert await refused(lambda: router.decided(a_request(max_tokens=900))) == "TOKENS_PER_MINUTE"


@pytest.mark.parametrize("items", [1, 2, 3], ids=["its beginning", "half", "all of the text"])
async def test_who_leaves_before_the_usage_is_told_has_spent_money(items: int) -> None:
    router = await router_with(MONEY)
    stream = router.routing.stream(a_request(model="strong"))
    for _ in range(items):
        record, _ = await anext(stream)
    await stream.aclose()
    assert record.usage.estimated
    assert record.usage.completion_tokens >= items
    assert record.usd == pytest.approx(
        a_tier(price=10.0).price.usd(record.usage.prompt_tokens, record.usage.completion_tokens)
    )
    assert await refused(lambda: answered(router)) == "USD_PER_DAY"


async def test_who_leaves_while_an_engine_works_has_used_the_prompt() -> None:
    router = await router_with(TOKENS, MONEY)
    router.strong.hold_at = 0
    asked = asyncio.create_task(router.routing.complete(a_request("x" * 3600, model="strong")))
    await router.strong.gate.until(waiting=1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await refused(lambda: router.decided(a_request(max_tokens=200))) in {
        "TOKENS_PER_MINUTE",
        "USD_PER_DAY",
    }


async def test_an_engine_that_tells_no_usage_is_paid_for_by_an_estimate() -> None:
    router = await router_with(MONEY)
    router.strong.whole = completion("word " * 100, usage=None)
    record, _ = await router.routing.complete(a_request(model="strong"))
    assert record.usage.estimated
    assert record.usage.completion_tokens == 125
    assert record.usd > 0


async def test_when_the_calls_of_the_dearest_tier_are_spent_its_queries_are_refused() -> None:
    router = await router_with(STRONG)
    router.hard()
    assert await answered(router) == "strong"
    assert await refused(lambda: answered(router)) == "STRONG_CALLS_PER_HOUR"
    router.easy()
    assert (await router.decided(a_request("something else"))).tier == "weak"


async def test_or_go_to_a_cheaper_tier_where_the_tenant_would_rather_have_that() -> None:
    router = await router_with(STRONG, weak_when_spent=True)
    router.hard()
    await answered(router)
    decision = await router.decided(a_request())
    assert (decision.tier, decision.reason) == ("weak", Reason.BUDGET)


async def test_a_caller_who_names_the_dearest_tier_is_refused_when_its_calls_are_spent() -> None:
    router = await router_with(STRONG, weak_when_spent=True)
    await answered(router, model="strong")
    assert await refused(lambda: answered(router, model="strong")) == "STRONG_CALLS_PER_HOUR"


@pytest.mark.parametrize("weak_when_spent", [True, False])
async def test_the_dearest_tier_stands_in_for_nobody_when_its_calls_are_spent(
    *, weak_when_spent: bool
) -> None:
    router = await router_with(STRONG, weak_when_spent=weak_when_spent)
    router.hard()
    await answered(router)
    router.weak.error = DOWN
    router.easy()
    with pytest.raises(Unavailable):
        await router.routing.complete(a_request("something else"))
    assert len(router.strong.seen) == 1


async def test_a_tier_that_is_the_dearest_of_a_policy_of_others_may_be_used_at_will() -> None:
    frugal = a_policy("frugal", tiers=["tiny", "weak"], sticky=None)
    rights = Rights(policies=frozenset({"auto"}), quotas=Quotas((STRONG,)))
    catalogue = a_catalogue(
        a_policy(sticky=None), frugal, tiers=[a_tier("tiny"), a_tier("weak"), a_tier("strong")]
    )
    router = await router_on_fakes(replace(catalogue, tenants={"default": rights}))
    router.easy()
    for model in ("auto", "auto", "weak", "weak"):
        assert await answered(router, model=model) == "weak"


async def test_a_tier_that_is_the_dearest_of_none_of_the_tenants_policies_goes_by_those_of_others() -> None:
    frugal = a_policy("frugal", tiers=["tiny", "weak"], sticky=None)
    rights = Rights(policies=frozenset({"frugal"}), quotas=Quotas((STRONG,)))
    catalogue = a_catalogue(
        a_policy(sticky=None), frugal, tiers=[a_tier("tiny"), a_tier("weak"), a_tier("strong")]
    )
    router = await router_on_fakes(replace(catalogue, default_policy="frugal", tenants={"default": rights}))
    await answered(router, model="strong")
    assert await refused(lambda: answered(router, model="strong")) == "STRONG_CALLS_PER_HOUR"


async def test_over_http_it_is_429_with_the_quotas_name_and_openais_headers() -> None:
    router = await router_with(REQUESTS, TOKENS)
    async with over_http(router) as served:
        answers = [await fetch(f"{served.url}/v1/chat/completions", data=body()) for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, 429]
    assert [each.headers["x-ratelimit-remaining-requests"] for each in answers[:2]] == ["1", "0"]
    assert answers[0].headers["x-ratelimit-limit-tokens"] == "1000"
    assert answers[0].headers["x-ratelimit-reset-requests"].endswith("s")
    assert int(answers[2].headers["Retry-After"]) >= 1
    error = orjson.loads(answers[2].body)["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "requests_per_minute")


async def test_large_quotas_are_told_in_full() -> None:
    router = await router_with(replace(TOKENS, amount=2_000_000.0))
    async with over_http(router) as served:
        answer = await served.ask()
    assert answer.headers["x-ratelimit-limit-tokens"] == "2000000"
