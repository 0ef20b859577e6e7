"""What a process that has certificates lets in, whom it trusts, and how it follows them: gRPC and HTTP alike."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import grpc
import pytest
from aiohttp import web

from fakes.scripted_servicer import ScriptedServicer
from steersman.api.v1 import backend_service_pb2 as pb, backend_service_pb2_grpc
from steersman.local.authority import LOCAL, Authority, Issued
from steersman.runtime import tls
from steersman.runtime.addresses import name_of
from steersman.runtime.client_names import ClientNames
from steersman.runtime.health import Health
from steersman.runtime.metrics import ProcessMetrics, metrics_server
from steersman.runtime.server import grpc_server
from steersman.runtime.settings import GrpcServer, Tls
from steersman.runtime.tls import Wire
from steersman.runtime.watched_file import NotUsable

NAME = "steersman-backend"
SERVICE = "steersman.api.v1.BackendService"
OURS = Authority("ours")
SERVER = OURS.issue(NAME, LOCAL)
CLIENT = OURS.issue("steersman-router")


@dataclass(frozen=True, slots=True)
class Listening:
    """A process with a gRPC and an HTTP listener, and the folder that it follows."""

    wire: Wire
    grpc: str
    http: str
    folder: Path
    metrics: ProcessMetrics

    async def rotate(self, issued: Issued) -> None:
        """Put other certificates into the folder, and wait until they are in use."""
        edition = self.wire.edition
        issued.write(self.folder)
        async with asyncio.timeout(10):
            while self.wire.edition == edition:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.02)


@asynccontextmanager
async def listening(
    folder: Path, *, issued: Issued = SERVER, verify: bool = True, names: tuple[str, ...] = ()
) -> AsyncIterator[Listening]:
    settings = Tls(folder=issued.write(folder), verify_clients=verify, client_names=names)
    metrics, health = ProcessMetrics(), Health()
    async with (
        tls.opened(settings, on_reload=metrics.certificates_reloaded) as wire,
        grpc_server(
            GrpcServer(address=f"{LOCAL}:0", drain_seconds=5),
            metrics=metrics,
            services=[SERVICE],
            register=lambda server: backend_service_pb2_grpc.add_BackendServiceServicer_to_server(
                ScriptedServicer(), server
            ),
            health=health,
            wire=wire,
            client_names=ClientNames.by(settings),
        ) as rpc,
        _http(wire) as http,
        metrics_server(f"{LOCAL}:0", metrics, health=health, wire=wire) as _,
    ):
        yield Listening(wire, rpc, http, folder, metrics)


@asynccontextmanager
async def _http(wire: Wire) -> AsyncIterator[str]:
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="answered")

    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOCAL, 0, ssl_context=wire.server_context()).start()
        yield f"https://{LOCAL}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def by_grpc(address: str, credentials: grpc.ChannelCredentials | None, *, name: str = NAME) -> int:
    """Ask over a new connection."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", name)]
    opened = (
        grpc.aio.insecure_channel(address, options=options[:1])
        if credentials is None
        else grpc.aio.secure_channel(address, credentials, options=options)
    )
    async with opened as channel:
        stub = backend_service_pb2_grpc.BackendServiceStub(channel)
        response: pb.GetLoadResponse = await stub.GetLoad(pb.GetLoadRequest(), timeout=5)
        return response.running


