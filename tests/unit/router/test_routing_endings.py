from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress

import pytest

from fakes.catalogue import a_catalogue, a_policy, a_tier
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from fakes.upstream import DOWN, FULL, NO, USAGE, chunk, hello
from steersman.router.model import Reason
from steersman.router.prospects import Patience
from steersman.router.retry import RetryBudget
from steersman.runtime.errors import (
    BrokenOff,
    DeadlineExceeded,
    Error,
    Overloaded,
    Refused,
    UnknownModel,
)


async def test_a_request_that_the_engine_refuses_is_refused(router: RouterOnFakes) -> None:
    router.easy()
    router.weak.error = NO
    with pytest.raises(Refused) as told:
        await router.routing.complete(a_request())
    assert told.value is NO
    assert router.strong.seen == []
    assert router.ledger.outcomes == ["ENGINE_REFUSED"]


@pytest.mark.parametrize("error", [DOWN, FULL, BrokenOff("it died", reason="ENGINE_BROKE_OFF")])
async def test_an_answer_that_breaks_off_ends_with_an_error_and_no_summary(
    router: RouterOnFakes, error: Error
) -> None:
    router.easy()
    router.weak.error, router.weak.error_at = error, 2
    stream = router.routing.stream(a_request())
    assert [(await anext(stream))[1] for _ in range(2)] == hello()[:2]
    with pytest.raises(BrokenOff):
        await anext(stream)
    assert router.ledger.outcomes == [error.reason]
    assert router.strong.seen == []
    assert router.idle


@pytest.mark.parametrize("whole", [b"[]", b"not json", b'{"choices": 5}', b'{"usage": [1]}'])
async def test_an_answer_that_is_no_completion_is_an_error(router: RouterOnFakes, whole: bytes) -> None:
    router.weak.whole = whole
    with pytest.raises(BrokenOff) as told:
        await router.routing.complete(a_request())
    assert told.value.reason == "ENGINE_GARBAGE"
    assert router.idle


async def test_a_stream_that_is_no_completion_ends_the_work_at_the_engine(router: RouterOnFakes) -> None:
    router.weak.pieces = [[chunk("Hello")], [b'{"usage": "none"}'], [chunk("more")]]
    with pytest.raises(BrokenOff):
        await router.streamed(a_request())
    assert router.weak.left == 1
    assert router.idle


@pytest.mark.parametrize("items", [1, 2])
async def test_a_caller_who_leaves_ends_the_work_at_the_engine(router: RouterOnFakes, items: int) -> None:
    stream = router.routing.stream(a_request())
    for _ in range(items):
        await anext(stream)
    await stream.aclose()
    assert router.weak.left == 1
    assert router.ledger.outcomes == ["CANCELLED"]
    assert router.idle


@pytest.mark.parametrize("where", ["classifier", "store", "engine"])
async def test_a_caller_who_leaves_while_waiting_ends_the_work_there(
    router: RouterOnFakes, where: str
) -> None:
    gates = {"classifier": router.classifier.gate, "store": router.store.gate, "engine": router.weak.gate}
    if where == "engine":
        router.weak.hold_at = 0
    else:
        gates[where].close()
    answering = asyncio.create_task(router.routing.complete(a_request()))
    await gates[where].until(waiting=1)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    await gates[where].until(waiting=0)
    assert router.ledger.outcomes == ["CANCELLED"]
    assert router.idle


async def test_a_deadline_that_has_passed_is_refused_before_anything_is_asked(router: RouterOnFakes) -> None:
    with pytest.raises(DeadlineExceeded):
        await router.decided(a_request(seconds=-1.0))
    assert router.classifier.asked == []
    assert router.ledger.outcomes == ["DEADLINE_EXCEEDED"]


async def test_a_deadline_that_passes_while_scoring_ends_the_request(router: RouterOnFakes) -> None:
    router.classifier.gate.close()
    with pytest.raises(DeadlineExceeded):
        await router.decided(a_request(seconds=0.02))
    await router.classifier.gate.until(waiting=0)
    assert router.idle


@pytest.mark.parametrize("hold_at", [0, 2])
async def test_a_deadline_that_passes_while_answering_ends_the_request(
    router: RouterOnFakes, hold_at: int
) -> None:
    router.weak.hold_at = hold_at
    with pytest.raises(DeadlineExceeded):
        await router.streamed(a_request(seconds=0.05))
    assert router.ledger.outcomes == ["DEADLINE_EXCEEDED"]
    assert router.idle


async def test_a_request_too_many_is_refused_and_the_next_one_taken(router: RouterOnFakes) -> None:
    router.routing.shares.slots = 1
    stream = router.routing.stream(a_request())
    await anext(stream)
    with pytest.raises(Overloaded) as refused:
        await router.decided()
    assert refused.value.reason == "ROUTER_FULL"
    await stream.aclose()
    assert (await router.decided()).tier == "weak"
    assert router.ledger.outcomes == ["ROUTER_FULL", "CANCELLED", "OK"]
    assert router.demand.router.unmet_total == 1


