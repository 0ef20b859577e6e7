from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.addresses import FakeAddresses
from fakes.upstream import FakeUpstream
from steersman.router.fleet import Fleet
from steersman.router.model import UpstreamSpec
from steersman.router.ports import Load, Upstream
from steersman.router.upstreams import Upstreams
from steersman.router.waiting import Bounds, WaitingRoom
from steersman.runtime.breaker import Breaker

WEAK = UpstreamSpec("backend", "weak:9001")
STRONG = UpstreamSpec("openai", "https://strong.example/v1", "key")
OTHER = UpstreamSpec("backend", "other:9001")


class Made:
    """What was connected, in the order in which it was."""

    def __init__(self) -> None:
        self.clients: dict[str, FakeUpstream] = {}
        self.sources: dict[str, FakeAddresses] = {}
        """By target."""

    def fleet(self, spec: UpstreamSpec) -> Fleet[Upstream]:
        async def connect(address: str) -> Upstream:
            self.clients[spec.target] = FakeUpstream(address)
            return self.clients[spec.target]

        source = self.sources[spec.target] = FakeAddresses()
        return Fleet(spec.target, source, connect, lambda: Breaker(threshold=1, cooldown=1.0))


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
async def upstreams(made: Made) -> AsyncIterator[Upstreams]:
    async with Upstreams(made.fleet, WaitingRoom(Bounds())) as upstreams:
        await upstreams.apply({"weak": WEAK, "strong": STRONG})
        yield upstreams


async def one_look(upstreams: Upstreams) -> None:
    """Follow the addresses until that has been done once."""
    following = asyncio.create_task(upstreams.keep_fresh(0.0))
    for _ in range(10):
        await asyncio.sleep(0)
    following.cancel()


async def waits(upstreams: Upstreams, tier: str) -> None:
    """Wait in the room for a tier."""
    with upstreams.room.place(tier, size=1, seconds=5.0) as place:
        await place.turn()


async def test_each_tier_has_a_fleet(upstreams: Upstreams) -> None:
    assert {name: fleet.target for name, fleet in upstreams.fleets.items()} == {
        "weak": WEAK.target,
        "strong": STRONG.target,
    }
    assert len(upstreams.breakers) == 2


async def test_a_tier_whose_upstream_has_not_changed_keeps_its_fleet(upstreams: Upstreams) -> None:
    weak, strong = upstreams.fleets["weak"], upstreams.fleets["strong"]
    await upstreams.apply({"weak": WEAK, "strong": OTHER})
    assert upstreams.fleets["weak"] is weak
    assert upstreams.fleets["strong"] is not strong


async def test_a_new_key_is_a_new_fleet(upstreams: Upstreams) -> None:
    strong = upstreams.fleets["strong"]
    await upstreams.apply({"weak": WEAK, "strong": UpstreamSpec("openai", STRONG.target, "new key")})
    assert upstreams.fleets["strong"] is not strong


async def test_the_dispatcher_sees_changes_in_the_mapping_that_it_was_given(upstreams: Upstreams) -> None:
    seen = upstreams.fleets
    await upstreams.apply({"weak": WEAK, "third": OTHER})
    assert set(seen) == {"weak", "third"}


async def test_a_fleet_without_a_tier_is_closed_when_it_is_idle(upstreams: Upstreams, made: Made) -> None:
    await upstreams.apply({"weak": WEAK})
    await one_look(upstreams)
    assert made.clients[STRONG.target].closed == 1
    assert made.clients[WEAK.target].closed == 0


async def test_a_fleet_without_a_tier_finishes_its_work_first(upstreams: Upstreams, made: Made) -> None:
    member = upstreams.fleets["strong"].pick()
    assert member is not None
    with member.lease():
        await upstreams.apply({"weak": WEAK})
        await one_look(upstreams)
        assert made.clients[STRONG.target].closed == 0
    await one_look(upstreams)
    assert made.clients[STRONG.target].closed == 1


async def test_leaving_closes_everything(made: Made) -> None:
    async with Upstreams(made.fleet, WaitingRoom(Bounds())) as upstreams:
        await upstreams.apply({"weak": WEAK, "strong": STRONG})
        await upstreams.apply({"weak": OTHER})
    assert [client.closed for client in made.clients.values()] == [1, 1, 1]


