"""Triton's own spans, which Envoy sends on to the collector by TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import pytest
import pytest_asyncio
import tritonclient.grpc.aio as tritonclient

from chart.rendering import render
from fixtures.callers import Answer, fetch, until
from fixtures.otlp_receiver import Receiver, receiving, serial
from fixtures.private_triton import PrivateTriton, private_triton
from steersman.local.authority import LOCAL, Authority
from steersman.local.envoy import Shown, Spans, envoy
from steersman.local.parts import Parts
from steersman.local.ports import Ports
from steersman.local.processes import Process
from steersman.local.services import CLASSIFIER
from steersman.local.triton import TritonPorts

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS = Authority()
REQUEST = "InferRequest"
AMONG = 50
"""Queries between two changes of certificates, at least."""
PassOn = Callable[[str], Awaitable[str]]
"""Starts an Envoy for a collector; gives where that takes spans."""


@dataclass(slots=True)
class Running:
    """A Triton that traces everything, and the collector that it is told of."""

    triton: PrivateTriton
    receiver: Receiver
    asked: int = 0

    async def ask(self, client: tritonclient.InferenceServerClient) -> None:
        """Have a query scored."""
        tensor = tritonclient.InferInput("TEXT", [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[f"Question {self.asked}".encode()]], dtype=np.object_))
        await client.infer(CLASSIFIER, [tensor], model_version="1", client_timeout=5)
        self.asked += 1

    def client(self) -> tritonclient.InferenceServerClient:
        """A router, which keeps its connection."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", "triton")]
        issued = OURS.issue("router")
        return tritonclient.InferenceServerClient(
            self.triton.grpc, creds=issued.credentials, channel_args=options
        )

    async def all_have_come(self) -> bool:
        return self.receiver.names.count(REQUEST) >= self.asked


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    parts: Parts, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("private")
    async with (
        receiving(folder / "collector", OURS.issue("collector", LOCAL), by_http=True) as receiver,
        private_triton(parts, ports, folder, OURS, collector=receiver.url) as triton,
    ):
        yield Running(triton, receiver)


async def test_they_arrive_by_tls_with_the_certificate_of_tritons_pod(running: Running) -> None:
    async with running.client() as client:
        for _ in range(5):
            await running.ask(client)
    await until(running.all_have_come)
    assert {REQUEST, "compute"} <= set(running.receiver.names)
    assert set(running.receiver.senders) == {serial((running.triton.certificates / "tls.crt").read_bytes())}
    assert running.receiver.versions <= {"TLSv1.2", "TLSv1.3"}


@pytest_asyncio.fixture(loop_scope="module")
async def passing_on(parts: Parts, ports: Ports, tmp_path: Path) -> AsyncIterator[PassOn]:
    """Start an Envoy for a collector, in front of a Triton that is not there."""
    async with AsyncExitStack() as stack:

        async def start(collector: str) -> str:
            own, nobody = (TritonPorts(ports.take(), ports.take(), ports.take()) for _ in range(2))
            spans = Spans(ports.take(), f"{collector}/v1/traces")
            program = envoy(
                parts,
                ports=own,
                behind=nobody,
                shown=Shown(OURS.issue("triton", LOCAL).write(tmp_path / "own"), "router", "client"),
                folder=tmp_path / "envoy",
                spans=spans,
            )
            await stack.enter_async_context(Process(program, logs=tmp_path))
            return spans.url

        yield start


async def posted(url: str) -> Answer:
    """Send one span, as Triton does."""
    span = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": "secret"}
    sent = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    return await fetch(url, data=orjson.dumps(sent))


@pytest.mark.parametrize("host", [LOCAL, "localhost"])
async def test_nothing_but_spans_is_passed_on(passing_on: PassOn, host: str, tmp_path: Path) -> None:
    issued = OURS.issue("collector", host)
    async with receiving(tmp_path / "collector", issued, by_http=True) as receiver:
        url = await passing_on(receiver.url.replace(LOCAL, host))
        assert (await posted(url)).status == 200
        assert receiver.names == ["secret"]
        assert (await fetch(url)).status == 403
        assert (await posted(url.replace("/v1/traces", "/v1/logs"))).status == 403


