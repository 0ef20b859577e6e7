"""Spans to a collector by TLS: whom the exporter trusts, what it shows, and how it follows certificates."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from fixtures.otlp_receiver import Receiver, receiving, serial
from steersman.local.authority import LOCAL, Authority, Issued
from steersman.runtime import telemetry, tls
from steersman.runtime.exporting import Collector, Following
from steersman.runtime.settings import Tls
from steersman.runtime.tls import PLAIN, Shown, Wire
from steersman.runtime.watched_file import NotUsable

OURS = Authority("ours")
THEIRS = Authority("theirs")
_NONE: Mapping[str, Path] = MappingProxyType({})
FILES = ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")


def spans(*names: str) -> list[ReadableSpan]:
    """Spans that have ended."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    made = [tracer.start_span(name) for name in names]
    for span in made:
        span.end()
    return [span for span in made if isinstance(span, ReadableSpan)]


@dataclass(frozen=True, slots=True)
class Sending:
    """An exporter, as the processor's thread uses it."""

    exporter: SpanExporter
    wire: Wire
    folder: Path

    async def send(self, *names: str) -> bool:
        """Whether the collector took them."""
        result = await asyncio.to_thread(self.exporter.export, spans(*names))
        return result is SpanExportResult.SUCCESS

    async def until_reloaded(self, write: Callable[[], object]) -> None:
        """Change the process's certificates, and wait until they are in use."""
        before = self.wire.edition
        write()
        async with asyncio.timeout(10):
            while self.wire.edition == before:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.02)


@pytest.fixture(params=["http/protobuf", "grpc"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the protocols."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", request.param)
    return str(request.param)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector has half a second to answer, where none is to be had."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")


@pytest.fixture
async def receiver(protocol: str, tmp_path: Path) -> AsyncIterator[Receiver]:
    """By an authority of ours, for its address."""
    issued = OURS.issue("collector", LOCAL)
    async with receiving(tmp_path / "collector", issued, by_http=protocol != "grpc") as running:
        yield running


@asynccontextmanager
async def sending(
    folder: Path, url: str, issued: Issued | None = None, *, variables: Mapping[str, Path] = _NONE
) -> AsyncIterator[Sending]:
    """A process with a certificate by our authority, or another one, and standard variables that name files."""
    named = {f"OTEL_EXPORTER_OTLP_{name}": str(path) for name, path in variables.items()}
    protocols = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
    own = (issued or OURS.issue("router")).write(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**named, **protocols}.items():
            patch.setenv(name, value)
        collector = Collector.of(os.environ)
        assert collector is not None
        async with AsyncExitStack() as stack:
            wire = await stack.enter_async_context(tls.opened(Tls(folder=own), on_reload=lambda _: None))
            exporter = await stack.enter_async_context(collector.exporter(wire, lambda _: None))
            yield Sending(exporter, wire, own)
            exporter.shutdown()


async def test_a_collector_is_shown_the_processs_own_certificate(receiver: Receiver, tmp_path: Path) -> None:
    own = OURS.issue("router")
    async with sending(tmp_path / "own", receiver.url, own) as process:
        assert await process.send("first", "second")
    assert receiver.names == ["first", "second"]
    assert set(receiver.senders) == {serial(own.certificate)}
    assert receiver.versions <= {"TLSv1.2", "TLSv1.3"}


@pytest.mark.parametrize(
    "issued",
    [
        pytest.param(OURS.issue("collector"), id="another-name"),
        pytest.param(THEIRS.issue("collector", LOCAL, trusted=OURS.pem), id="a-foreign-authority"),
    ],
)
@pytest.mark.usefixtures("hasty")
async def test_an_impostor_is_sent_nothing(protocol: str, issued: Issued, tmp_path: Path) -> None:
    async with (
        receiving(tmp_path / "collector", issued, by_http=protocol != "grpc") as impostor,
        sending(tmp_path / "own", impostor.url) as process,
    ):
        assert not await process.send("secret")
        assert impostor.names == []


