"""What `make up` prints can be run as it is printed."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest
from rich.console import Console

from steersman.local import usage
from steersman.local.system import System


@pytest.mark.parametrize(
    ("title", "command"),
    [
        pytest.param("the openai SDK", [sys.executable, "-c"], id="openai"),
        pytest.param("a gRPC client", [sys.executable, "-c"], id="grpc"),
        pytest.param("curl", ["bash", "-c"], id="curl"),
    ],
)
async def test_an_example_answers(system: System, title: str, command: list[str]) -> None:
    [example] = [each for each in usage.examples(system.addresses) if each.title.split(",")[0] == title]
    process = await asyncio.create_subprocess_exec(
        *command, example.code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert said.strip()


async def test_every_address_is_printed(system: System) -> None:
    console = Console(file=io.StringIO(), width=160)
    usage.show(console, system.addresses)
    assert isinstance(console.file, io.StringIO)
    for address in (system.addresses.router_http, system.addresses.redis, system.addresses.traces):
        assert address in console.file.getvalue()