async def by_http(url: str, context: ssl.SSLContext | bool) -> str:  # noqa: FBT001 - as aiohttp takes it
    """Ask over a new connection."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response,
    ):
        assert response.status == 200, await response.text()
        return await response.text()


async def grpc_refuses(
    address: str, credentials: grpc.ChannelCredentials | None, *, name: str = NAME
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await by_grpc(address, credentials, name=name)
    assert told.value.code() is grpc.StatusCode.UNAVAILABLE


async def http_refuses(url: str, context: ssl.SSLContext) -> None:
    with pytest.raises((aiohttp.ClientError, OSError)):
        await by_http(url, context)


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Listening]:
    async with listening(tmp_path / "server") as process:
        yield process


async def test_who_shows_a_certificate_of_the_authority_is_answered(
    strict: Listening, tmp_path: Path
) -> None:
    assert await by_grpc(strict.grpc, CLIENT.credentials) == 1
    assert await by_http(strict.http, CLIENT.context(tmp_path / "client")) == "answered"


async def test_plain_text_is_refused(strict: Listening) -> None:
    await grpc_refuses(strict.grpc, None)
    with pytest.raises((aiohttp.ClientError, OSError)):
        await by_http(strict.http.replace("https", "http"), ssl.create_default_context())


async def test_who_shows_no_certificate_is_refused(strict: Listening) -> None:
    await grpc_refuses(strict.grpc, grpc.ssl_channel_credentials(OURS.pem))
    await http_refuses(strict.http, ssl.create_default_context(cadata=OURS.pem.decode()))


async def test_a_certificate_by_another_authority_is_refused(strict: Listening, tmp_path: Path) -> None:
    stranger = Authority("ours").issue("steersman-router", trusted=OURS.pem)
    await grpc_refuses(strict.grpc, stranger.credentials)
    await http_refuses(strict.http, stranger.context(tmp_path / "stranger"))


async def test_where_clients_are_not_verified_none_needs_a_certificate(tmp_path: Path) -> None:
    async with listening(tmp_path / "server", verify=False) as process:
        assert await by_grpc(process.grpc, grpc.ssl_channel_credentials(OURS.pem)) == 1
        assert await by_http(process.http, ssl.create_default_context(cadata=OURS.pem.decode())) == "answered"


async def test_a_client_refuses_a_server_of_another_authority(strict: Listening, tmp_path: Path) -> None:
    other = OURS.issue("steersman-router", trusted=Authority("other").pem)
    await grpc_refuses(strict.grpc, other.credentials)
    await http_refuses(strict.http, other.context(tmp_path / "client"))


async def test_a_client_refuses_a_server_with_another_name(strict: Listening, tmp_path: Path) -> None:
    await grpc_refuses(strict.grpc, CLIENT.credentials, name="steersman-scaler")
    context = CLIENT.context(tmp_path / "client")
    await http_refuses(strict.http.replace(LOCAL, "localhost"), context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_older_versions_of_tls_are_refused(
    strict: Listening, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context = CLIENT.context(tmp_path / "client")
    context.minimum_version, context.maximum_version = version, version
    context.set_ciphers("ALL:@SECLEVEL=0")
    for address in (strict.grpc, strict.http.removeprefix("https://").rstrip("/")):
        host, _, port = address.partition(":")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(host, int(port), ssl=context)


async def test_tls_1_2_is_the_oldest_that_is_answered(strict: Listening, tmp_path: Path) -> None:
    context = CLIENT.context(tmp_path / "client")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await by_http(strict.http, context) == "answered"


@pytest.mark.parametrize(
    ("names", "answered"),
    [
        (("steersman-router",), True),
        (("steersman-scaler", "spiffe://cluster.local/ns/s/sa/router"), True),
        (("steersman-scaler",), False),
    ],
)
async def test_only_certificates_for_the_names_given_may_call(
    tmp_path: Path, names: tuple[str, ...], *, answered: bool
) -> None:
    router = OURS.issue("steersman-router", uris=["spiffe://cluster.local/ns/s/sa/router"])
    async with listening(tmp_path / "server", names=names) as process:
        if answered:
            assert await by_grpc(process.grpc, router.credentials) == 1
            return
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await by_grpc(process.grpc, router.credentials)
        assert told.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_after_a_rotation_new_connections_use_what_is_new_and_the_old_authority_is_nobody(
    strict: Listening, tmp_path: Path
) -> None:
    later = Authority("later")
    await strict.rotate(later.issue(NAME, LOCAL))
    new, old = later.issue("steersman-router"), CLIENT
    assert await by_grpc(strict.grpc, new.credentials) == 1
    assert await by_http(strict.http, new.context(tmp_path / "new")) == "answered"
    forged = OURS.issue("steersman-router", trusted=later.pem)  # trusts the server, and is not trusted by it
    for issued in (old, forged):
        await grpc_refuses(strict.grpc, issued.credentials)
        await http_refuses(strict.http, issued.context(tmp_path / "old"))


async def test_what_does_not_fit_together_is_refused_and_what_was_before_stays(
    strict: Listening, tmp_path: Path
) -> None:
    other = OURS.issue(NAME, LOCAL)
    Issued(other.certificate, SERVER.key, OURS.pem).write(strict.folder)
    refused = ("steersman_certificate_reloads_total", {"outcome": "refused"})
    async with asyncio.timeout(10):
        while strict.metrics.registry.get_sample_value(*refused) != 1:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.02)
    assert await by_grpc(strict.grpc, CLIENT.credentials) == 1
    assert await by_http(strict.http, CLIENT.context(tmp_path / "client")) == "answered"
    await strict.rotate(other)


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key", "ca.crt"])
async def test_a_process_does_not_start_without_all_its_files(tmp_path: Path, missing: str) -> None:
    folder = SERVER.write(tmp_path / "server")
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError):
        async with tls.opened(Tls(folder=folder), on_reload=lambda _: None):
            pass


async def test_a_process_does_not_start_with_files_that_do_not_fit_and_tells_no_key(tmp_path: Path) -> None:
    key = CLIENT.key
    folder = Issued(SERVER.certificate, key, OURS.pem).write(tmp_path / "server")
    with pytest.raises(NotUsable) as told:
        async with tls.opened(Tls(folder=folder), on_reload=lambda _: None):
            pass
    assert str(folder) in str(told.value)
    assert key.decode().splitlines()[1] not in str(told.value)


@pytest.mark.slow
async def test_no_request_fails_while_certificates_rotate_under_load(
    strict: Listening, tmp_path: Path
) -> None:
    """Callers with a connection a request, over gRPC and HTTP, while leaves and then the authority change."""
    asked, over = 0, asyncio.Event()
    later = Authority("later")
    both = OURS.pem + later.pem
    credentials = OURS.issue("steersman-router", trusted=both).credentials
    context = OURS.issue("steersman-router", trusted=both).context(tmp_path / "caller")

    async def call(*, grpc_too: bool) -> None:
        nonlocal asked
        while not over.is_set():
            if grpc_too:
                await by_grpc(strict.grpc, credentials)
            else:
                await by_http(strict.http, context)
            asked += 1

    async with asyncio.TaskGroup() as callers:
        for number in range(6):
            callers.create_task(call(grpc_too=number % 2 == 0))
        for issued in (
            OURS.issue(NAME, LOCAL),
            OURS.issue(NAME, LOCAL, trusted=both),
            later.issue(NAME, LOCAL, trusted=both),
            later.issue(NAME, LOCAL, trusted=both),
        ):
            before = asked
            await strict.rotate(issued)
            async with asyncio.timeout(20):
                while asked < before + 20:  # noqa: ASYNC110 - callers tell nobody
                    await asyncio.sleep(0.01)
        over.set()
    assert asked >= 80
    taken = strict.metrics.registry.get_sample_value(
        "steersman_certificate_reloads_total", {"outcome": "taken"}
    )
    assert taken == 4


async def _get(url: str, context: ssl.SSLContext) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(url) as response,
    ):
        return response.status, await response.text()


async def test_health_over_https_needs_no_certificate_and_metrics_do(tmp_path: Path) -> None:
    metrics, health = ProcessMetrics(), Health()
    settings = Tls(folder=SERVER.write(tmp_path / "server"))
    anybody = ssl.create_default_context(cadata=OURS.pem.decode())
    known = CLIENT.context(tmp_path / "client")
    async with (
        tls.opened(settings, on_reload=metrics.certificates_reloaded) as wire,
        metrics_server(f"{LOCAL}:0", metrics, health=health, wire=wire) as address,
    ):
        url = f"https://{address}"

        async def asked(path: str, context: ssl.SSLContext = anybody) -> int:
            return (await _get(f"{url}{path}", context))[0]

        assert await asked("/healthz") == 503
        await health.set("", 1)
        await health.set("engine", 2)
        assert [await asked("/healthz"), await asked("/healthz?service=engine")] == [200, 503]
        assert await asked("/healthz?service=nothing") == 503
        assert [await asked("/metrics"), await asked("/metrics", known)] == [403, 200]
        await health.enter_graceful_shutdown()
        await health.set("", 1)
        assert await asked("/healthz") == 503


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("dns:///router-headless.ns:9000", "router-headless.ns"),
        ("k8s:///backend-weak:9000", "backend-weak"),
        ("a:1,b:2", None),
    ],
)
def test_addresses_of_a_name_are_expected_to_have_its_certificate(target: str, name: str | None) -> None:
    assert name_of(target) == name


def test_no_key_is_shown_where_certificates_are(tmp_path: Path) -> None:
    folder = tls.Folder(SERVER.write(tmp_path / "server"))
    assert "PRIVATE" not in repr(folder.load(folder.read_bytes()))
