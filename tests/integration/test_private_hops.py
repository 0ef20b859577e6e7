"""TLS on every hop of real processes, and callers who are known by their certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import grpc
import pytest
import pytest_asyncio

from fixtures.callers import Caller, body, failure, until
from fixtures.private_system import MAIL, SEARCH, PrivateSystem, calling_securely, keda_at, running
from fixtures.service_process import Service
from steersman.api.v1 import decision_pb2, demand_service_pb2
from steersman.controller.adapters.router import RouterClient
from steersman.controller.ports import RouterLost
from steersman.local.authority import LOCAL, Authority, Issued
from steersman.local.parts import Parts
from steersman.local.ports import Ports
from steersman.local.probes import grpc_serving
from steersman.runtime import tls
from steersman.runtime.settings import Tls

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def private_system(
    parts: Parts, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PrivateSystem]:
    async with running(parts, ports, tmp_path_factory.mktemp("private")) as system:
        yield system


@pytest_asyncio.fixture(loop_scope="module")
async def search(private_system: PrivateSystem) -> AsyncIterator[Caller]:
    async with calling_securely(private_system.router.grpc, private_system.caller()) as caller:
        yield caller


async def by_openai(
    system: PrivateSystem, caller: Issued, *, model: str = "auto", **headers: str
) -> aiohttp.ClientResponse:
    context = caller.context(system.folder / "caller")
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.post(
            f"{system.router_http}/v1/chat/completions",
            data=body(model=model),
            headers={"Content-Type": "application/json", **headers},
        ) as response,
    ):
        await response.read()
        return response


async def test_every_hop_of_the_path_works(private_system: PrivateSystem, search: Caller) -> None:
    """Triton scores, Redis keeps, a backend and an engine elsewhere answer, the scaler and a controller hear."""
    first = await search.route("What is a rhumb line?")
    assert first.reason is not decision_pb2.DECISION_REASON_CLASSIFIER_UNAVAILABLE
    assert first.cache == decision_pb2.CACHE_STATE_MISS  # and not BYPASSED, as without Redis
    assert first.HasField("score")
    for tier in ("weak", "strong"):
        answer = await search.complete("Hello", model=tier)
        assert (answer.decision.tier, answer.text) == (tier, "Hello there!")
    async with keda_at(private_system.scaler.grpc, private_system.authority.issue("keda")) as keda:
        assert await keda.serving("routers")
        assert await keda.demand() == 0
    settings = Tls(folder=private_system.authority.issue("controller").write(private_system.folder / "ctl"))
    async with tls.opened(settings, on_reload=lambda _: None) as wire:
        report = await RouterClient(5, wire, "router").report(private_system.router.grpc)
        assert report.classifier is not None
        with pytest.raises(RouterLost):
            await RouterClient(5, wire, "scaler").report(private_system.router.grpc)


async def test_plain_text_and_strangers_are_refused_on_every_port(private_system: PrivateSystem) -> None:
    stranger = Authority().issue("router", trusted=private_system.authority.pem)
    nobody = grpc.ssl_channel_credentials(private_system.authority.pem)
    for address in (
        private_system.router.grpc,
        private_system.backend.grpc,
        private_system.scaler.grpc,
        private_system.triton.grpc,
    ):
        assert not await grpc_serving(address)()
        for credentials in (stranger.credentials, nobody):
            async with grpc.aio.secure_channel(address, credentials) as channel:
                refused = await failure(Caller(channel).raw("/grpc.health.v1.Health/Check", b""))
            assert refused.code is grpc.StatusCode.UNAVAILABLE
    for port in (private_system.redis, int(private_system.router_http.rpartition(":")[2])):
        for context in (
            ssl.create_default_context(cadata=private_system.authority.pem.decode()),
            stranger.context(private_system.folder / "stranger"),
        ):
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await _pinged(port, context)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await _pinged(port, None)


async def _pinged(port: int, context: ssl.SSLContext | None) -> bytes:
    """Send what both servers answer, in the clear where there is no context."""
    reader, writer = await asyncio.open_connection(LOCAL, port, ssl=context)
    try:
        writer.write(b"PING\r\n\r\n")
        async with asyncio.timeout(5):
            return await reader.readexactly(5)
    finally:
        writer.close()


async def test_only_who_should_calls_a_backend_the_scaler_and_what_a_router_has_for_them(
    private_system: PrivateSystem, search: Caller
) -> None:
    request = demand_service_pb2.StreamDemandRequest()

    async def first(stream: grpc.aio.UnaryStreamCall[object, object]) -> object:
        return await stream.read()

    refused = await failure(first(search.demand.StreamDemand(request, timeout=5)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CLIENT_NAME")
    for address, name, method in (
        (private_system.backend.grpc, "backend", "/steersman.api.v1.BackendService/GetLoad"),
        (private_system.scaler.grpc, "scaler", "/externalscaler.ExternalScaler/IsActive"),
        (private_system.router.grpc, "router", "/steersman.api.v1.PolicyService/ReportPolicies"),
    ):
        async with calling_securely(address, private_system.caller(), name=name) as caller:
            refused = await failure(caller.raw(method, b""))
        assert refused.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("key", [None, "sk-steersman-1234-abcd", "mail", SEARCH])
async def test_a_caller_is_the_tenant_of_its_certificate_whatever_it_writes(
    private_system: PrivateSystem, key: str | None
) -> None:
    """`mail` may ask for no policy, and `search` for all: what a caller gets tells whose it is."""
    mail = private_system.caller(uri="", common_name="nightly", organisation="Mail, Inc")
    headers = {"x-forwarded-client-cert": f"URI={SEARCH};Subject={MAIL}", "x-steersman-tenant": "search"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    for caller, may in ((private_system.caller(), True), (mail, False)):
        response = await by_openai(private_system, caller, **headers)
        assert response.status == (200 if may else 400)
        async with calling_securely(private_system.router.grpc, caller) as by_grpc:
            call = by_grpc.chat(model="auto", metadata=tuple(headers.items()))
            if may:
                assert (await call.read()).decision.tier
            else:
                assert (await failure(call.read())).code is grpc.StatusCode.INVALID_ARGUMENT
    assert (await by_openai(private_system, mail, model="weak")).status == 200


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://cluster.local/ns/searching/sa/web",
        f"{SEARCH}/more",
        f"x{SEARCH}",
        "spiffe://other/ns/search/sa/a",
    ],
)
async def test_a_certificate_that_no_rule_is_about_is_nobodys(
    private_system: PrivateSystem, uri: str
) -> None:
    caller = private_system.caller(uri=uri)
    assert (await by_openai(private_system, caller)).status == 401
    async with calling_securely(private_system.router.grpc, caller) as by_grpc:
        assert (await failure(by_grpc.route())).code is grpc.StatusCode.UNAUTHENTICATED


async def _has_used(system: PrivateSystem, service: Service, times: int) -> bool:
    return await system.used(service.metrics) >= times


async def test_no_request_fails_while_the_certificates_of_all_processes_rotate(
    private_system: PrivateSystem,
) -> None:
    """Under callers with a connection a request and callers who keep theirs, over both APIs."""
    asked, over = 0, asyncio.Event()
    issued = private_system.caller()

    async def keeping() -> None:
        nonlocal asked
        async with calling_securely(private_system.router.grpc, issued) as caller:
            while not over.is_set():
                assert (await caller.complete("Hello", model="weak", max_tokens=3)).text == "Hello there!"
                asked += 1

    async def coming_anew(number: int) -> None:
        nonlocal asked
        while not over.is_set():
            async with calling_securely(private_system.router.grpc, issued) as caller:
                decision = await caller.route(f"Question {number} of {asked}")
            assert decision.reason != decision_pb2.DECISION_REASON_CLASSIFIER_UNAVAILABLE
            assert (await by_openai(private_system, issued, model="strong")).status == 200
            asked += 2

    async with asyncio.TaskGroup() as callers:
        callers.create_task(keeping())
        for number in range(2):
            callers.create_task(coming_anew(number))
        for turn in (1, 2):
            for name in ("router", "backend", "scaler", "triton"):
                private_system.rotate(name)
            for service in (private_system.router, private_system.backend, private_system.scaler):
                await until(partial(_has_used, private_system, service, turn))
            before = asked
            async with asyncio.timeout(30):
                while asked < before + 60:  # noqa: ASYNC110 - callers tell nobody
                    await asyncio.sleep(0.05)
        over.set()
    assert asked >= 120
