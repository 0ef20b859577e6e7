"""The door before the HTTP edge: what becomes of requests when more come than are taken up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import openai
import orjson
import pytest
import uvloop
from hypothesis import given, strategies as st

from fakes.clock import FakeClock
from fakes.router import RouterOnFakes, router_on_fakes
from fakes.served import over_http
from fixtures.callers import body
from steersman.router.http_door import Door

PATH = "/v1/chat/completions"
AGE_SECONDS = 10.0


def asking(
    sent: bytes = b"{}", headers: Mapping[str, str] | None = None, *, path: str = PATH, version: str = "1.1"
) -> bytes:
    """A request as it is on the wire."""
    told = {"Host": "x", "Content-Length": str(len(sent)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
    return f"POST {path} HTTP/{version}\r\n{head}\r\n".encode() + sent


@dataclass
class Behind(asyncio.Protocol):
    """What is behind the door on one connection."""

    came: bytes = b""
    lost: bool = False
    made: asyncio.BaseTransport | None = None

    __hash__ = object.__hash__

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = transport

    def data_received(self, data: bytes) -> None:
        assert self.made is not None
        self.came += data

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost = True


@dataclass
class FakeTransport(asyncio.Transport):
    """Keeps what is written."""

    written: bytes = b""
    closed: bool = False

    def close(self) -> None:
        self.closed = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)


@dataclass
class Connection:
    """A connection through a door, and both its ends."""

    at: AtDoor
    way: asyncio.Protocol
    transport: FakeTransport

    @property
    def behind(self) -> Behind:
        """Who is behind the door; nobody who has heard anything where nothing was let in."""
        return next((each for each in self.at.behind if each.made is self.transport), Behind())

    def refusals(self) -> int:
        return self.transport.written.count(b"HTTP/1.1 429 Too Many Requests\r\n")


@dataclass
class AtDoor:
    """A door that lets in as it is told."""

    lets_in: bool = True
    turned_away: int = 0
    clock: FakeClock = field(default_factory=FakeClock)
    silence_seconds: float = 60.0
    behind: list[Behind] = field(default_factory=list)
    door: Door = field(init=False)

    def __post_init__(self) -> None:
        self.door = Door(
            lets_in=lambda: self.lets_in,
            on_turned_away=self._note,
            max_age_seconds=AGE_SECONDS,
            silence_seconds=self.silence_seconds,
            clock=self.clock,
        )
        self._made = self.door.before(self._inner)

    def connect(self) -> Connection:
        way, transport = self._made(), FakeTransport()
        way.connection_made(transport)
        return Connection(self, way, transport)

    def _inner(self) -> Behind:
        self.behind.append(Behind())
        return self.behind[-1]

    def _note(self) -> None:
        self.turned_away += 1


@pytest.fixture
def at() -> AtDoor:
    return AtDoor()


def test_what_is_let_in_is_passed_on_as_it_came(at: AtDoor) -> None:
    one = at.connect()
    one.way.data_received(asking())
    assert (one.behind.came, one.transport.written, at.turned_away) == (asking(), b"", 0)


def test_one_too_many_is_told_when_to_come_back_and_nobody_behind_hears_of_it(at: AtDoor) -> None:
    at.lets_in = False
    late = at.connect()
    late.way.data_received(asking())
    head, _, said = late.transport.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nRetry-After: 1\r\n" in head + b"\r\n"
    assert f"\r\nContent-Length: {len(said)}".encode() in head
    assert orjson.loads(said)["error"]["code"] == "router_full"
    assert (at.behind, at.turned_away) == ([], 1)  # nothing was made for it


def test_what_has_left_is_told_to_who_is_behind(at: AtDoor) -> None:
    one = at.connect()
    one.way.data_received(asking())
    one.way.connection_lost(None)
    assert one.behind.lost
    at.door.answered(one.behind)  # nobody is there any more


def test_what_nothing_came_on_ends_with_the_door_and_leaves_no_trace(at: AtDoor) -> None:
    silent, gone, served = at.connect(), at.connect(), at.connect()
    gone.way.connection_lost(None)
    served.way.data_received(asking())
    at.door.close()
    assert [each.transport.closed for each in (silent, gone, served)] == [True, False, False]
    assert silent.way.eof_received() is None
    assert len(at.behind) == 1


def test_a_refused_connection_can_be_used_again(at: AtDoor) -> None:
    one = at.connect()
    at.lets_in = False
    one.way.data_received(asking(b"one"))
    at.lets_in = True
    one.way.data_received(asking(b"two"))
    assert (one.refusals(), one.behind.came) == (1, asking(b"two"))


def test_a_connection_that_has_been_answered_can_be_refused(at: AtDoor) -> None:
    one = at.connect()
    one.way.data_received(asking(b"one"))
    at.door.answered(one.behind)
    at.lets_in = False
    one.way.data_received(asking(b"two"))
    assert (one.refusals(), one.behind.came) == (1, asking(b"one"))


@pytest.mark.parametrize("at_once", [1, 1000])
def test_an_old_connection_ends_with_its_refusal_once_all_was_sent(at: AtDoor, at_once: int) -> None:
    at.lets_in = False
    one = at.connect()
    one.way.data_received(asking(b"one"))
    assert b"close" not in one.transport.written
    at.clock.advance(AGE_SECONDS)
    sent = asking(b"x" * 500)
    head = sent.index(b"\r\n\r\n") + 4
    one.way.data_received(sent[:head])
    assert one.refusals() == 2
    assert b"\r\nConnection: close\r\n" in one.transport.written
    for start in range(head, len(sent), at_once):
        assert not one.transport.closed
        one.way.data_received(sent[start : start + at_once])
    assert one.transport.closed
    one.way.data_received(asking(b"more"))  # was on its way already
    assert (one.refusals(), at.turned_away, at.behind) == (2, 2, [])


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_the_body_of_a_refused_request_is_skipped_however_it_comes(at: AtDoor, at_once: int) -> None:
    at.lets_in = False
    late = at.connect()
    sent = asking(b"[" + b"x" * 500 + b"]")
    head = sent.index(b"\r\n\r\n") + 4
    late.way.data_received(sent[:head])
    assert late.refusals() == 1
    at.lets_in = True
    for start in range(head, len(sent), at_once):
        late.way.data_received(sent[start : start + at_once])
    late.way.data_received(asking())
    assert (late.refusals(), late.behind.came) == (1, asking())


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", id="another path"),
        pytest.param(asking(version="1.0"), id="HTTP/1.0"),
        pytest.param(asking(path=f"{PATH}?a=b"), id="a query"),
        pytest.param(asking()[:30], id="half a head"),
        pytest.param(asking(b"{}", {"Content-Length": ""}), id="no length"),
        pytest.param(asking(b"{}", {"content-length": "2"}), id="two lengths"),
        pytest.param(asking(b"{}", {"Content-Length": "2x"}), id="no number"),
        pytest.param(asking(b"{}", {"Transfer-Encoding": "chunked"}), id="chunks"),
        pytest.param(asking(b"{}", {"Transfer-Encoding ": "chunked"}), id="chunks, to some"),
        pytest.param(asking(b"{}", {"X": "a\nTransfer-Encoding: chunked"}), id="chunks, to others"),
        pytest.param(asking(b"{}", {"X": "a\nContent-Length: 4"}), id="two lengths, to some"),
        pytest.param(asking(b"{}", {"Expect": "100-continue"}), id="waits for a word"),
        pytest.param(asking() + asking(), id="two at once"),
        pytest.param(asking(b"{}", {"Content-Length": str(2 * 1024 * 1024)}), id="a long body"),
        pytest.param(b"\x16\x03\x01", id="no HTTP"),
    ],
)
def test_what_it_does_not_know_is_let_in_whatever_there_is_to_do(at: AtDoor, unknown: bytes) -> None:
    at.lets_in = False
    late = at.connect()
    late.way.data_received(unknown)
    assert (late.behind.came, late.transport.written) == (unknown, b"")


def test_a_client_that_asks_again_before_it_has_its_answer_is_never_answered_here(at: AtDoor) -> None:
    """Its answers have to come in the order of its questions."""
    one = at.connect()
    one.way.data_received(asking())
    at.lets_in = False
    for _ in range(3):
        one.way.data_received(asking())
    at.door.answered(one.behind)
    one.way.data_received(asking())
    assert (one.refusals(), one.behind.came) == (0, 5 * asking())


def test_a_client_that_does_not_read_is_sent_nothing_more(at: AtDoor) -> None:
    at.lets_in = False
    late = at.connect()
    late.way.pause_writing()
    late.way.data_received(asking())
    assert late.transport.written == b""
    assert late.behind.came == asking()


@given(st.data())
def test_whatever_comes_in_whatever_pieces_is_refused_as_a_whole_or_let_in_as_it_came(
    data: st.DataObject,
) -> None:
    at = AtDoor()
    one = at.connect()
    bodies = data.draw(st.lists(st.binary(max_size=40), max_size=8))
    let_in, refused = b"", 0
    for sent in bodies:
        wire = asking(sent)
        at.lets_in = data.draw(st.booleans())
        head = wire.index(b"\r\n\r\n") + 4
        cut = data.draw(st.integers(head, len(wire)))
        for part in (wire[:cut], wire[cut:]):
            if part:
                one.way.data_received(part)
        at.door.answered(one.behind)
        refused += not at.lets_in
        let_in += wire if at.lets_in else b""
    assert (one.behind.came, one.refusals(), at.turned_away) == (let_in, refused, refused)


async def test_openais_sdk_takes_it_for_a_rate_limit_and_comes_back(router: RouterOnFakes) -> None:
    turned_away: list[None] = []
    answers = iter([False, True])
    door = Door(
        lets_in=lambda: next(answers),
        on_turned_away=lambda: turned_away.append(None),
        max_age_seconds=AGE_SECONDS,
    )
    async with over_http(router, door=door) as served:
        client = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0)
        async with client:
            asked: Any = orjson.loads(body())
            with pytest.raises(openai.RateLimitError) as told:
                await client.chat.completions.create(**asked)
            answer = await client.chat.completions.create(**asked)
    assert told.value.response.headers["retry-after"] == "1"
    assert told.value.code == "router_full"
    assert answer.choices[0].message.content == "Hello there!"
    assert len(turned_away) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_behind_the_real_edge_a_connection_whose_answer_has_come_can_be_refused(
    router: RouterOnFakes, *, stream: bool
) -> None:
    """Whatever is asked next comes on the same connection, and before the loop has come to anything else."""
    answers = iter([True, False, True])
    door = Door(lets_in=lambda: next(answers), on_turned_away=lambda: None, max_age_seconds=AGE_SECONDS)
    async with over_http(router, door=door) as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        statuses = []
        for _ in range(3):
            writer.write(asking(body(stream=stream)))
            async with asyncio.timeout(5):
                statuses.append(await _answer(reader))
        writer.close()
    assert statuses == [b"200", b"429", b"200"]


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """The status of an answer that is read to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        await reader.readuntil(b"0\r\n\r\n")
    else:
        await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
    return head.split()[1]


