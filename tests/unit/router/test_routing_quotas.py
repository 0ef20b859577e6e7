"""Tenants that are kept to what they may use, on their way through a router on fakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from fakes.catalogue import a_catalogue, a_policy
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from fakes.served import over_http
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
