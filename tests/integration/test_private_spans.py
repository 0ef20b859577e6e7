"""Spans of real processes to a collector by TLS: they arrive, whoever it is, and however certificates change."""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from fakes.engine import fake_engine
from fixtures.callers import body, fetch, metric, until
from fixtures.otlp_receiver import Receiver, receiving
from fixtures.router_process import FAST, NOWHERE, direct, policies, write
from fixtures.service_process import SERVICES, Service, service
from steersman.local.authority import LOCAL, Authority
from steersman.local.ports import Ports

EDGE: Final = "POST /v1/chat/completions"
PROTOCOLS: Final = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
AMONG: Final = 40
"""Requests between two changes of certificates, at least."""


@dataclass(slots=True)
class Traced:
    """A router that traces everything, and who asks it."""

    service: Service
    http: str
    folder: Path
    authorities: Path
    asked: int = 0

    @property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authorities)

    async def ask(self) -> None:
        answer = await fetch(
            f"{self.http}/v1/chat/completions", data=body(model="weak"), context=self._context
        )
        assert answer.status == 200
        self.asked += 1

    async def dropped(self) -> float:
        return await metric(self.service.metrics, "steersman_spans_dropped_total", context=self._context)


@asynccontextmanager
async def traced(
    folder: Path, ports: Ports, authority: Authority, *, url: str, protocol: str
) -> AsyncIterator[Traced]:
    """Whoever calls the router trusts both authorities that a test may have."""
    certificates = authority.issue("router", LOCAL).write(folder / "router")
    authorities = folder / "authorities.pem"
    authorities.write_bytes(authority.pem)
    http = f"{LOCAL}:{ports.take()}"
    settings = {
        **FAST,
        "HTTP__ADDRESS": http,
        "POLICY_FILE": folder / "policies.yaml",
        "CLASSIFIER__TARGET": NOWHERE,
        "CACHE__URL": f"rediss://{NOWHERE}/0",
        "CACHE__HMAC_KEY": secrets.token_hex(16),
        "TLS__FOLDER": certificates,
        "TLS__VERIFY_CLIENTS": "false",
    }
    async with fake_engine() as engine:
        write(folder / "policies.yaml", policies(direct(engine.url), direct(engine.url)))
        async with service("router", settings, ports=ports, environment=_exporting(url, protocol)) as started:
            by_https = Service(started.grpc, started.metrics.replace("http://", "https://"), started.process)
            router = Traced(by_https, f"https://{http}", certificates, authorities)
            await until(partial(_ready, router), seconds=30)
            yield router


async def _ready(router: Traced) -> bool:
    assert router.service.process.returncode is None
    with suppress(aiohttp.ClientError, AssertionError):
        await router.ask()
    return router.asked > 0


def _exporting(url: str, protocol: str) -> Mapping[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


async def _has_come(receiver: Receiver, router: Traced) -> bool:
    return receiver.names.count(EDGE) >= router.asked


@PROTOCOLS
async def test_no_span_and_no_request_is_lost_while_the_authority_of_both_is_replaced(
    protocol: str, ports: Ports, tmp_path: Path
) -> None:
    """First both trust both authorities, then their certificates change, then the old authority goes."""
    old, new, over = Authority("old"), Authority("new"), asyncio.Event()
    both = old.pem + new.pem

    async def keep_asking(router: Traced) -> None:
        while not over.is_set():
            await router.ask()

    async def has_asked(router: Traced, enough: int) -> bool:
        return router.asked >= enough

    async with (
        receiving(tmp_path / "c", old.issue("c", LOCAL), by_http=protocol != "grpc") as receiver,
        traced(tmp_path, ports, old, url=receiver.url, protocol=protocol) as router,
    ):
        router.authorities.write_bytes(both)
        pid = router.service.process.pid
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_asking(router))
            for authority, trusted in ((old, both), (new, both), (new, new.pem)):
                shown = authority.issue("router", LOCAL, trusted=trusted)
                await receiver.takes(authority.issue("c", LOCAL, trusted=trusted))
                shown.write(router.folder)
                await until(partial(receiver.hears, shown), seconds=30)
                await until(partial(has_asked, router, router.asked + AMONG), seconds=30)
            over.set()
        await until(partial(_has_come, receiver, router))
        assert receiver.names.count(EDGE) == router.asked
        assert await router.dropped() == 0
        assert router.service.process.pid == pid
        assert router.service.process.returncode is None


@PROTOCOLS
@pytest.mark.parametrize("who", ["another name", "a foreign authority"])
async def test_an_impostor_gets_no_span_and_requests_are_unharmed(
    protocol: str, who: str, ports: Ports, tmp_path: Path
) -> None:
    ours = Authority()
    issued = {
        "another name": ours.issue("collector"),
        "a foreign authority": Authority().issue("collector", LOCAL, trusted=ours.pem),
    }[who]
    async with (
        receiving(tmp_path / "c", issued, by_http=protocol != "grpc") as impostor,
        traced(tmp_path, ports, ours, url=impostor.url, protocol=protocol) as router,
    ):
        for _ in range(10):
            await router.ask()

        async def counted() -> bool:
            return await router.dropped() > 0

        await until(counted, seconds=20)
        await router.ask()
        assert impostor.names == []


@pytest.mark.parametrize("name", ["router", "backend", "scaler", "controller"])
async def test_a_collector_in_the_clear_ends_the_start_with_a_sentence(name: str, tmp_path: Path) -> None:
    folder = Authority().issue(name).write(tmp_path / "own")
    needed = {
        "router": {"CACHE__URL": f"rediss://{NOWHERE}", "CACHE__HMAC_KEY": "k" * 32, "POLICY_FILE": "/none"},
        "backend": {"TIER": "weak", "ENGINE__URL": "http://127.0.0.1:1"},
    }.get(name, {})
    code, said = await _started(
        name, {**needed, "TLS__FOLDER": str(folder)}, _exporting("http://collector.models:4318", "grpc")
    )
    assert code == 1
    assert (
        f"steersman {name}: OTEL_EXPORTER_OTLP_ENDPOINT: with TLS on, collector.models:4318 "
        "would be asked in the clear" in said
    )


async def test_an_engine_in_the_clear_ends_the_start_of_a_router_with_a_sentence(tmp_path: Path) -> None:
    folder = Authority().issue("router").write(tmp_path / "own")
    tier = direct("http://engine.models:8000")
    write(tmp_path / "policies.yaml", policies(tier, tier))
    settings = {
        "CACHE__URL": f"rediss://{NOWHERE}",
        "CACHE__HMAC_KEY": "k" * 32,
        "POLICY_FILE": str(tmp_path / "policies.yaml"),
        "TLS__FOLDER": str(folder),
    }
    code, said = await _started("router", settings, {})
    assert code == 1
    assert "tiers.weak.upstream.url: with TLS on, engine.models:8000 would be asked in the clear" in said


async def _started(name: str, settings: Mapping[str, str], environment: Mapping[str, str]) -> tuple[Any, str]:
    """How a process ends, and what it says."""
    given = {"GRPC__ADDRESS": f"{LOCAL}:0", "METRICS__ADDRESS": f"{LOCAL}:0", **settings}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"steersman.{name}"),
        env={
            **os.environ,
            "PYTHONPATH": os.fspath(SERVICES),
            **{f"STEERSMAN_{key}": value for key, value in given.items()},
            **environment,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), 30)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    return process.returncode, said.decode()
