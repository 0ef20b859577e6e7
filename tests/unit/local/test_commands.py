"""The commands that a newcomer runs, in a copy of this checkout that has nothing installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import psutil
import pytest

from steersman.local.addresses import Addresses
from steersman.local.parts import CHECKOUT

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SECONDS: Final = 600
"""Time for a command that installs everything first, over a slow line."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a clone of this checkout would hold, changes that are not committed yet included."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    clone = tmp_path_factory.mktemp("clone")
    for file in filter(None, files.split("\0")):
        if (CHECKOUT / file).exists():
            (clone / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / file, clone / file)
    yield clone
    make(clone, "down")
    shutil.rmtree(clone)


def make(clone: Path, *arguments: str) -> str:
    """What a command of the Makefile says; an error if it fails."""
    python = f"PYTHON={sys._base_executable}"  # type: ignore[attr-defined]  # has no public name
    outer = ("ARGS", "MAKE", "MFLAGS", "VIRTUAL_ENV", "UV_", "WEAK_", "STRONG_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    done = subprocess.run(
        [shutil.which("make") or "make", python, "ENGINES=tiny", *arguments],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def processes_of(clone: Path) -> list[psutil.Process]:
    """The processes that run anything of a checkout."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(clone) in word for word in process.info["cmdline"] or ())
    ]


def test_the_demo_shows_decisions_a_trace_and_the_savings_and_stops_everything(clone: Path) -> None:
    said = make(clone, "demo")
    for part in ("gRPC Chat", "openai SDK, stream", "L1_HIT", "triton InferRequest", "strong share"):
        assert part in said, said
    assert processes_of(clone) == []


async def test_a_system_that_is_up_answers_until_it_is_taken_down(clone: Path) -> None:
    make(clone, "up")
    addresses = Addresses.read(clone / ".local" / "addresses.json")
    body = {"model": "auto", "max_tokens": 3, "messages": [{"role": "user", "content": "Hello"}]}
    async with (
        aiohttp.ClientSession(addresses.router_http) as session,
        session.post("/v1/chat/completions", json=body) as response,
    ):
        assert response.headers.get("x-steersman-reason") == "SCORE", await response.text()
    assert "is up already" in make(clone, "up")
    assert "is down" in make(clone, "down")
    assert processes_of(clone) == []
    assert "Nothing is up" in make(clone, "down")


def test_a_supervisor_that_is_killed_takes_everything_with_it_and_leaves_no_lock(clone: Path) -> None:
    make(clone, "up")
    os.kill(int((clone / ".local" / "supervisor.pid").read_text()), signal.SIGKILL)
    _, alive = psutil.wait_procs(processes_of(clone), timeout=10)
    assert alive == []
    assert "Nothing is up" in make(clone, "down")
    assert not (clone / ".local" / "addresses.json").exists()
