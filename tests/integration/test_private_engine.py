"""An engine behind Envoy, by the files that a backend's pod has: health for kubelet, metrics for Prometheus."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import reduce
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from chart.rendering import render
from fixtures.real_parts import Engine
from steersman.local import envoy
from steersman.local.authority import LOCAL, Authority
from steersman.local.parts import Parts
from steersman.local.ports import Ports
from steersman.local.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class PrivateEngine:
    """What others see of it."""

    authority: Authority
    folder: Path
    health: str
    metrics: str

    def holder(self, name: str) -> ssl.SSLContext:
        """What who has this name shows."""
        return self.authority.issue(name).context(self.folder / name)

    @property
    def nobody(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority.pem.decode())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def private(
    engine: Engine, parts: Parts, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PrivateEngine]:
    """The files as they are in the ConfigMap, but for ports and folders of this machine."""
    folder, authority = tmp_path_factory.mktemp("private"), Authority()
    files, certificates = folder / "files", authority.issue("backend", LOCAL).write(folder / "own")
    files.mkdir()
    health, metrics = ports.take(), ports.take()
    here = {
        "0.0.0.0": LOCAL,  # noqa: S104 - what a pod has
        '"9443"': str(health),
        '"9444"': str(metrics),
        '"8000"': engine.url.rpartition(":")[2],
        "/etc/envoy": str(files),
        "/etc/steersman-tls": str(certificates),
    }
    release = render({"tls": {"enabled": True}})
    for name, text in release.one("ConfigMap", "steersman-backend-weak-envoy")["data"].items():
        (files / name).write_text(reduce(lambda said, pair: said.replace(*pair), here.items(), text))
    program = envoy.configured(
        parts, files, health=health, ca_file=certificates / "ca.crt", name="engine_tls"
    )
    async with Process(program, logs=folder):
        yield PrivateEngine(authority, folder, f"https://{LOCAL}:{health}", f"https://{LOCAL}:{metrics}")


async def answer(url: str, context: ssl.SSLContext, *, seconds: float = 5) -> tuple[int, str]:
    """Status and text of a GET on a new connection."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(url, timeout=aiohttp.ClientTimeout(total=seconds)) as response,
    ):
        return response.status, await response.text()


async def is_well(url: str, context: ssl.SSLContext) -> bool:
    """What kubelet takes an answer for, and that there is none in its time."""
    try:
        status, _ = await answer(url, context, seconds=1)
    except TimeoutError:
        return False
    return status == HTTPStatus.OK


async def test_kubelet_hears_whether_the_engine_works_and_nothing_else(private: PrivateEngine) -> None:
    assert await is_well(f"{private.health}/health", private.nobody)
    for path in ("/v1/models", "/props", "/slots", "/metrics", "/v1/chat/completions"):
        assert (await answer(private.health + path, private.nobody))[0] == 403


async def test_kubelet_hears_that_it_does_not(private: PrivateEngine, engine: Engine) -> None:
    engine.process.pause()
    try:
        assert not await is_well(f"{private.health}/health", private.nobody)
        assert (await answer(f"{private.health}/envoy/healthz", private.nobody))[0] == 200
    finally:
        engine.process.resume()


async def test_prometheus_reads_metrics_and_nothing_else(private: PrivateEngine) -> None:
    status, text = await answer(f"{private.metrics}/metrics", private.holder("steersman-client"))
    assert status == 200
    assert "llamacpp:" in text
    for path in ("/v1/models", "/slots"):
        assert (await answer(private.metrics + path, private.holder("steersman-client")))[0] == 403


@pytest.mark.parametrize("name", ["", "steersman-router"])
async def test_nobody_else_reads_them(private: PrivateEngine, name: str) -> None:
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await answer(f"{private.metrics}/metrics", private.holder(name) if name else private.nobody)


async def test_neither_port_answers_in_the_clear(private: PrivateEngine) -> None:
    for url in (f"{private.health}/health", f"{private.metrics}/metrics"):
        with pytest.raises(aiohttp.ClientError):
            await answer(url.replace("https://", "http://"), private.nobody)