@pytest.mark.usefixtures("protocol", "hasty")
async def test_a_collector_in_the_clear_behind_https_is_sent_nothing(tmp_path: Path) -> None:
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1 << 16))
        writer.close()

    server = await asyncio.start_server(listen, LOCAL, 0)
    async with (
        server,
        sending(tmp_path / "own", f"https://{LOCAL}:{server.sockets[0].getsockname()[1]}") as to,
    ):
        assert not await to.send("secret")
    assert heard[:1] == b"\x16", "a handshake begins"
    assert b"secret" not in heard


@pytest.mark.usefixtures("protocol", "hasty")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_no_version_of_tls_below_the_floor_is_spoken(tmp_path: Path) -> None:
    folder = OURS.issue("collector", LOCAL).write(tmp_path / "collector")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    spoken: list[str] = []

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spoken.append("anything")
        writer.close()

    server = await asyncio.start_server(connected, LOCAL, 0, ssl=context)
    async with (
        server,
        sending(tmp_path / "own", f"https://{LOCAL}:{server.sockets[0].getsockname()[1]}") as to,
    ):
        assert not await to.send("secret")
    assert spoken == []


@pytest.mark.slow
async def test_the_next_export_after_a_change_shows_the_new_certificate(
    receiver: Receiver, tmp_path: Path
) -> None:
    issued = [OURS.issue("router") for _ in range(3)]
    async with sending(tmp_path / "own", receiver.url, issued[0]) as process:
        assert await process.send("0")
        for number in (1, 2):
            await process.until_reloaded(lambda: issued[number].write(process.folder))  # noqa: B023 - called at once
            assert await process.send(str(number))
    assert receiver.names == ["0", "1", "2"]
    assert receiver.senders == [serial(each.certificate) for each in issued]


@pytest.mark.slow
async def test_no_span_is_lost_while_both_ends_go_over_to_another_authority(
    receiver: Receiver, tmp_path: Path
) -> None:
    """First both trust both, then the certificates change, then the old authority goes."""
    both, sent, over = OURS.pem + THEIRS.pem, list[str](), asyncio.Event()

    async def send_on(process: Sending) -> None:
        while not over.is_set():
            assert await process.send(str(len(sent)))
            sent.append(str(len(sent)))

    async with sending(tmp_path / "own", receiver.url) as process, asyncio.TaskGroup() as tasks:
        tasks.create_task(send_on(process))
        for authority, trusted in ((OURS, both), (THEIRS, both), (THEIRS, THEIRS.pem)):
            await receiver.takes(authority.issue("collector", LOCAL, trusted=trusted))
            last = authority.issue("router", trusted=trusted)
            await process.until_reloaded(lambda: last.write(process.folder))  # noqa: B023 - called at once
            before = len(sent)
            async with asyncio.timeout(20):
                while len(sent) < before + 5:  # noqa: ASYNC110 - nobody is told
                    await asyncio.sleep(0.02)
        over.set()
    assert receiver.names == sent
    assert receiver.senders[-1] == serial(last.certificate)


