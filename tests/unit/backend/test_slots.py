from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings, strategies as st

from steersman.backend.slots import QUEUE_FULL, QUEUE_TIMEOUT, Slots
from steersman.runtime.errors import Overloaded


async def turns(count: int = 3) -> None:
    """Let every task that can move do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def wait_for(slots: Slots, patience: float = 60) -> asyncio.Task[None]:
    return asyncio.create_task(slots.acquire(patience=patience))


async def test_free_slots_are_taken_at_once() -> None:
    slots = Slots(slots=2, length=0)
    await slots.acquire(patience=0)
    await slots.acquire(patience=0)
    assert (slots.running, slots.waiting) == (2, 0)


async def test_a_slot_given_back_goes_to_who_waits_longest() -> None:
    slots = Slots(slots=1, length=3)
    await slots.acquire(patience=1)
    order: list[int] = []

    async def one(number: int) -> None:
        await slots.acquire(patience=60)
        order.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(one(number))
        await turns()
        assert (slots.running, slots.waiting) == (1, 3)
        for left in (2, 1, 0):
            slots.release(seconds=None)
            await turns()
            assert (slots.running, slots.waiting) == (1, left)
    assert order == [0, 1, 2]


async def test_a_newcomer_does_not_overtake_who_was_handed_a_slot() -> None:
    slots = Slots(slots=1, length=1)
    await slots.acquire(patience=1)
    waiting = wait_for(slots)
    await turns()
    slots.release(seconds=None)
    newcomer = wait_for(slots, patience=0.01)
    with pytest.raises(Overloaded):
        await newcomer
    await waiting
    assert slots.running == 1


async def test_a_full_queue_refuses_and_says_when_a_place_will_be_free() -> None:
    slots = Slots(slots=4, length=0)
    for _ in range(4):
        await slots.acquire(patience=1)
    slots.release(seconds=8.0)
    await slots.acquire(patience=1)
    with pytest.raises(Overloaded) as caught:
        await slots.acquire(patience=1)
    assert caught.value.reason == QUEUE_FULL
    assert caught.value.retry_after_seconds == pytest.approx(2.0)


async def test_answers_that_tell_nothing_do_not_change_the_estimate() -> None:
    slots = Slots(slots=1, length=0)
    for seconds in (6.0, None, None):
        await slots.acquire(patience=1)
        slots.release(seconds=seconds)
    await slots.acquire(patience=1)
    with pytest.raises(Overloaded) as caught:
        await slots.acquire(patience=1)
    assert caught.value.retry_after_seconds == pytest.approx(6.0)


@pytest.mark.parametrize(("seconds", "told"), [(0.0001, 0.1), (100_000, 60)])
async def test_the_estimate_is_bounded(seconds: float, told: float) -> None:
    slots = Slots(slots=1, length=0)
    await slots.acquire(patience=1)
    slots.release(seconds=seconds)
    await slots.acquire(patience=1)
    with pytest.raises(Overloaded) as caught:
        await slots.acquire(patience=1)
    assert caught.value.retry_after_seconds == told


async def test_who_runs_out_of_patience_frees_its_place() -> None:
    slots = Slots(slots=1, length=1)
    await slots.acquire(patience=1)
    with pytest.raises(Overloaded) as caught:
        await slots.acquire(patience=0.001)
    assert caught.value.reason == QUEUE_TIMEOUT
    assert slots.waiting == 0


async def test_who_leaves_frees_its_place() -> None:
    slots = Slots(slots=1, length=1)
    await slots.acquire(patience=1)
    waiting = wait_for(slots)
    await turns()
    waiting.cancel()
    await turns()
    assert slots.waiting == 0
    second = wait_for(slots)
    await turns()
    slots.release(seconds=None)
    await second


async def test_who_leaves_just_as_it_gets_a_slot_hands_it_on() -> None:
    slots = Slots(slots=1, length=2)
    await slots.acquire(patience=1)
    first, second = wait_for(slots), wait_for(slots)
    await turns()
    slots.release(seconds=None)
    first.cancel()
    await second
    assert (slots.running, slots.waiting) == (1, 0)


async def test_tenants_take_turns_at_slots() -> None:
    slots = Slots(slots=1, length=10)
    await slots.acquire(patience=1)
    order: list[str] = []

    async def one(tenant: str) -> None:
        await slots.acquire(patience=60, tenant=tenant)
        order.append(tenant)
        slots.release(seconds=None)

    async with asyncio.TaskGroup() as tasks:
        for tenant in "aaaab":
            tasks.create_task(one(tenant))
        await turns()
        slots.release(seconds=None)
    assert order == list("abaaa")


async def test_a_place_is_given_to_a_tenant_that_has_fewer_and_who_had_it_is_refused() -> None:
    slots = Slots(slots=1, length=2)
    await slots.acquire(patience=1)
    many = [asyncio.create_task(slots.acquire(patience=60, tenant="many")) for _ in range(2)]
    await turns()
    few = asyncio.create_task(slots.acquire(patience=60, tenant="few"))
    with pytest.raises(Overloaded) as caught:
        await many[1]
    assert caught.value.reason == QUEUE_FULL
    for task in (many[0], few):
        slots.release(seconds=None)
        await task
    assert (slots.running, slots.waiting) == (1, 0)


async def test_who_leaves_just_as_its_place_is_given_away_takes_no_slot() -> None:
    slots = Slots(slots=1, length=2)
    await slots.acquire(patience=1)
    many = [asyncio.create_task(slots.acquire(patience=60, tenant="many")) for _ in range(2)]
    await turns()
    few = asyncio.create_task(slots.acquire(patience=60, tenant="few"))
    await asyncio.sleep(0)
    many[1].cancel()
    await turns()
    slots.release(seconds=None)
    slots.release(seconds=None)
    await asyncio.gather(many[0], few)
    assert slots.running == 1


async def test_more_slots_let_more_run_at_once() -> None:
    slots = Slots(slots=1, length=5)
    await slots.acquire(patience=1)
    waiting = [wait_for(slots) for _ in range(3)]
    await turns()
    slots.resize(3)
    await turns()
    assert (slots.running, slots.waiting) == (3, 1)
    slots.release(seconds=None)
    await asyncio.gather(*waiting)


async def test_fewer_slots_let_what_runs_finish_first() -> None:
    slots = Slots(slots=2, length=5)
    await slots.acquire(patience=1)
    await slots.acquire(patience=1)
    slots.resize(1)
    waiting = wait_for(slots)
    slots.release(seconds=None)
    await turns()
    assert (slots.running, slots.waiting) == (1, 1)
    slots.release(seconds=None)
    await waiting


ACTIONS = st.lists(
    st.one_of(
        st.just("arrive"),
        st.just("release"),
        st.tuples(st.just("leave"), st.integers(0, 20)),
        st.tuples(st.just("resize"), st.integers(1, 4)),
        st.just("turn"),
    ),
    max_size=60,
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(slots=st.integers(1, 3), length=st.integers(0, 3), actions=ACTIONS)
def test_no_slot_is_ever_lost_or_made_up(
    slots: int, length: int, actions: list[str | tuple[str, int]]
) -> None:
    asyncio.run(_play(slots, length, actions))


def holders(tasks: list[asyncio.Task[None]]) -> list[asyncio.Task[None]]:
    return [task for task in tasks if task.done() and not task.cancelled() and task.exception() is None]


async def _play(count: int, length: int, actions: list[str | tuple[str, int]]) -> None:
    slots = Slots(slots=count, length=length)
    tasks: list[asyncio.Task[None]] = []
    for action in actions:
        match action:
            case "arrive":
                tasks.append(wait_for(slots))
            case "release" if held := holders(tasks):
                tasks.remove(held[0])
                slots.release(seconds=1.0)
            case ("leave", int(number)) if tasks:
                tasks[number % len(tasks)].cancel()
            case ("resize", int(number)):
                slots.resize(number)
            case _:
                await turns()
        assert slots.running <= 4
        assert slots.waiting <= length
    await turns(5)
    assert slots.running == len(holders(tasks))
    assert slots.waiting == sum(not task.done() for task in tasks)
    assert slots.waiting == 0 or slots.running >= slots.total
    while slots.running:
        slots.release(seconds=None)
        await turns()
    assert slots.waiting == 0
    await asyncio.gather(*tasks, return_exceptions=True)
