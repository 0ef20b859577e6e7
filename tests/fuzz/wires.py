"""What parses behind a wire: real servers and clients of the product in this process, with fakes behind them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import aiohttp
import grpc
import orjson
from prometheus_client import CollectorRegistry

from externalscaler import externalscaler_pb2_grpc
from fakes.garbage import says
from fakes.router import RouterOnFakes, router_on_fakes
from fakes.scripted_engine import ScriptedEngine
from fakes.served import over_grpc, over_http
from fakes.upstream import chunk
from fuzz import corpus
from fuzz.target import Check, Target
from steersman.api.v1 import backend_service_pb2_grpc
from steersman.backend.metrics import BackendMetrics
from steersman.backend.servicer import BackendServicer
from steersman.backend.serving import Serving
from steersman.backend.slots import Slots
from steersman.openai_api.client import EngineClient, Timeouts
from steersman.router.adapters.backend import BackendUpstream
from steersman.router.ports import Dispatch
from steersman.runtime.errors import BrokenOff, Error
from steersman.runtime.metrics import ProcessMetrics
from steersman.runtime.server import grpc_server
from steersman.runtime.settings import GrpcServer
from steersman.scaler.demand import Demand, Rules
from steersman.scaler.model import CLASSIFIER, ROUTER, Counts, Report, tier_part
from steersman.scaler.news import News
from steersman.scaler.servicer import ScalerServicer

_MAY: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.ABORTED,
    }
)
"""How a server may answer what is wrong; never INTERNAL or UNKNOWN."""
_SECONDS: Final = 8.0
_WAIT_SECONDS: Final = 0.1
_PIECE: Final = 64 * 1024
_GENERATE: Final = "steersman.api.v1.BackendService/Generate"
_STREAMING: Final = frozenset({"Chat", "Generate"})


def _heard() -> Demand:
    demand = Demand(Rules(hold=86_400.0))
    demand.found(["a:1"])
    parts = (ROUTER, CLASSIFIER, tier_part("strong"))
    demand.heard("a:1", Report("a", {part: Counts(1, 2, 3) for part in parts}))
    return demand


@asynccontextmanager
async def _router() -> AsyncIterator[str]:
    with _forgetting(await router_on_fakes()) as router:
        async with over_grpc(router) as address:
            yield address


@contextmanager
def _forgetting(router: RouterOnFakes) -> Iterator[RouterOnFakes]:
    """A router whose fakes do not remember each request, which would look like growth."""
    for upstreams in router.upstreams.values():
        for upstream in upstreams:
            upstream.seen = _Nothing()
    router.ledger.records = _Nothing()
    yield router


class _Nothing(list[Any]):
    def append(self, _: object) -> None:
        """Forget it."""


@asynccontextmanager
async def _scaler() -> AsyncIterator[str]:
    servicer = ScalerServicer(_heard(), News(), resend_seconds=1.0, longest_stream_seconds=1.0)
    async with grpc_server(
        GrpcServer(address="127.0.0.1:0", drain_seconds=1),
        metrics=ProcessMetrics(),
        services=[],
        register=lambda server: externalscaler_pb2_grpc.add_ExternalScalerServicer_to_server(
            servicer, server
        ),
    ) as address:
        yield address


@asynccontextmanager
async def _backend() -> AsyncIterator[str]:
    engine = ScriptedEngine(script=[[chunk("hi")]])
    engine.bodies, engine.headers = _Nothing(), _Nothing()
    serving = Serving(
        engine=engine,
        slots=Slots(slots=64, length=64),
        metrics=BackendMetrics(CollectorRegistry(), tier="weak"),
        tier="weak",
        max_wait=5.0,
    )
    async with grpc_server(
        GrpcServer(address="127.0.0.1:0", drain_seconds=1),
        metrics=ProcessMetrics(),
        services=[],
        register=lambda server: backend_service_pb2_grpc.add_BackendServiceServicer_to_server(
            BackendServicer(serving), server
        ),
    ) as address:
        yield address


_SERVERS: Final = {"RouterService": _router, "ExternalScaler": _scaler, "BackendService": _backend}


@asynccontextmanager
async def _rpc(method: str) -> AsyncIterator[Check]:
    """Any bytes as the request of a method."""
    service, _, name = method.rpartition("/")
    async with (
        _SERVERS[service.rpartition(".")[2]]() as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        call: Any = (channel.unary_stream if name in _STREAMING else channel.unary_unary)(f"/{method}")

        async def check(data: bytes) -> str:
            try:
                if name in _STREAMING:
                    return f"ok {len([response async for response in call(data, timeout=_SECONDS)])}"
                return f"ok {bool(await call(data, timeout=_SECONDS))}"
            except grpc.aio.AioRpcError as error:
                if error.code() not in _MAY:
                    raise
                return f"{error.code().name}: {error.details()}"

        yield check


@asynccontextmanager
async def _http() -> AsyncIterator[Check]:
    """Any body at the HTTP edge, and its first bytes as headers."""
    with _forgetting(await router_on_fakes()) as router:
        async with over_http(router) as served, aiohttp.ClientSession() as session:

            async def check(data: bytes) -> str:
                served.transports.clear()
                served.statuses.clear()
                url = f"{served.url}/v1/chat/completions"
                async with session.post(url, data=data) as response:
                    content = await response.read()
                    assert response.status < 500, (response.status, content)
                    if response.status == 200:
                        return f"ok {response.content_type}"
                    error = orjson.loads(content)["error"]
                    return f"{response.status} {error['code']} {error['param']} {error['message']}"

            yield check


@asynccontextmanager
async def _http_bytes() -> AsyncIterator[Check]:
    """Any bytes at the HTTP edge; no status of theirs says that the server is at fault."""
    with _forgetting(await router_on_fakes()) as router, _without_log("aiohttp.server"):
        async with over_http(router) as served:
            host, _, port = served.url.removeprefix("http://").partition(":")

            async def check(data: bytes) -> str:
                served.transports.clear()
                served.statuses.clear()
                reader, writer = await asyncio.open_connection(host, int(port))
                try:
                    writer.write(data)
                    async with asyncio.timeout(_WAIT_SECONDS):
                        answer = await reader.read(_PIECE)
                except ConnectionError:
                    return "reset"
                except TimeoutError:  # it waits for the rest of the request
                    return "waits"
                finally:
                    writer.transport.abort()
                status = answer[9:12]
                assert not answer or answer.startswith(b"HTTP/"), answer[:100]
                assert not status.startswith(b"5"), answer[:300]
                return f"ok {status!r}" if status in {b"", b"200"} else f"{status!r} {answer[-40:]!r}"

            yield check


@contextmanager
def _without_log(name: str) -> Iterator[None]:
    """Without what a library logs for each fault of a caller's."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@asynccontextmanager
