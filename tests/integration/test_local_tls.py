"""`make up TLS=1`: the local system with private hops, called as its own examples say."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import grpc
import pytest
import pytest_asyncio

from fixtures.callers import PROMPT, Caller, calling, failure, fetch, responses, until
from steersman.local import engine, layout, options, usage
from steersman.local.demo.caller import caller
from steersman.local.demo.certificates import certificates
from steersman.local.demo.queries import Query, Way
from steersman.local.options import BadOption
from steersman.local.parts import Parts
from steersman.local.plan import plan
from steersman.local.ports import Ports
from steersman.local.system import System


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def private(
    parts: Parts, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    tiers = engine.tiny(parts)
    planned = plan(
        parts, tiers, layout.decide(ports, tiers=tiers), folder=tmp_path_factory.mktemp("s") / "up", tls=True
    )
    async with System(planned) as system:
        yield system


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("title", "command"),
    [
        pytest.param("the openai SDK", [sys.executable, "-c"], id="openai"),
        pytest.param("a gRPC client", [sys.executable, "-c"], id="grpc"),
        pytest.param("curl", ["bash", "-c"], id="curl"),
    ],
)
async def test_an_example_answers(private: System, title: str, command: Sequence[str]) -> None:
    (example,) = (each for each in usage.examples(private.addresses) if each.title.split(",")[0] == title)
    process = await asyncio.create_subprocess_exec(
        *command, example.code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert said.strip()
    if title == "curl":
        assert b"x-steersman-score: 0." in said  # Triton was asked, through TLS


async def test_plain_text_is_refused(private: System) -> None:
    for address in (
        private.addresses.router_grpc,
        private.addresses.weak_backend,
        private.addresses.triton_grpc,
    ):
        assert address is not None
        async with calling(address) as caller:
            assert (await failure(caller.route(PROMPT, seconds=5))).code is grpc.StatusCode.UNAVAILABLE


async def test_a_trace_has_the_spans_of_every_process(private: System) -> None:
    """Ours go by TLS with certificates of their own, Triton's by Envoy."""
    assert private.addresses.traces.startswith("https://")
    folder = Path(private.addresses.ca_file or "").parent
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    found = set[str]()

    async def complete() -> bool:
        """Ask anew each time: Triton now and then leaves a request's spans out of the trace that it was told of."""
        trace_id = secrets.token_hex(16)
        metadata = (("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"),)
        async with grpc.aio.secure_channel(private.addresses.router_grpc, authority) as channel:
            await responses(Caller(channel).chat(f"Tell me of {trace_id}", metadata=metadata))
        with suppress(TimeoutError):
            await until(partial(has_come, trace_id), seconds=5)
        return found >= wanted

    async def has_come(trace_id: str) -> bool:
        answer = await fetch(f"{private.addresses.traces}/{trace_id}", context=context)
        found.clear()
        if answer.status == 200:
            found.update(span["service"].partition("-backend")[0] for span in answer.json["spans"])
        return found >= wanted

    wanted = {"steersman-router", "steersman", "triton"}
    authority = grpc.ssl_channel_credentials((folder / "ca.crt").read_bytes())
    await until(complete, seconds=40)


@pytest.mark.parametrize("way", [Way.GRPC_STREAM, Way.OPENAI_UNARY])
async def test_the_demos_caller_asks_and_its_spans_arrive(private: System, way: Way) -> None:
    own = certificates(private.addresses)
    assert own is not None
    query = Query("What is a rhumb line?", way)
    asking = caller(private.addresses, own, otlp_url=private.plan.otlp_url, max_tokens=4)
    async with asking as demo:
        outcome = await demo.ask(query, [{"role": "user", "content": query.text}])
    assert outcome.answer.text
    answer = await fetch(f"{private.addresses.traces}/{outcome.trace_id}", context=own.context)
    assert "demo" in {span["service"] for span in answer.json["spans"]}


async def test_spans_are_neither_taken_in_the_clear_nor_shown_without_a_certificate(private: System) -> None:
    context = ssl.create_default_context(cafile=private.addresses.ca_file)
    assert (await fetch(private.addresses.traces, context=context)).status == 403
    assert (await fetch(f"{private.plan.otlp_url}/v1/traces", data=b"", context=context)).status == 403
    with pytest.raises(aiohttp.ClientError):
        await fetch(private.addresses.traces.replace("https://", "http://"))


async def test_keys_are_their_users_alone(private: System) -> None:
    folder = Path(private.addresses.ca_file or "").parent.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private.addresses.redis.startswith("unix://")


async def test_what_cannot_be_meant_is_refused() -> None:
    assert options.read({"TLS": "1"}).tls
    with pytest.raises(BadOption, match="TLS is 'yes'"):
        options.read({"TLS": "yes"})