@pytest.mark.parametrize(
    ("broken", "unmet"),
    [
        pytest.param({}, {"weak": 0, "strong": 0}, id="answered where it was wanted"),
        pytest.param({"strong": DOWN}, {"weak": 0, "strong": 1}, id="answered elsewhere"),
        pytest.param({"strong": DOWN, "weak": DOWN}, {"weak": 0, "strong": 1}, id="answered nowhere"),
        pytest.param({"strong": FULL, "weak": FULL}, {"weak": 0, "strong": 1}, id="shed"),
        pytest.param({"strong": NO}, {"weak": 0, "strong": 0}, id="refused for what it says"),
    ],
)
async def test_demand_is_counted_for_the_tier_that_was_wanted(
    router: RouterOnFakes, broken: dict[str, Error], unmet: dict[str, int]
) -> None:
    router.hard()
    for name, error in broken.items():
        router.upstreams[name][0].error = error
    with suppress(Error):
        await router.routing.complete(a_request())
    tiers = router.demand.tiers
    assert {name: tiers[name].unmet_total for name in unmet} == unmet
    assert router.idle


async def test_demand_waits_until_the_answer_begins_and_then_runs(router: RouterOnFakes) -> None:
    router.hard()
    router.strong.hold_at = 0
    answering = asyncio.create_task(router.routing.complete(a_request()))
    await router.strong.gate.until(waiting=1)
    gauge = router.demand.tiers["strong"]
    assert (gauge.waiting, gauge.running) == (1, 0)
    router.strong.gate.open()
    await answering
    async with aclosing(router.routing.stream(a_request())) as items:
        await anext(items)
        assert (gauge.waiting, gauge.running) == (0, 1)
    assert (gauge.waiting, gauge.running) == (0, 0)


async def test_work_that_went_elsewhere_still_waits_for_the_tier_that_was_wanted(
    router: RouterOnFakes,
) -> None:
    router.hard()
    router.strong.error = DOWN
    async with aclosing(router.routing.stream(a_request())) as items:
        await anext(items)
        assert router.demand.tiers["strong"].waiting == 1
        assert router.demand.tiers["weak"].running == 0


async def test_a_request_keeps_to_the_catalogue_that_it_began_with(router: RouterOnFakes) -> None:
    router.easy()
    router.classifier.gate.close()
    answering = asyncio.create_task(router.routing.complete(a_request()))
    await router.classifier.gate.until(waiting=1)
    router.routing.catalogue = a_catalogue(
        a_policy("new", tiers=["other"], boundaries=[]), tiers=[a_tier("other")]
    )
    router.classifier.gate.open()
    record, _ = await answering
    assert record.decision is not None
    assert (record.decision.tier, record.decision.policy.name) == ("weak", "auto")
    assert record.usd > 0
    with pytest.raises(UnknownModel):
        await router.decided(a_request(model="auto"))


async def test_a_tier_that_is_dropped_during_a_request_is_like_one_that_is_down(
    router: RouterOnFakes,
) -> None:
    router.hard()
    router.classifier.gate.close()
    answering = asyncio.create_task(router.routing.complete(a_request()))
    await router.classifier.gate.until(waiting=1)
    router.dispatcher.fleets = {"weak": router.dispatcher.fleets["weak"]}
    router.classifier.gate.open()
    record, _ = await answering
    assert record.decision is not None
    assert (record.decision.tier, record.decision.reason) == ("weak", Reason.TIER_UNAVAILABLE)


async def test_retries_are_counted_in_the_record() -> None:
    router = await router_on_fakes(addresses=2)
    router.easy()
    router.upstreams["weak"][1].error = DOWN
    router.dispatcher.fleets["weak"].members[0].in_flight += 1  # so that the second is tried first
    record, _ = await router.routing.complete(a_request())
    assert record.retries == 1


async def test_every_request_earns_a_part_of_a_retry(router: RouterOnFakes) -> None:
    router.hard()
    router.strong.error = DOWN
    router.dispatcher.budget = RetryBudget(ratio=0.5, per_second=0.0, clock=router.clock)
    for _ in range(4):
        await router.routing.complete(a_request())
    assert [router.dispatcher.budget.spend() for _ in range(3)] == [True, True, False]


async def test_a_bug_is_recorded_as_such_and_spoils_nothing(router: RouterOnFakes) -> None:
    router.classifier.bug = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await router.decided()
    router.classifier.bug = None
    await router.decided()
    assert router.ledger.outcomes == ["INTERNAL", "OK"]


async def test_a_hundred_requests_at_once_each_get_their_own_answer(router: RouterOnFakes) -> None:
    router.routing.shares.slots = 1000
    router.classifier.score = lambda text: int(text) / 100
    requests = [a_request(str(number)) for number in range(100)]
    records = await asyncio.gather(*(router.streamed(request) for request in requests))
    tiers = [record.decision.tier for _, record in records if record.decision is not None]
    expected: Sequence[str] = ["weak"] * 70 + ["strong"] * 30
    assert tiers == expected
    assert router.ledger.outcomes == ["OK"] * 100
    assert router.idle


async def test_an_engine_that_never_begins_costs_its_patience_and_then_another_tier_answers() -> None:
    router = await router_on_fakes(patience=Patience(first_byte=0.02, whole=0.02, idle=5.0))
    router.hard()
    router.strong.hold_at = 0
    record, _ = await router.routing.complete(a_request())
    assert record.decision is not None
    assert record.decision.reason is Reason.TIER_UNAVAILABLE
    assert record.stages.dispatch >= 0.02


def test_the_fakes_usage_is_what_the_tests_count_on() -> None:
    assert (USAGE["prompt_tokens"], USAGE["completion_tokens"]) == (7, 3)
