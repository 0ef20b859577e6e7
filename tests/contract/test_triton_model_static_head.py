from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from fixtures.real_parts import Triton
from steersman.classifier import artefact

MODEL, VERSION = "static_head", "1"
ARTEFACT = Path(__file__).parents[2] / "triton_models" / MODEL / VERSION
OUTPUTS = ("SCORE", "WIN_PROBABILITY", "NOVELTY", "TRUNCATED")
DEADLINE = 10.0
"""Seconds; far more than any answer takes, so that a hung server fails a test instead of the run."""

Answer = dict[str, Any]


class Model:
    """The model on the real server."""

    def __init__(self, client: InferenceServerClient) -> None:
        self.client = client

    async def ask(self, *texts: bytes) -> Answer:
        query = InferInput("TEXT", [len(texts), 1], "BYTES")
        query.set_data_from_numpy(np.array([[text] for text in texts], dtype=np.object_))
        result = await self.client.infer(MODEL, [query], model_version=VERSION, client_timeout=DEADLINE)
        return {name: result.as_numpy(name) for name in OUTPUTS}

    async def executions(self) -> tuple[int, int]:
        """Texts answered so far, and batches executed for them."""
        statistics = await self.client.get_inference_statistics(MODEL, VERSION)
        stats = statistics.model_stats[0]
        return stats.inference_count, stats.execution_count


@pytest_asyncio.fixture
async def model(triton: Triton) -> AsyncIterator[Model]:
    async with InferenceServerClient(triton.grpc_address) as client:
        yield Model(client)


def same(one: Answer, other: Answer) -> bool:
    """Whether two answers agree, up to what single precision makes of another batch."""
    return all(np.allclose(one[name], other[name], atol=1e-4) for name in OUTPUTS)


async def test_the_contract_is_the_one_that_the_readme_tells(model: Model) -> None:
    metadata = await model.client.get_model_metadata(MODEL, VERSION)
    inputs = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in metadata.inputs]
    outputs = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in metadata.outputs]
    assert inputs == [("TEXT", "BYTES", [-1, 1])]
    numbers = [(name, "FP32", [-1, 1]) for name in OUTPUTS[:3]]
    assert outputs == [*numbers, ("TRUNCATED", "BOOL", [-1, 1])]


async def test_the_configuration_tells_the_digest_of_the_artefact_that_is_served(model: Model) -> None:
    configuration = await model.client.get_model_config(MODEL, VERSION)
    manifest = json.loads((ARTEFACT / artefact.MANIFEST).read_text(encoding="utf-8"))
    told = configuration.config.parameters[f"{artefact.DIGEST}.{VERSION}"].string_value
    assert told == manifest[artefact.DIGEST]


async def test_every_text_of_a_request_is_answered_in_its_place(model: Model) -> None:
    texts = (b"What is a rhumb line?", b"Prove that there are infinitely many primes.", b"hi")
    together = await model.ask(*texts)
    alone = [await model.ask(text) for text in texts]
    for name in OUTPUTS:
        assert together[name].shape == (3, 1)
        assert np.allclose(together[name], np.vstack([answer[name] for answer in alone]), atol=1e-4)


async def test_answers_are_percentiles_and_probabilities(model: Model) -> None:
    answer = await model.ask(b"Why do tides come twice a day?", b"2 + 2", b"")
    for name in OUTPUTS[:3]:
        assert ((answer[name] >= 0) & (answer[name] <= 1)).all()


async def test_concurrent_requests_share_batches_and_get_their_own_answers(model: Model) -> None:
    texts = [f"Question {index}: what is {index} times {index + 1}?".encode() for index in range(200)]
    alone = [await model.ask(text) for text in texts[:20]]
    texts_before, batches_before = await model.executions()
    answers = await asyncio.gather(*(model.ask(text) for text in texts))
    texts_after, batches_after = await model.executions()
    assert texts_after - texts_before == 200
    assert batches_after - batches_before < 200
    assert all(same(one, other) for one, other in zip(alone, answers, strict=False))


async def test_text_that_is_not_utf_8_fails_alone(model: Model) -> None:
    good, bad = b"What is a rhumb line?", b"\xff\xfe broken"
    expected = await model.ask(good)
    mixed = [bad if index % 10 == 0 else good for index in range(60)]
    answers = await asyncio.gather(*(model.ask(text) for text in mixed), return_exceptions=True)
    for text, answer in zip(mixed, answers, strict=True):
        if text is bad:
            assert isinstance(answer, InferenceServerException)
            assert answer.status() == "StatusCode.INVALID_ARGUMENT"
            assert "UTF-8" in str(answer)
        else:
            assert isinstance(answer, dict)
            assert same(answer, expected)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n\t", id="white space"),
        pytest.param(b"\0", id="NUL"),
        pytest.param("潮の満ち引き".encode(), id="Japanese"),
        pytest.param(b"what\0is a tide", id="NUL within"),
    ],
)
async def test_odd_text_is_scored_like_any_other(model: Model, text: bytes) -> None:
    answer = await model.ask(text)
    assert np.isfinite(answer["SCORE"]).all()
    assert not answer["TRUNCATED"].any()


async def test_a_text_without_a_word_is_as_novel_as_can_be(model: Model) -> None:
    assert (await model.ask(b"?!"))["NOVELTY"].tolist() == [[1.0]]


async def test_a_text_over_the_bound_is_told_as_truncated(model: Model) -> None:
    answer = await model.ask(b"tide " * 10_000, b"tide")
    assert answer["TRUNCATED"].tolist() == [[True], [False]]


async def test_more_texts_than_a_batch_holds_are_refused(model: Model) -> None:
    with pytest.raises(InferenceServerException, match="batch-size"):
        await model.ask(*[b"tide"] * 33)


async def test_a_client_that_gives_up_harms_nobody(model: Model) -> None:
    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(model.ask(*[b"tide " * 1600] * 32), timeout=0.001)

    await asyncio.gather(*(impatient() for _ in range(20)))
    assert np.isfinite((await model.ask(b"tide"))["SCORE"]).all()
