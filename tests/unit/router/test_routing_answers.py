from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import orjson
import pytest

from fakes.catalogue import a_catalogue, a_policy
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from fakes.upstream import DOWN, completion, hello, usage_chunk
from steersman.router.model import Reason, Usage
from steersman.runtime.errors import (
    Unavailable,
)


async def test_the_answer_of_the_decided_tier_is_streamed(router: RouterOnFakes) -> None:
    router.hard()
    chunks, record = await router.streamed(a_request())
    assert chunks == [chunk for piece in hello()[:3] for chunk in piece]
    assert record.decision is not None
    assert record.decision.tier == "strong"
    assert (len(router.strong.seen), len(router.weak.seen)) == (1, 0)
    assert router.idle


async def test_the_last_item_of_a_stream_has_usage_and_cost_and_no_chunks(router: RouterOnFakes) -> None:
    items = [(record.usage, chunks) async for record, chunks in router.routing.stream(a_request())]
    assert items[-1] == (Usage(7, 3, 0), ())
    assert all(chunks for _, chunks in items[:-1])


@pytest.mark.parametrize("asked", [True, False])
async def test_usage_is_always_asked_of_the_engine_and_shown_only_to_who_asked(
    router: RouterOnFakes, *, asked: bool
) -> None:
    options = {"include_usage": True} if asked else None
    chunks, record = await router.streamed(a_request(stream=True, stream_options=options))
    sent = orjson.loads(router.weak.seen[0].body)
    assert sent["stream_options"] == {"include_usage": True}
    assert (usage_chunk() in chunks) == asked
    assert record.usage.completion_tokens == 3


async def test_an_answer_in_one_message_is_the_engines_own_body(router: RouterOnFakes) -> None:
    router.weak.whole = completion("Aye.", system_fingerprint="fp")
    record, answer = await router.routing.complete(a_request())
    assert answer == router.weak.whole
    assert (record.usage, record.finish_reason, record.served_model) == (Usage(7, 3, 0), "stop", "fake-model")
    assert orjson.loads(router.weak.seen[0].body)["stream"] is False
    assert router.idle


async def test_an_answer_is_priced_by_its_tier_and_held_against_the_dearest(router: RouterOnFakes) -> None:
    router.easy()
    record, _ = await router.routing.complete(a_request())
    assert record.usd == pytest.approx((7 * 1.0 + 3 * 2.0) / 1e6)
    assert record.strongest_usd == pytest.approx(10 * record.usd)
    assert record.joules == pytest.approx(3.0)


async def test_every_stage_is_timed(router: RouterOnFakes) -> None:
    record, _ = await router.routing.complete(a_request())
    stages = record.stages
    assert min(stages.admission, stages.cache, stages.classify, stages.decide, stages.dispatch) > 0
    assert stages.total == pytest.approx(
        stages.admission + stages.cache + stages.classify + stages.decide + stages.dispatch
    )
    assert record.first_byte_seconds is not None
    assert record.first_byte_seconds > 0


async def test_a_request_carries_the_engines_name_of_the_model(router: RouterOnFakes) -> None:
    router.hard()
    await router.routing.complete(a_request(temperature=0.5, unknown={"a": [1, None]}))
    sent = orjson.loads(router.strong.seen[0].body)
    assert (sent["model"], sent["stream"]) == ("strong-model", False)
    assert (sent["temperature"], sent["unknown"]) == (0.5, {"a": [1, None]})


async def test_another_address_of_the_tier_is_tried_before_another_tier() -> None:
    router = await router_on_fakes(addresses=2)
    router.easy()
    for upstream in router.upstreams["weak"][:1]:
        upstream.error = DOWN
    for _ in range(20):
        record, _ = await router.routing.complete(a_request())
        assert record.decision is not None
        assert (record.decision.tier, record.decision.reason) == ("weak", Reason.SCORE)
    assert router.strong.seen == []


@pytest.mark.parametrize("stream", [True, False])
async def test_another_tier_answers_when_the_wanted_one_cannot_and_the_decision_says_so(
    router: RouterOnFakes, *, stream: bool
) -> None:
    router.hard()
    router.strong.error = DOWN
    if stream:
        _, record = await router.streamed(a_request())
    else:
        record, _ = await router.routing.complete(a_request())
    decision = record.decision
    assert decision is not None
    assert (decision.tier, decision.wanted_tier) == ("weak", "strong")
    assert decision.reason is Reason.TIER_UNAVAILABLE
    assert record.usd == pytest.approx((7 * 1.0 + 3 * 2.0) / 1e6)
    assert router.ledger.outcomes == ["OK"]


async def test_the_first_item_of_a_stream_has_the_final_decision(router: RouterOnFakes) -> None:
    router.hard()
    router.strong.error = DOWN
    async with aclosing(router.routing.stream(a_request())) as items:
        record, _ = await anext(items)
        assert record.decision is not None
        assert record.decision.tier == "weak"


async def test_no_other_tier_answers_when_the_policy_forbids_it() -> None:
    router = await router_on_fakes(a_catalogue(a_policy(tier_fallback=False)))
    router.hard()
    router.strong.error = DOWN
    with pytest.raises(Unavailable):
        await router.routing.complete(a_request())
    assert router.weak.seen == []
    assert router.ledger.outcomes == ["ENGINE_UNREACHABLE"]


async def test_no_other_tier_answers_for_the_one_that_the_caller_named(router: RouterOnFakes) -> None:
    router.strong.error = DOWN
    with pytest.raises(Unavailable):
        await router.routing.complete(a_request(model="strong"))
    assert router.weak.seen == []


async def test_no_tier_answers_that_lacks_a_capability(router: RouterOnFakes) -> None:
    router.strong.error = DOWN
    request = replace(a_request(), body=replace(a_request().body, images=True))
    with pytest.raises(Unavailable):
        await router.routing.complete(request)
    assert router.weak.seen == []


async def test_when_no_tier_answers_the_last_error_is_told(router: RouterOnFakes) -> None:
    router.weak.error = router.strong.error = DOWN
    with pytest.raises(Unavailable) as told:
        await router.routing.complete(a_request())
    assert told.value.retry_after_seconds is not None
    assert router.idle
