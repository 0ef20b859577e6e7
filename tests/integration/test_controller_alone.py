"""A controller process with no Kubernetes to speak to."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from fakes.api_server import kubeconfig
from fixtures.callers import until
from fixtures.controller_process import controller
from fixtures.service_process import SERVICES

pytestmark = pytest.mark.slow  # each test has a process of its own


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A kubeconfig that names an API server where there is none."""
    return kubeconfig(tmp_path, "http://127.0.0.1:9")


async def test_while_the_api_is_away_it_lives_is_not_ready_and_does_not_lead(nowhere: Path) -> None:
    async with controller("127.0.0.1:9", KUBERNETES__KUBECONFIG=nowhere, ELECTION__RETRY_SECONDS=0.1) as one:
        await until(lambda: one.shows('steersman_controller_api_errors_total{operation="lease"} 3.0'))
        assert await one.serving("")
        assert not await one.serving("lease")
        assert not await one.leads()


async def test_while_the_api_is_away_it_still_ends_soon_when_it_is_told_to(nowhere: Path) -> None:
    async with controller("127.0.0.1:9", KUBERNETES__KUBECONFIG=nowhere) as one:
        told_at = time.monotonic()
        assert await one.terminate() == 0
        assert time.monotonic() - told_at < 10


async def test_where_no_way_to_the_api_is_known_it_ends_with_a_sentence(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "steersman.controller",
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")},
            "PYTHONPATH": os.fspath(SERVICES),
            "STEERSMAN_KUBERNETES__KUBECONFIG": os.fspath(tmp_path / "missing"),
            "STEERSMAN_METRICS__ADDRESS": "127.0.0.1:0",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    last = said.decode().splitlines()[-1]
    assert last.startswith("steersman controller: no way to the Kubernetes API is known")