async def test_the_first_address_of_a_tier_wakes_whoever_waits_for_it(
    upstreams: Upstreams, made: Made
) -> None:
    made.sources[STRONG.target].found = ()
    await one_look(upstreams)
    assert upstreams.fleets["strong"].empty
    waiting = asyncio.create_task(waits(upstreams, "strong"))
    await one_look(upstreams)
    assert not waiting.done()
    made.sources[STRONG.target].found = ("strong-0:9001",)
    await one_look(upstreams)
    await waiting


async def test_a_new_upstream_of_a_tier_wakes_whoever_waits_for_it(upstreams: Upstreams, made: Made) -> None:
    made.sources[STRONG.target].found = ()
    await one_look(upstreams)
    waiting = asyncio.create_task(waits(upstreams, "strong"))
    await asyncio.sleep(0)
    await upstreams.apply({"weak": WEAK, "strong": OTHER})
    await waiting


async def test_a_tier_that_is_waited_for_is_looked_for_more_often_than_others(
    upstreams: Upstreams, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.sources[STRONG.target].found = ()
    await one_look(upstreams)
    for source in made.sources.values():
        source.asked.clear()
    monkeypatch.setattr("steersman.router.upstreams.SOON_SECONDS", 0.001)
    following = asyncio.create_task(upstreams.keep_fresh(3600.0))
    waiting = asyncio.create_task(waits(upstreams, "strong"))
    async with asyncio.timeout(5.0):
        while len(made.sources[STRONG.target].asked) < 3:  # noqa: ASYNC110 - the fake tells nobody who asks
            await asyncio.sleep(0.001)
        assert made.sources[WEAK.target].asked == []
        made.sources[STRONG.target].found = ("strong-0:9001",)
        await waiting
    following.cancel()


async def test_a_name_that_is_slow_to_resolve_delays_no_other(upstreams: Upstreams, made: Made) -> None:
    made.sources[WEAK.target].gate.close()
    made.sources[STRONG.target].found = ()
    await one_look(upstreams)
    assert upstreams.fleets["strong"].empty
    made.sources[WEAK.target].gate.open()


async def test_many_who_find_a_tier_down_look_for_its_addresses_once(
    upstreams: Upstreams, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = made.sources[STRONG.target]
    source.asked.clear()
    source.found = ()
    monkeypatch.setattr("steersman.router.upstreams.SOON_SECONDS", 0.0)
    await upstreams.look("strong")
    monkeypatch.setattr("steersman.router.upstreams.SOON_SECONDS", 60.0)
    await asyncio.gather(*(upstreams.look("strong") for _ in range(20)))
    assert source.asked == [STRONG.target]
    assert upstreams.fleets["strong"].empty


async def test_a_source_that_is_slow_to_answer_holds_nobody_up_for_long(
    upstreams: Upstreams, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steersman.router.upstreams.SOON_SECONDS", 0.0)
    monkeypatch.setattr("steersman.router.upstreams._LOOK_SECONDS", 0.01)
    made.sources[STRONG.target].gate.close()
    async with asyncio.timeout(5.0):
        await asyncio.gather(*(upstreams.look("strong") for _ in range(5)))
    assert not upstreams.fleets["strong"].empty


async def test_a_tier_that_there_is_not_is_not_looked_for(upstreams: Upstreams, made: Made) -> None:
    asked = len(made.sources[STRONG.target].asked)
    await upstreams.look("third")
    assert len(made.sources[STRONG.target].asked) == asked


async def test_pods_are_asked_for_their_load_also_where_there_is_one_alone() -> None:
    says = {"a:1": Load(2, 4, 4), "b:1": None, "alone:1": Load(0, 1, 4)}

    def fleet(spec: UpstreamSpec) -> Fleet[Upstream]:
        async def connect(address: str) -> Upstream:
            return FakeUpstream(address, says=says[address])

        source = FakeAddresses(tuple(spec.target.split(",")))
        return Fleet(spec.target, source, connect, lambda: Breaker(threshold=1, cooldown=1.0))

    room = WaitingRoom(Bounds(10, 1000, 10.0, 10), on_end=lambda *_: None)
    async with Upstreams(fleet, room) as upstreams:
        several, one = UpstreamSpec("backend", "a:1,b:1"), UpstreamSpec("backend", "alone:1")
        await upstreams.apply({"weak": several, "strong": one})
        await upstreams.ask_for_loads()
        loads = {m.address: m.load for tier in upstreams.fleets.values() for m in tier.members}
    assert loads == {"a:1": Load(2, 4, 4), "b:1": None, "alone:1": Load(0, 1, 4)}


async def test_what_waits_for_a_pod_that_answers_no_more_is_told_so() -> None:
    pods = {address: FakeUpstream(address, says=Load(0, 1, 4)) for address in ("a:1", "b:1")}

    def fleet(spec: UpstreamSpec) -> Fleet[Upstream]:
        async def connect(address: str) -> Upstream:
            return pods[address]

        source = FakeAddresses(tuple(pods))
        return Fleet(spec.target, source, connect, lambda: Breaker(threshold=1, cooldown=1.0))

    told: list[int] = []
    asked = 0
    async with Upstreams(fleet, WaitingRoom(Bounds())) as upstreams:
        await upstreams.apply({"weak": WEAK})
        await upstreams.ask_for_loads()
        pods["a:1"].says = None
        with upstreams.fleets["weak"].members[0].awaited(lambda: told.append(asked)):
            while asked < 4:
                asked += 1
                await upstreams.ask_for_loads()
    assert told == [3, 4]


async def test_many_pods_are_asked_for_their_load_in_turns() -> None:
    asked: list[str] = []

    class Asked(FakeUpstream):
        async def load(self) -> Load | None:
            asked.append(self.address)
            return Load(0, 1, 4)

    pods = [f"pod-{number}:1" for number in range(100)]

    def fleet(spec: UpstreamSpec) -> Fleet[Upstream]:
        async def connect(address: str) -> Upstream:
            return Asked(address)

        return Fleet(
            spec.target, FakeAddresses(tuple(pods)), connect, lambda: Breaker(threshold=1, cooldown=1.0)
        )

    async with Upstreams(fleet, WaitingRoom(Bounds())) as upstreams:
        await upstreams.apply({"weak": WEAK})
        for rounds in range(1, 5):
            await upstreams.ask_for_loads()
            assert len(asked) <= 64 * rounds
    assert sorted(asked) == sorted(2 * pods)


async def test_where_one_upstream_cannot_be_had_all_tiers_stay_as_they_are(made: Made) -> None:
    new = UpstreamSpec("backend", "weak-2:9001")
    missing = UpstreamSpec("openai", "https://strong.example/v1", ca_file=Path("/not/mounted/yet.crt"))

    def fleet(spec: UpstreamSpec) -> Fleet[Upstream]:
        if spec == missing:
            raise FileNotFoundError(str(missing.ca_file))
        return made.fleet(spec)

    async with Upstreams(fleet, WaitingRoom(Bounds())) as upstreams:
        await upstreams.apply({"weak": WEAK, "strong": STRONG})
        before = dict(upstreams.fleets)
        with pytest.raises(FileNotFoundError):
            await upstreams.apply({"weak": new, "strong": missing})
        assert upstreams.fleets == before
        assert made.clients[new.target].closed == 1


async def test_a_pod_that_leaves_or_fails_while_it_is_asked_keeps_the_others_from_nothing() -> None:
    class Leaving(FakeUpstream):
        async def load(self) -> Load | None:
            raise asyncio.CancelledError  # as a call does whose channel is closed

    class Odd(FakeUpstream):
        async def load(self) -> Load | None:
            raise ValueError("as the test wishes")

    pods = [Leaving("a:1"), Odd("b:1"), FakeUpstream("c:1", says=Load(0, 1, 4))]

    def fleet(spec: UpstreamSpec) -> Fleet[Upstream]:
        async def connect(address: str) -> Upstream:
            return next(pod for pod in pods if pod.address == address)

        source = FakeAddresses(tuple(pod.address for pod in pods))
        return Fleet(spec.target, source, connect, lambda: Breaker(threshold=1, cooldown=1.0))

    async with Upstreams(fleet, WaitingRoom(Bounds())) as upstreams:
        await upstreams.apply({"weak": WEAK})
        await upstreams.ask_for_loads()
        members = upstreams.fleets["weak"].members
        assert [(member.load is not None, member.missed) for member in members] == [
            (False, 1),
            (False, 1),
            (True, 0),
        ]