def test_many_connections_are_taken_up_in_one_turn_of_the_loop() -> None:
    """uvloop, which routers run on, takes up one for each time that it is told to listen."""
    assert uvloop.run(_turns_for(connections=16)) <= 8


async def _turns_for(*, connections: int) -> int:
    """Turns of the loop until all of them are taken up."""
    async with over_http(await router_on_fakes()) as served:
        host, port = served.url.removeprefix("http://").split(":")
        clients = [socket.create_connection((host, int(port))) for _ in range(connections)]
        turns = 0
        while served.door.unserved < connections:
            await asyncio.sleep(0)
            turns += 1
        for each in clients:
            each.close()
    return turns


async def test_a_connection_that_says_nothing_is_ended_and_one_that_is_served_is_not() -> None:
    at = AtDoor(silence_seconds=0.02)
    silent, refused, served = (at.connect() for _ in range(3))
    served.way.data_received(asking())
    at.lets_in = False
    sweeping = asyncio.create_task(at.door.keep_silence_out())
    at.clock.advance(0.01)
    refused.way.data_received(asking())
    at.clock.advance(0.015)
    async with asyncio.timeout(5):
        while not silent.transport.closed:  # noqa: ASYNC110 - a transport tells nobody
            await asyncio.sleep(0.001)
    assert [each.transport.closed for each in (silent, refused, served)] == [True, False, False]
    sweeping.cancel()


def test_of_too_many_connections_that_say_nothing_the_oldest_makes_room(
    at: AtDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steersman.router.http_door._MOST_UNSERVED", 2)
    connections = [at.connect() for _ in range(3)]
    assert [each.transport.closed for each in connections] == [True, False, False]