@pytest.mark.slow
async def test_what_failed_while_certificates_changed_is_sent_again_by_the_new_ones(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector was first to go over, so that nothing works until the process has."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
    other = THEIRS.issue("collector", LOCAL)
    async with (
        receiving(tmp_path / "collector", other, by_http=protocol != "grpc") as receiver,
        sending(tmp_path / "own", receiver.url) as process,
    ):
        pending = asyncio.create_task(process.send("patient"))
        await process.until_reloaded(lambda: THEIRS.issue("router").write(process.folder))
        assert await pending
    assert receiver.names == ["patient"]


async def test_what_fails_for_another_reason_is_not_sent_again() -> None:
    asked = list[int]()

    class Failing(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            del spans
            asked.append(1)
            return SpanExportResult.FAILURE

    exporter = Following(lambda _: Failing(), lambda: None)
    assert exporter.export([]) is SpanExportResult.FAILURE
    assert len(asked) == 1


@pytest.mark.slow
async def test_files_that_the_standard_variables_name_win_and_are_followed(
    protocol: str, tmp_path: Path
) -> None:
    """A collector of another authority, which wants a certificate by that one."""
    issued = [THEIRS.issue("router") for _ in range(2)]
    files = issued[0].write(tmp_path / "for the collector")
    paths = dict(zip(FILES, (files / "ca.crt", files / "tls.crt", files / "tls.key"), strict=True))
    collector = THEIRS.issue("collector", LOCAL)
    async with (
        receiving(tmp_path / "collector", collector, by_http=protocol != "grpc") as receiver,
        sending(tmp_path / "own", receiver.url, variables=paths) as process,
    ):
        assert await process.send("first")
        issued[1].write(files)
        async with asyncio.timeout(10):
            while receiver.senders[-1] != serial(issued[1].certificate):
                assert await process.send("more")
    assert receiver.senders[0] == serial(issued[0].certificate)


async def test_those_of_traces_come_before_those_of_all_signals(receiver: Receiver, tmp_path: Path) -> None:
    right = OURS.issue("router").write(tmp_path / "right")
    wrong = THEIRS.issue("router").write(tmp_path / "wrong")
    named = {"CERTIFICATE": "ca.crt", "CLIENT_CERTIFICATE": "tls.crt", "CLIENT_KEY": "tls.key"}
    paths = {
        **{name: wrong / file for name, file in named.items()},
        **{f"TRACES_{name}": right / file for name, file in named.items()},
    }
    async with sending(tmp_path / "own", receiver.url, THEIRS.issue("router"), variables=paths) as process:
        assert await process.send("here")
    assert receiver.names == ["here"]


@pytest.mark.usefixtures("hasty")
async def test_where_they_name_authorities_alone_nothing_is_shown(receiver: Receiver, tmp_path: Path) -> None:
    authorities = OURS.issue("any").write(tmp_path / "authorities") / "ca.crt"
    async with sending(tmp_path / "own", receiver.url, variables={"CERTIFICATE": authorities}) as process:
        assert not await process.send("nobody")
    assert receiver.names == []


async def test_files_that_do_not_fit_together_end_the_start_and_tell_nothing_of_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, others = (OURS.issue("router").write(tmp_path / name) for name in ("files", "others"))
    named = (files / "ca.crt", files / "tls.crt", others / "tls.key")
    for name, path in zip(FILES, named, strict=True):
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", str(path))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318")
    with pytest.raises(
        NotUsable, match=r"certificates for the collector .*tls\.key: they cannot be used"
    ) as told:
        await _traced(Tls())
    assert "PRIVATE" not in str(told.value)


async def _traced(settings: Tls) -> None:
    async with telemetry.tracing(
        service="x", version="1", on_dropped=lambda _: None, tls=settings, wire=PLAIN
    ):
        raise AssertionError("it has started")


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
@pytest.mark.parametrize("url", ["http://collector.observability:4318", "collector.observability:4318"])
async def test_where_hops_are_private_a_collector_in_the_clear_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    monkeypatch.setenv(variable, url)
    said = f"{variable}: with TLS on, collector.observability:4318 would be asked in the clear"
    with pytest.raises(NotUsable, match=said):
        await _traced(Tls(folder=Path("/certificates")))


async def test_one_on_the_loopback_or_named_on_purpose_does_not() -> None:
    for url in ("http://localhost:4318", "http://127.0.0.1:4318", "http://collector:4318"):
        collector = Collector.of({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        assert collector is not None
        collector.check(Tls(folder=Path("/certificates"), plaintext_to=("collector",)))


def test_no_credentials_are_shown_where_nothing_names_any() -> None:
    made = list[Shown | None]()

    class Never(SpanExporter):
        pass

    def make(shown: Shown | None) -> SpanExporter:
        made.append(shown)
        return Never()

    Following(make, lambda: PLAIN.shown)
    assert made == [None]
