"""The scaler as KEDA meets it: a process of its own, real routers' demand services, KEDA's own protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from fakes.demand_server import DemandServer, demand_server
from fixtures.scaler_process import HOLD_SECONDS, Keda, Scaler, scaler, until

pytestmark = pytest.mark.slow  # each test has a process of its own

NOBODY: Final = "127.0.0.1:9"


@pytest.fixture
async def routers() -> AsyncIterator[list[DemandServer]]:
    """Two routers."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(demand_server()) for _ in range(2)]


@pytest.fixture
async def one(routers: list[DemandServer]) -> AsyncIterator[Scaler]:
    """A scaler that hears both."""
    async with scaler(*(router.address for router in routers)) as one:
        await until(lambda: one.keda.serving("routers"))
        yield one


async def refusal_of(keda: Keda) -> tuple[grpc.StatusCode, str]:
    """How a question for demand is refused: code and reason."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await keda.demand()
    return refusal.value.code(), _reason(refusal.value)


def _reason(error: grpc.aio.AioRpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status_pb2.Status.FromString(value).details[0].Unpack(info)
    return str(info.reason)


async def becomes(keda: Keda, demand: float, *, meanwhile: Collection[float] | None = None) -> None:
    """Wait until the demand for strong is a number, and is none but certain ones until then."""

    async def is_so() -> bool:
        try:
            told = await keda.demand()
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - nothing else may be said meanwhile
            return False
        assert meanwhile is None or told in {demand, *meanwhile}
        return told == demand

    await until(is_so)


async def test_demand_of_all_routers_is_added_up_for_each_part(
    one: Scaler, routers: list[DemandServer]
) -> None:
    for router in routers:
        router.want("strong", waiting=2, running=3)
        router.want("classifier", waiting=4)
        router.want("router", running=9)
    await becomes(one.keda, 10)
    assert await one.keda.demand({"part": "tier/weak"}) == 0
    assert await one.keda.demand({"part": "classifier"}) == 8
    assert await one.keda.demand({"part": "router"}) == 18


async def test_a_workload_is_wanted_while_demand_is_above_its_activation(
    one: Scaler, routers: list[DemandServer]
) -> None:
    assert not await one.keda.active()
    routers[0].want("strong", waiting=2)
    await becomes(one.keda, 2)
    assert await one.keda.active()
    assert await one.keda.active({"part": "tier/strong", "activation": "1.5"})
    assert not await one.keda.active({"part": "tier/strong", "activation": "2"})


async def test_the_metric_and_its_target_are_told_even_when_nothing_is_known() -> None:
    async with scaler(NOBODY) as deaf:
        spec = await deaf.keda.spec({"part": "tier/strong", "targetPerReplica": "2.5"})
    assert (spec.metricName, spec.targetSizeFloat, spec.targetSize) == ("steersman-tier-strong", 2.5, 3)


async def test_a_metric_that_is_not_the_triggers_is_refused(one: Scaler) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="must be 'steersman-tier-strong'") as refusal:
        await one.keda.metric("steersman-tier-weak")
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_metadata_that_makes_no_sense_is_refused_by_every_method(one: Scaler) -> None:
    bad = {"part": "strong"}
    watch = one.keda.watch(bad)
    for question in (one.keda.spec(bad), one.keda.metric("x", bad), one.keda.active(bad), watch.read()):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await question
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.value.details() == (
            "scalerMetadata.part: must be tier/NAME, classifier or router, not 'strong'"
        )


async def test_a_tier_that_no_router_knows_is_no_idle_tier(one: Scaler) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="no router knows 'tier/gold'") as refusal:
        await one.keda.demand({"part": "tier/gold"})
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_demand_from_nothing_is_pushed_at_once(one: Scaler, routers: list[DemandServer]) -> None:
    watch = one.keda.watch()
    assert (await watch.read()).result is False
    started = time.perf_counter()
    routers[1].want("strong", waiting=1)
    assert (await watch.read()).result is True
    # A router looks for changes ten times a second, and the rest is milliseconds; a busy machine gets more.
    assert time.perf_counter() - started < 1.0
    routers[1].want("strong")
    assert (await watch.read()).result is False


async def test_activity_is_told_again_when_it_does_not_change(routers: list[DemandServer]) -> None:
    async with scaler(routers[0].address, RESEND_SECONDS=0.3) as one:
        watch = one.keda.watch()
        assert [(await watch.read()).result for _ in range(3)] == [False] * 3


async def test_a_stream_of_activity_ends_well_before_its_connection_is_cut(
    routers: list[DemandServer],
) -> None:
    async with scaler(routers[0].address, GRPC__MAX_CONNECTION_AGE_GRACE_SECONDS=2) as one:
        watch = one.keda.watch()
        assert (await watch.read()).result is False
        assert await watch.read() is grpc.aio.EOF
        assert await watch.code() is grpc.StatusCode.OK


async def test_requests_that_were_not_met_make_a_tier_grow_and_are_forgotten(
    one: Scaler, routers: list[DemandServer]
) -> None:
    watch = one.keda.watch()
    assert (await watch.read()).result is False
    routers[0].want("strong", unmet=3)
    assert (await watch.read()).result is True
    assert await one.keda.demand() == 3
    assert (await watch.read()).result is False
    assert await one.keda.demand() == 0


@pytest.mark.parametrize("what", ["dies", "stalls"])
async def test_a_silent_router_keeps_its_last_word_for_a_while_and_is_dropped_then(
    one: Scaler, routers: list[DemandServer], what: str
) -> None:
    routers[0].want("strong", running=7)
    routers[1].want("strong", running=2)
    await becomes(one.keda, 9)
    last_word = time.monotonic()
    if what == "dies":
        await routers[0].die()
    else:
        routers[0].stall()
    await until(lambda: _shows(one, 'steersman_scaler_routers{hearing="silent"} 1.0'))
    assert await one.keda.demand() == 9
    await becomes(one.keda, 2, meanwhile={9})
    assert time.monotonic() - last_word > HOLD_SECONDS - 0.5


async def test_with_no_router_heard_keda_gets_an_error_and_the_stream_says_nothing(
    one: Scaler, routers: list[DemandServer]
) -> None:
    routers[0].want("strong", running=7)
    await becomes(one.keda, 7)
    watch = one.keda.watch()
    assert (await watch.read()).result is True
    for router in routers:
        await router.die()
    assert await one.keda.demand() == 7
    await until(lambda: _refuses(one.keda))
    assert await refusal_of(one.keda) == (grpc.StatusCode.UNAVAILABLE, "NO_ROUTER_HEARD")
    await until(lambda: _is_deaf(one.keda))
    assert await one.keda.serving("")
    next_word = asyncio.ensure_future(watch.read())
    await asyncio.wait([next_word], timeout=1.5)
    assert not next_word.done()
    for router in routers:
        await router.start()
    assert (await asyncio.wait_for(next_word, 20)).result is False
    assert await one.keda.demand() == 0


async def test_before_a_router_is_heard_keda_gets_an_error() -> None:
    async with scaler(NOBODY) as deaf:
        assert await refusal_of(deaf.keda) == (grpc.StatusCode.UNAVAILABLE, "NO_ROUTER_HEARD")
        with pytest.raises(grpc.aio.AioRpcError):
            await deaf.keda.active()
        assert not await deaf.keda.serving("routers")
        assert await deaf.keda.serving("")


async def test_a_router_that_restarts_counts_as_what_it_is_now(
    one: Scaler, routers: list[DemandServer]
) -> None:
    routers[0].want("strong", running=7, unmet=100)
    routers[1].want("strong", running=1)
    await becomes(one.keda, 108)
    await becomes(one.keda, 8)
    before = routers[0].replica
    await routers[0].restart()
    assert routers[0].replica != before
    await becomes(one.keda, 1)
    routers[0].want("strong", running=2, unmet=1)
    await becomes(one.keda, 4)


async def test_a_scaler_that_starts_never_tells_a_part_of_the_demand(routers: list[DemandServer]) -> None:
    routers[0].want("strong", running=4)
    routers[1].want("strong", running=5)
    routers[1].stall()
    async with scaler(*(router.address for router in routers), COUNTING__SETTLE_SECONDS=30) as one:
        await until(lambda: _shows(one, 'steersman_scaler_routers{hearing="heard"} 1.0'))
        assert await refusal_of(one.keda) == (grpc.StatusCode.UNAVAILABLE, "ROUTERS_NOT_HEARD_YET")
        routers[1].go_on()
        await becomes(one.keda, 9)


async def test_a_router_that_never_speaks_is_not_waited_for_for_ever(routers: list[DemandServer]) -> None:
    routers[0].want("strong", running=4)
    async with scaler(routers[0].address, NOBODY) as one:
        await becomes(one.keda, 4)


async def test_two_scalers_tell_the_same_and_need_nothing_of_each_other(
    one: Scaler, routers: list[DemandServer]
) -> None:
    async with scaler(*(router.address for router in routers)) as other:
        routers[0].want("strong", running=3)
        routers[1].want("strong", waiting=4)
        for each in (one, other):
            await becomes(each.keda, 7)
        assert await one.terminate() == 0
        routers[1].want("strong", waiting=5)
        await becomes(other.keda, 8)


async def test_on_sigterm_streams_end_well_and_so_does_the_process(one: Scaler) -> None:
    watch = one.keda.watch()
    await watch.read()
    started = time.monotonic()
    status = asyncio.ensure_future(one.terminate())
    assert await watch.read() is grpc.aio.EOF
    assert await watch.code() is grpc.StatusCode.OK
    assert await status == 0
    assert time.monotonic() - started < 5


async def test_routers_are_found_by_name(routers: list[DemandServer]) -> None:
    port = routers[0].address.rpartition(":")[2]
    async with scaler(f"dns:///localhost:{port}", COUNTING__SETTLE_SECONDS=0.5) as one:
        routers[0].want("strong", running=3)
        await becomes(one.keda, 3)


async def test_metrics_show_demand_and_who_is_heard(one: Scaler, routers: list[DemandServer]) -> None:
    routers[0].want("strong", waiting=1, running=2, unmet=3)
    for line in (
        'steersman_scaler_demand{part="tier-strong",state="waiting"} 1.0',
        'steersman_scaler_demand{part="tier-strong",state="running"} 2.0',
        'steersman_scaler_demand{part="router",state="running"} 0.0',
        'steersman_scaler_routers{hearing="heard"} 2.0',
        'steersman_scaler_routers{hearing="silent"} 0.0',
        "steersman_scaler_demand_known 1.0",
        "steersman_scaler_oldest_report_seconds 0.",
    ):
        await until(lambda line=line: _shows(one, line))  # type: ignore[misc]  # bound early on purpose


async def _shows(one: Scaler, line: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(one.metrics) as response:
        return f"\n{line}" in await response.text()


async def _refuses(keda: Keda) -> bool:
    try:
        await keda.demand()
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.UNAVAILABLE
    return False


async def _is_deaf(keda: Keda) -> bool:
    return not await keda.serving("routers")
