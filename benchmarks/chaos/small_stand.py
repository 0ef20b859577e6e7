"""A router before an engine of this process: small, so that what is measured is the product and not the model.

The engine knows when each call began and ended, by the caller's own number, and answers in as many pieces and as slowly
as it is told.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, cast

import yaml
from benchmarks import mock_engine
from benchmarks.clients import content_length

from steersman.local import services
from steersman.local.parts import Parts
from steersman.local.ports import Ports
from steersman.local.processes import Process, Program
from steersman.local.services import Listening, RouterNeeds

HOST: Final = "127.0.0.1"
NOWHERE: Final = f"{HOST}:9"
"""Nobody listens on the discard port."""
_NUMBER: Final = re.compile(rb"#(\d+)#")
_HEAD_END: Final = b"\r\n\r\n"
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@dataclass(slots=True)
class Call:
    """A call at the engine, in seconds of `time.perf_counter`."""

    begun: float
    done: bool = False
    lost: float | None = None
    """When its caller was gone."""
    ready: float = 0.0
    """What `Engine.ready` said then."""


@dataclass(slots=True)
class Engine:
    """What an engine has seen, and how it answers.

    Args:
        pieces: Of each answer; one that is not streamed takes as long.
        pause: Seconds between two of them.
        ready: Asked when a caller is gone.
    """

    pieces: int = 10
    pause: float = 0.02
    port: int = 0
    ready: Callable[[], float] = lambda: 0.0
    calls: dict[int, Call] = field(default_factory=dict)


class _Connection(asyncio.Protocol):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._call: Call | None = None
        self._next: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        self._transport = None
        if self._next is not None:
            self._next.cancel()
        if self._call is not None and not self._call.done:
            self._call.lost = time.perf_counter()
            self._call.ready = self._engine.ready()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end or len(body) < (content_length(head) or 0):
            return
        self._received = b""
        if not head.startswith(b"POST"):
            self._write(_response(b'{"data":[{"id":"mock"}]}'))
            return
        found = _NUMBER.search(body)
        call = self._call = Call(time.perf_counter())
        self._engine.calls[int(found[1]) if found else -1] = call
        stream = b'"stream":true' in body
        if stream:
            self._write(_STREAM_HEAD)
        self._say(call, 0, stream=stream)

    def _say(self, call: Call, number: int, *, stream: bool) -> None:
        if number < self._engine.pieces:
            if stream:
                self._write(_event(mock_engine.chunk("word ")))
            say = partial(self._say, call, number + 1, stream=stream)
            self._next = asyncio.get_running_loop().call_later(self._engine.pause, say)
            return
        call.done = True
        if stream:
            ending = (mock_engine.chunk(None, finish=True), mock_engine.chunk(None), b"[DONE]")
            self._write(b"".join([*map(_event, ending), b"0\r\n\r\n"]))
        else:
            self._write(_response(mock_engine.completion()))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


@dataclass(frozen=True, slots=True)
class SmallStand:
    """Routers before one engine: tier `direct` speaks to it, and tier `behind` through a backend.

    Attributes:
        engine: The engine.
        routers: Their processes.
        backend: The backend's process.
        grpc: Addresses of the routers.
        http: Their URLs.
        metrics: URLs of their metrics.
        backend_metrics: URL of the backend's.
    """

    engine: Engine
    routers: tuple[Process, ...]
    backend: Process
    grpc: tuple[str, ...]
    http: tuple[str, ...]
    metrics: tuple[str, ...]
    backend_metrics: str


@asynccontextmanager
async def small_stand(
    folder: Path, engine: Engine, *, routers: int = 1, slots: int = 64, queue: int = 256
) -> AsyncIterator[SmallStand]:
    """Start it, and stop it in the end; there is neither classifier nor Redis.

    Args:
        folder: For logs and files.
        engine: How it answers; its port is set here.
        routers: How many.
        slots: Requests that the backend lets through at once.
        queue: Requests that wait for one.
    """
    ports = Ports()
    async with AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(partial(_Connection, engine), HOST, 0, backlog=1024)
        stack.callback(server.close)
        engine.port = server.sockets[0].getsockname()[1]
        where = _listening(ports)
        backend = await stack.enter_async_context(_backend(folder, where, engine, slots, queue))
        policies = _write_policies(folder, engine, where)
        running = []
        for number in range(routers):
            listening = _listening(ports)
            process = _router(folder, policies, listening, f"router_{number + 1}")
            running.append((await stack.enter_async_context(process), listening))
        yield SmallStand(
            engine,
            tuple(process for process, _ in running),
            backend,
            tuple(listening.grpc for _, listening in running),
            tuple(f"http://{listening.http}" for _, listening in running),
            tuple(f"http://{listening.metrics}/metrics" for _, listening in running),
            f"http://{where.metrics}/metrics",
        )


def _listening(ports: Ports) -> Listening:
    grpc, metrics, http = (f"{HOST}:{ports.take()}" for _ in range(3))
    return Listening(grpc=grpc, metrics=metrics, http=http)


def _backend(folder: Path, where: Listening, engine: Engine, slots: int, queue: int) -> Process:
    program = services.backend(
        Parts(),
        tier="behind",
        engine_url=f"http://{HOST}:{engine.port}",
        listening=where,
        otlp_url="",
        name="backend",
    )
    settings = {"STEERSMAN_ENGINE__SLOTS": str(slots), "STEERSMAN_QUEUE__LENGTH": str(queue)}
    return Process(_untraced(program, settings), logs=folder)


def _router(folder: Path, policies: Path, listening: Listening, name: str) -> Process:
    needs = RouterNeeds(policies, NOWHERE, f"redis://{NOWHERE}/0", {})
    program = services.router(Parts(), needs, listening=listening, otlp_url="", name=name)
    return Process(_untraced(program, {"STEERSMAN_GRPC__DRAIN_SECONDS": "30"}), logs=folder)


def _untraced(program: Program, settings: dict[str, str]) -> Program:
    kept = {name: value for name, value in program.environment.items() if not name.startswith("OTEL_")}
    return Program(
        name=program.name,
        argv=program.argv,
        ready=program.ready,
        environment={**kept, **settings},
        start_seconds=180.0,
        stop_seconds=40.0,
    )


def _write_policies(folder: Path, engine: Engine, backend: Listening) -> Path:
    upstreams = {
        "direct": {"kind": "openai", "url": f"http://{HOST}:{engine.port}"},
        "behind": {"kind": "backend", "target": backend.grpc},
    }
    tiers = {name: {"model": "mock", "upstream": upstream} for name, upstream in upstreams.items()}
    policies = {"auto": {"tiers": list(tiers), "threshold": 0.5, "tier_fallback": False}}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "policies.yaml"
    path.write_text(yaml.safe_dump({"tiers": tiers, "policies": policies, "default_policy": "auto"}))
    return path


def _response(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


def _event(payload: bytes) -> bytes:
    """A server-sent event as a chunk of HTTP."""
    return b"%x\r\ndata: %b\n\n\r\n" % (len(payload) + 8, payload)
