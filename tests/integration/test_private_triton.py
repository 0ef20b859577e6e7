"""Triton behind Envoy: who reaches which of its ports, and what happens when its certificate changes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import aiohttp
import grpc
import numpy as np
import pytest
import pytest_asyncio
import tritonclient.grpc.aio as tritonclient
from cryptography import x509
from yarl import URL

from fixtures.callers import Caller, failure, until
from fixtures.private_triton import PrivateTriton, private_triton
from steersman.local.authority import LOCAL, Authority, Issued
from steersman.local.parts import Parts
from steersman.local.ports import Ports
from steersman.local.services import CLASSIFIER

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEALTH = ("/v2/health/live", "/v2/health/ready")
CHANGES = 3
BETWEEN = 100
"""Queries scored between two changes of certificates, at least."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def triton(
    parts: Parts, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PrivateTriton]:
    async with private_triton(parts, ports, tmp_path_factory.mktemp("private"), Authority()) as running:
        yield running


def router(triton: PrivateTriton) -> Issued:
    return triton.authority.issue("router")


async def status(url: str, context: ssl.SSLContext) -> int:
    """What a GET on a new connection is answered with."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(URL(url, encoded=True), timeout=aiohttp.ClientTimeout(total=5)) as response,
    ):
        return response.status


async def score(address: str, issued: Issued, text: str) -> float:
    """Have a query scored on a new connection."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", "triton")]
    async with tritonclient.InferenceServerClient(
        address, creds=issued.credentials, channel_args=options
    ) as client:
        return await scored(client, text)


async def scored(client: tritonclient.InferenceServerClient, text: str) -> float:
    tensor = tritonclient.InferInput("TEXT", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[text.encode()]], dtype=np.object_))
    answer = await client.infer(CLASSIFIER, [tensor], model_version="1", client_timeout=5)
    return float(answer.as_numpy("SCORE")[0, 0])


async def served(triton: PrivateTriton, port: int) -> x509.Certificate:
    """The certificate that a port shows."""
    context = router(triton).context(triton.certificates.parent / "observer")
    context.check_hostname = False
    reader, writer = await asyncio.open_connection(LOCAL, port, ssl=context)
    del reader
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(shown)


async def shows(triton: PrivateTriton, port: int, issued: Issued) -> bool:
    """Whether a port shows this certificate."""
    return await served(triton, port) == x509.load_pem_x509_certificate(issued.certificate)


async def test_a_router_has_queries_scored(triton: PrivateTriton) -> None:
    assert 0 <= await score(triton.grpc, router(triton), "What is a rhumb line?") <= 1


async def test_nothing_is_answered_in_the_clear(triton: PrivateTriton) -> None:
    for port in (triton.ports.grpc, triton.ports.http, triton.ports.metrics):
        reader, writer = await asyncio.open_connection(LOCAL, port)
        writer.write(b"GET /v2/health/live HTTP/1.1\r\nhost: triton\r\n\r\n")
        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("who", ["nobody", "a stranger", "another of ours"])
async def test_scores_are_for_routers_alone(triton: PrivateTriton, who: str) -> None:
    pem = triton.authority.pem
    credentials = {
        "nobody": grpc.ssl_channel_credentials(pem),
        "a stranger": Authority().issue("router", trusted=pem).credentials,
        "another of ours": triton.authority.issue("backend").credentials,
    }[who]
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", "triton")]
    async with grpc.aio.secure_channel(triton.grpc, credentials, options=options) as channel:
        refused = await failure(Caller(channel).raw("/grpc.health.v1.Health/Check", b""))
    assert refused.code is grpc.StatusCode.UNAVAILABLE


async def test_kubelet_hears_of_health_without_a_certificate_and_of_nothing_else(
    triton: PrivateTriton,
) -> None:
    context = ssl.create_default_context(cadata=triton.authority.pem.decode())
    for path in HEALTH:
        assert await status(triton.http + path, context) == 200
    for path in ("/v2", "/v2/models/static_head/config", "/v2/health/live/../../models", "/metrics"):
        assert await status(triton.http + path, context) == 403


async def test_metrics_are_for_the_reader_of_metrics_alone(triton: PrivateTriton) -> None:
    folder = triton.certificates.parent
    reader = triton.authority.issue("client").context(folder / "client")
    assert await status(triton.metrics, reader) == 200
    assert await status(triton.metrics.replace("/metrics", "/v2/health/live"), reader) == 403
    for other in (
        ssl.create_default_context(cadata=triton.authority.pem.decode()),
        router(triton).context(folder / "router"),
        Authority().issue("client", trusted=triton.authority.pem).context(folder / "stranger"),
    ):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await status(triton.metrics, other)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_older_versions_of_tls_are_refused(triton: PrivateTriton, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cadata=triton.authority.pem.decode())
    context.minimum_version, context.maximum_version = version, version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await status(triton.http + HEALTH[0], context)


async def test_no_query_fails_while_certificates_change_and_nothing_is_restarted(
    triton: PrivateTriton,
) -> None:
    """Of callers who keep their connection, and of those who come anew for each query."""
    asked, over, issued = 0, asyncio.Event(), router(triton)
    processes = (triton.envoy.pid, triton.triton.pid)

    async def keeping() -> None:
        nonlocal asked
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", "triton")]
        async with tritonclient.InferenceServerClient(
            triton.grpc, creds=issued.credentials, channel_args=options
        ) as client:
            while not over.is_set():
                await scored(client, f"Question {asked}")
                asked += 1

    async def coming_anew() -> None:
        nonlocal asked
        while not over.is_set():
            await score(triton.grpc, issued, f"Question {asked}")
            asked += 1

    async def has_asked(enough: int) -> bool:
        return asked >= enough

    async with asyncio.TaskGroup() as callers:
        for caller in (keeping, keeping, coming_anew, coming_anew):
            callers.create_task(caller())
        for _ in range(CHANGES):
            changed = triton.rotate()
            for port in (triton.ports.grpc, triton.ports.http):
                await until(partial(shows, triton, port, changed))
            await until(partial(has_asked, asked + BETWEEN), seconds=30)
        over.set()
    assert asked >= CHANGES * BETWEEN
    assert (triton.envoy.pid, triton.triton.pid) == processes
    assert triton.envoy.running
    assert triton.triton.running


async def test_an_authority_that_is_taken_away_is_nobody(triton: PrivateTriton) -> None:
    successor = Authority("Another")
    replaced = successor.issue("triton", LOCAL)
    replaced.write(triton.certificates)
    trusting = successor.issue("router")

    async def known() -> bool:
        try:
            await score(triton.grpc, trusting, "Hello")
        except tritonclient.InferenceServerException:
            return False
        return True

    await until(known)
    former = triton.authority.issue("router", trusted=successor.pem)
    with pytest.raises(tritonclient.InferenceServerException, match="UNAVAILABLE"):
        await score(triton.grpc, former, "Hello")
    triton.rotate()


async def test_a_key_that_does_not_fit_changes_nothing(triton: PrivateTriton) -> None:
    good, other = triton.authority.issue("triton", LOCAL), triton.authority.issue("triton", LOCAL)
    await until(partial(shows, triton, triton.ports.http, triton.rotate()))
    before = await served(triton, triton.ports.http)
    Issued(good.certificate, other.key, good.trusted).write(triton.certificates)

    async def told() -> bool:
        return "KEY_VALUES_MISMATCH" in triton.envoy.log.read_text()

    await until(told)
    assert await served(triton, triton.ports.http) == before
    assert "PRIVATE KEY" not in triton.envoy.log.read_text()
    await until(partial(shows, triton, triton.ports.http, triton.rotate()))