async def _engine() -> AsyncIterator[Check]:
    """Any bytes as an engine's HTTP response: an answer, or one of our own errors."""
    said = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(said)
            writer.write_eof()
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    patience = Timeouts(first_byte=0.5, idle=0.5, whole=0.5)
    async with server, EngineClient(url=f"http://127.0.0.1:{port}", max_event_bytes=4096) as client:

        async def check(data: bytes) -> str:
            nonlocal said
            said, chunks = data, 0
            try:
                async with aclosing(client.generate(b"{}", timeouts=patience)) as pieces:
                    async for piece in pieces:
                        chunks += len(piece)
            except Error as error:
                if chunks and not isinstance(error, BrokenOff):
                    raise
                return f"{type(error).__name__} {error.reason} {chunks > 0}"
            return f"ok {chunks > 0}"

        yield check


@asynccontextmanager
async def _backends_answer() -> AsyncIterator[Check]:
    """Any bytes as a response of a backend: chunks, or one of our own errors."""
    said = [b""]

    async def check(data: bytes) -> str:
        said[0], chunks = data, 0
        try:
            async with aclosing(upstream.generate(Dispatch(b"{}", _SECONDS, {}))) as pieces:
                async for piece in pieces:
                    chunks += len(piece)
        except Error as error:
            return f"{type(error).__name__} {error.reason}"
        return f"ok {chunks}"

    async with says(_GENERATE, said) as address:
        upstream = await BackendUpstream.connect(address)
        try:
            with _without_log("grpc._common"):
                yield check
        finally:
            await upstream.close()


TARGETS: Final = (
    *(
        Target(
            method.rpartition(".")[2],
            inputs,
            partial(_rpc, method),
            tokens=(b"tier/", b"router", b"1e300", b"-0"),
            streams=16,
            weight=0.3,
        )
        for method, inputs in corpus.RPCS.items()
    ),
    Target("HTTP body", corpus.REQUESTS, _http, structured=True, streams=16, weight=0.3),
    Target("HTTP bytes", [corpus.HTTP_REQUEST], _http_bytes, corpus.HTTP_TOKENS, streams=16, weight=0.2),
    Target("engine's response", corpus.HTTP_RESPONSES, _engine, corpus.HTTP_TOKENS, weight=0.2),
    Target("backend's response", [corpus.ANSWER], _backends_answer, weight=0.2),
)