@pytest.mark.parametrize("host", [LOCAL, "localhost"])
@pytest.mark.parametrize("who", ["another name", "a foreign authority"])
async def test_an_impostor_gets_none(passing_on: PassOn, host: str, who: str, tmp_path: Path) -> None:
    issued = {
        "another name": OURS.issue("collector"),
        "a foreign authority": Authority().issue("collector", host, trusted=OURS.pem),
    }[who]
    async with receiving(tmp_path / "collector", issued, by_http=True) as impostor:
        assert (await posted(await passing_on(impostor.url.replace(LOCAL, host)))).status == 503
        assert impostor.names == []


async def test_nor_does_a_collector_in_the_clear(passing_on: PassOn) -> None:
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1 << 16))
        writer.close()

    async with await asyncio.start_server(listen, LOCAL, 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await posted(await passing_on(f"https://{LOCAL}:{port}"))).status == 503
    assert heard[:1] == b"\x16", "a handshake begins"
    assert b"secret" not in heard


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_nor_does_one_that_speaks_an_older_version_of_tls(passing_on: PassOn, tmp_path: Path) -> None:
    folder = OURS.issue("collector", LOCAL).write(tmp_path / "collector")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with await asyncio.start_server(lambda *_: None, LOCAL, 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await posted(await passing_on(f"https://{LOCAL}:{port}"))).status == 503


async def test_none_is_lost_while_the_authority_of_both_is_replaced_and_nothing_is_restarted(
    running: Running,
) -> None:
    """First both trust both authorities, then their certificates change, then the old authority goes."""
    old, new, over = OURS, Authority("new"), asyncio.Event()
    both, processes = old.pem + new.pem, (running.triton.envoy.pid, running.triton.triton.pid)

    async def keep_asking() -> None:
        async with running.client() as client:
            while not over.is_set():
                await running.ask(client)

    async def has_asked(enough: int) -> bool:
        return running.asked >= enough

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_asking())
        for authority, trusted in ((old, both), (new, both), (new, new.pem)):
            shown = authority.issue("triton", LOCAL, trusted=trusted)
            await running.receiver.takes(authority.issue("collector", LOCAL, trusted=trusted))
            shown.write(running.triton.certificates)
            await until(partial(running.receiver.hears, shown), seconds=30)
            await until(partial(has_asked, running.asked + AMONG), seconds=30)
        over.set()
    await until(running.all_have_come)
    assert running.receiver.names.count(REQUEST) == running.asked
    assert (running.triton.envoy.pid, running.triton.triton.pid) == processes


@pytest.mark.parametrize("tls", [{}, {"secretName": "c"}, {"secretName": "c", "clientCertificate": True}])
async def test_envoy_takes_what_the_chart_writes_for_it(
    parts: Parts, tls: dict[str, object], tmp_path: Path
) -> None:
    """With certificates of the pod's own, with an authority alone, and with a certificate by that."""
    otel = {"endpoint": "https://collector.observability", "tls": tls}
    release = render({"tls": {"enabled": True}, "otel": otel})
    certificates = OURS.issue("triton").write(tmp_path / "certificates")
    for name, text in release.one("ConfigMap", "steersman-classifier-envoy")["data"].items():
        here = text.replace("/etc/envoy", str(tmp_path))
        for folder in ("/etc/steersman-tls", "/etc/steersman-otel"):
            here = here.replace(folder, str(certificates))
        (tmp_path / name).write_text(here)
    process = await asyncio.create_subprocess_exec(
        *(parts.envoy, "--mode", "validate", "--config-path", tmp_path / "envoy.yaml"),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, said.decode()
    assert b"deprecated" not in said.lower()
