"""The real parts start, do their work and join the caller's trace."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import redis.asyncio
import tritonclient.grpc.aio as tritonclient

from fixtures.real_parts import Collector, Engine, StartTriton, Valkey

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"

CONFIG = """
backend: "python"
input [{ name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] }]
output [{ name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] }]
instance_group [{ kind: KIND_CPU count: 1 }]
"""
MODEL = """
import triton_python_backend_utils as backend

class TritonPythonModel:
    def execute(self, requests):
        texts = [backend.get_input_tensor_by_name(request, "TEXT").as_numpy() for request in requests]
        return [backend.InferenceResponse([backend.Tensor("TEXT", text)]) for text in texts]
"""


@pytest.fixture
def echo_repository(tmp_path: Path) -> Path:
    """A model repository with one model, which answers what it is told."""
    repository = tmp_path / "models"
    version = repository / "echo" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(MODEL)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    return repository


async def test_valkey_answers(valkey: Valkey) -> None:
    async with redis.asyncio.from_url(valkey.url) as client:
        assert await client.ping()


async def test_an_engine_says_how_many_slots_it_has(engine: Engine) -> None:
    async with aiohttp.ClientSession(engine.url) as session, session.get("/props") as response:
        properties = await response.json()
    assert properties["total_slots"] == engine.slots


async def test_an_engine_answers_in_openais_form(engine: Engine) -> None:
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}
    async with (
        aiohttp.ClientSession(engine.url) as session,
        session.post("/v1/chat/completions", json=body) as response,
    ):
        answer = await response.json()
    assert answer["usage"]["completion_tokens"] == 4
    assert answer["model"] == engine.model


async def test_tritons_own_spans_join_the_callers_trace(
    start_triton: StartTriton, collector: Collector, echo_repository: Path
) -> None:
    triton = await start_triton(repository=echo_repository, traces_url=f"{collector.url}/v1/traces")
    async with tritonclient.InferenceServerClient(triton.grpc_address) as client:
        text = tritonclient.InferInput("TEXT", [1], "BYTES")
        text.set_data_from_numpy(np.array([b"hello"], dtype=np.object_))
        answer = await client.infer(
            "echo", [text], headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}, client_timeout=10
        )
    assert answer.as_numpy("TEXT").tolist() == [b"hello"]
    spans = await _trace(collector, spans=3)
    assert {span["service"] for span in spans} == {"triton"}
    assert PARENT in {span["parent_id"] for span in spans}


async def _trace(collector: Collector, *, spans: int) -> list[dict[str, str]]:
    """The trace, once as many spans have come; Triton sends them when it likes."""
    async with asyncio.timeout(10), aiohttp.ClientSession(collector.url) as session:
        while True:
            async with session.get(f"/traces/{TRACE}") as response:
                found = (await response.json())["spans"] if response.status == 200 else []
            if len(found) >= spans:
                return list(found)
            await asyncio.sleep(0.05)
