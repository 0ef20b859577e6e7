"""The wanted tier has no address: the request waits for it, or another tier answers, as the policy says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from fakes.addresses import FakeAddresses
from fakes.catalogue import a_catalogue, a_policy
from fakes.router import RouterOnFakes, a_request, router_on_fakes
from fakes.upstream import DOWN, FULL, NO
from steersman.openai_api import body
from steersman.openai_api.body import ChatBody
from steersman.router import waiting
from steersman.router.accounting import Record
from steersman.router.fleet import SOON_SECONDS
from steersman.router.model import Reason, WhenCold
from steersman.router.waiting import Bounds
from steersman.runtime.errors import DeadlineExceeded, Error, Overloaded, Refused, Unavailable

Answering = asyncio.Task[tuple[Record, bytes]]
NO_TIME: Final = Bounds(seconds=0.01)
NO_ROOM: Final = Bounds(requests=0)


async def cold(
    when_cold: WhenCold, *, bounds: Bounds | None = None, tier_fallback: bool = True
) -> RouterOnFakes:
    """A router whose strong tier, which everybody wants, is cold."""
    policy = a_policy(when_cold=when_cold, tier_fallback=tier_fallback)
    router = await router_on_fakes(a_catalogue(policy), bounds=bounds)
    router.hard()
    await router.sleep("strong")
    return router


async def a_wait(router: RouterOnFakes, *, model: str = "", seconds: float = 60.0) -> Answering:
    """A request that has gone into the waiting room."""
    before = router.room.requests
    answering = asyncio.create_task(router.routing.complete(a_request(model=model, seconds=seconds)))
    await router.until_waiting(before + 1)
    return answering


def told(record: Record) -> tuple[str, str, Reason]:
    assert record.decision is not None
    return record.decision.tier, record.decision.wanted_tier, record.decision.reason


@pytest.mark.parametrize("stream", [True, False])
async def test_another_tier_answers_at_once_where_the_policy_says_so(*, stream: bool) -> None:
    router = await cold(WhenCold.OTHER)
    if stream:
        _, record = await router.streamed(a_request())
    else:
        record, _ = await router.routing.complete(a_request())
    assert told(record) == ("weak", "strong", Reason.TIER_COLD)
    assert record.waited_seconds == 0.0
    assert router.demand.tiers["strong"].unmet_total == 1
    assert router.idle


async def test_a_request_waits_for_its_tier_where_the_policy_says_so() -> None:
    router = await cold(WhenCold.WAIT)
    answering = await a_wait(router)
    assert router.weak.seen == []
    await router.wake("strong")
    record, _ = await answering
    assert told(record) == ("strong", "strong", Reason.SCORE)
    assert record.waited_seconds > 0.0
    assert record.first_byte_seconds is not None
    assert record.first_byte_seconds >= record.waited_seconds
    assert router.idle


async def test_a_stream_waits_too() -> None:
    router = await cold(WhenCold.WAIT)
    answering = asyncio.create_task(router.streamed(a_request()))
    await router.until_waiting(1)
    await router.wake("strong")
    _, record = await answering
    assert told(record) == ("strong", "strong", Reason.SCORE)
    assert router.idle


async def test_the_time_in_the_room_is_no_overhead() -> None:
    router = await cold(WhenCold.WAIT)
    answering = await a_wait(router)
    await asyncio.sleep(0.05)
    await router.wake("strong")
    record, _ = await answering
    assert record.waited_seconds >= 0.05
    assert 0.0 < record.stages.dispatch < 0.05


async def test_who_waits_is_demand_for_the_tier_that_is_waited_for() -> None:
    router = await cold(WhenCold.WAIT)
    answering = await a_wait(router)
    gauge = router.demand.tiers["strong"]
    assert (gauge.waiting, gauge.running, gauge.unmet_total) == (1, 0, 0)
    await router.wake("strong")
    await answering
    assert (gauge.waiting, gauge.unmet_total) == (0, 0)


@pytest.mark.parametrize("when_cold", WhenCold)
async def test_who_insists_on_a_tier_waits_for_it_whatever_the_policies_say(when_cold: WhenCold) -> None:
    router = await cold(when_cold)
    answering = await a_wait(router, model="strong")
    await router.wake("strong")
    record, _ = await answering
    assert told(record) == ("strong", "strong", Reason.OVERRIDE)


async def test_a_request_waits_where_no_other_tier_may_answer() -> None:
    router = await cold(WhenCold.OTHER, tier_fallback=False)
    answering = await a_wait(router)
    await router.wake("strong")
    assert told((await answering)[0]) == ("strong", "strong", Reason.SCORE)


async def test_a_request_waits_where_no_other_tier_can_answer() -> None:
    router = await cold(WhenCold.OTHER)
    with_image = replace(a_request(), body=_with_image())
    answering = asyncio.create_task(router.routing.complete(with_image))
    await router.until_waiting(1)
    await router.wake("strong")
    assert told((await answering)[0])[0] == "strong"


async def test_a_request_waits_for_the_tier_it_wants_when_all_are_cold() -> None:
    router = await cold(WhenCold.OTHER)
    await router.sleep("weak")
    answering = await a_wait(router)
    await router.wake("strong")
    assert told((await answering)[0]) == ("strong", "strong", Reason.SCORE)


@pytest.mark.parametrize("bounds", [NO_TIME, NO_ROOM], ids=["no time", "no room"])
async def test_who_waits_in_vain_is_answered_by_another_tier_that_may(bounds: Bounds) -> None:
    router = await cold(WhenCold.WAIT, bounds=bounds)
    record, _ = await router.routing.complete(a_request())
    assert told(record) == ("weak", "strong", Reason.TIER_COLD)
    assert router.demand.tiers["strong"].unmet_total == 1
    assert router.idle


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        pytest.param(NO_TIME, "TIER_COLD", id="no time"),
        pytest.param(NO_ROOM, "WAITING_ROOM_FULL", id="no room"),
    ],
)
async def test_who_waits_in_vain_and_has_no_other_tier_is_told_when_to_come_back(
    bounds: Bounds, reason: str
) -> None:
    router = await cold(WhenCold.WAIT, bounds=bounds, tier_fallback=False)
    with pytest.raises(Unavailable) as refused:
        await router.routing.complete(a_request())
    assert refused.value.retry_after_seconds is not None
    assert router.ledger.outcomes == [reason]
    assert router.demand.tiers["strong"].unmet_total == 1
    assert router.idle


async def test_half_of_the_time_is_left_for_another_tier_that_may_answer() -> None:
    router = await cold(WhenCold.WAIT)
    record, _ = await router.routing.complete(a_request(seconds=0.2))
    assert told(record) == ("weak", "strong", Reason.TIER_COLD)
    assert 0.05 < record.waited_seconds < 0.2


async def test_a_wait_lasts_to_the_deadline_and_no_longer_where_no_other_tier_may_answer() -> None:
    router = await cold(WhenCold.WAIT, tier_fallback=False)
    with pytest.raises(DeadlineExceeded):
        await router.routing.complete(a_request(seconds=0.02))
    assert router.idle


async def test_a_caller_who_leaves_gives_up_the_place_at_once() -> None:
    router = await cold(WhenCold.WAIT, bounds=Bounds(requests=1))
    answering = await a_wait(router)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert (router.room.requests, router.room.size) == (0, 0)
    assert router.ledger.outcomes == ["CANCELLED"]
    assert router.idle
    await router.wake("strong")
    assert router.strong.seen == []


async def test_the_size_of_who_waits_is_that_of_the_body() -> None:
    router = await cold(WhenCold.WAIT)
    answering = await a_wait(router)
    held = router.room.size
    await router.wake("strong")
    await answering
    assert held == len(router.strong.seen[0].body)


async def test_requests_go_in_the_order_in_which_they_came() -> None:
    router = await cold(WhenCold.WAIT, bounds=Bounds(at_once=1))
    waits = []
    for number in range(5):
        waits.append(asyncio.create_task(router.routing.complete(a_request(f"question {number}"))))
        await router.until_waiting(number + 1)
    await router.wake("strong")
    await asyncio.gather(*waits)
    asked = [body.parse(each.body, max_messages=1).turns[0][1] for each in router.strong.seen]
    assert asked == [f"question {number}" for number in range(5)]


@pytest.mark.parametrize("trouble", [DOWN, FULL], ids=["not listening yet", "full"])
async def test_who_has_waited_is_not_lost_to_a_pod_that_does_not_take_requests_yet(
    trouble: Error, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.001)
    router = await cold(WhenCold.WAIT)
    answering = await a_wait(router)
    router.strong.error = trouble
    await router.wake("strong")
    async with asyncio.timeout(5.0):
        while not router.strong.seen:  # noqa: ASYNC110 - the fake tells nobody who comes
            await asyncio.sleep(0)
    router.strong.error = None
    router.clock.advance(10.0)  # for the breaker, which may have opened
    assert told((await answering)[0]) == ("strong", "strong", Reason.SCORE)
    assert router.idle


async def test_who_has_waited_is_told_what_the_engine_says_of_the_request() -> None:
    router = await cold(WhenCold.WAIT)
    answering = await a_wait(router)
    router.strong.error = NO
    await router.wake("strong")
    with pytest.raises(Refused):
        await answering
    assert router.idle


async def test_a_tier_that_stays_full_refuses_and_is_not_stood_in_for() -> None:
    router = await cold(WhenCold.WAIT, bounds=Bounds(seconds=0.1))
    answering = await a_wait(router)
    router.strong.error = FULL
    await router.wake("strong")
    with pytest.raises(Overloaded) as refused:
        await answering
    assert refused.value is FULL
    assert router.weak.seen == []


async def test_a_tier_that_is_down_is_not_waited_for() -> None:
    router = await cold(WhenCold.WAIT)
    await router.wake("strong")
    router.strong.error = DOWN
    record, _ = await router.routing.complete(a_request())
    assert told(record) == ("weak", "strong", Reason.TIER_UNAVAILABLE)


@pytest.mark.parametrize("when_cold", WhenCold)
async def test_a_tier_whose_last_address_has_left_since_the_last_look_is_cold_and_not_down(
    when_cold: WhenCold,
) -> None:
    router = await cold(when_cold, tier_fallback=when_cold is WhenCold.OTHER)
    await router.wake("strong")
    router.strong.error = DOWN
    router.dispatcher.fleets["strong"].source = FakeAddresses(())
    router.clock.advance(SOON_SECONDS)
    answering = asyncio.create_task(router.routing.complete(a_request()))
    if when_cold is WhenCold.OTHER:
        assert told((await answering)[0]) == ("weak", "strong", Reason.TIER_COLD)
        return
    await router.until_waiting(1)
    router.strong.error = None
    await router.wake("strong")
    assert told((await answering)[0]) == ("strong", "strong", Reason.SCORE)


async def test_a_router_that_drains_sends_away_who_waits() -> None:
    router = await cold(WhenCold.WAIT, tier_fallback=False)
    answering = await a_wait(router)
    router.room.close()
    with pytest.raises(Unavailable):
        await answering
    assert router.idle


async def test_deciding_alone_waits_for_nobody() -> None:
    router = await cold(WhenCold.WAIT)
    assert (await router.decided()).tier == "strong"


def _with_image() -> ChatBody:
    return replace(a_request().body, images=True)
