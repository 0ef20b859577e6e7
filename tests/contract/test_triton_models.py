from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from fixtures.real_parts import StartTriton, Triton
from fixtures.triton_model import OUTPUTS, REPOSITORY, SLOW, VERSION, Model, same
from steersman.classifier import artefact, methods
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.local.parts import Parts
from steersman.local.processes import StartFailed

OF_BYTES = ("length", "random")
"""The methods that have no win probability, and to which nothing is new."""


@pytest_asyncio.fixture(params=[name for name in methods.names() if name not in SLOW])
async def model(triton_of_all: Triton, request: pytest.FixtureRequest) -> AsyncIterator[Model]:
    async with InferenceServerClient(triton_of_all.grpc_address) as client:
        yield Model(client, request.param)


async def test_the_contract_is_the_one_that_the_readme_tells(model: Model) -> None:
    metadata = await model.client.get_model_metadata(model.name, VERSION)
    inputs = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in metadata.inputs]
    outputs = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in metadata.outputs]
    assert inputs == [("TEXT", "BYTES", [-1, 1])]
    numbers = [(name, "FP32", [-1, 1]) for name in OUTPUTS[:3]]
    assert outputs == [*numbers, ("TRUNCATED", "BOOL", [-1, 1])]


async def test_the_configuration_tells_the_digest_of_the_artefact_that_is_served(
    model: Model, repository_of_all: Path
) -> None:
    configuration = await model.client.get_model_config(model.name, VERSION)
    manifest = json.loads(
        (repository_of_all / model.name / VERSION / artefact.MANIFEST).read_text(encoding="utf-8")
    )
    told = configuration.config.parameters[f"{artefact.DIGEST}.{VERSION}"].string_value
    assert told == manifest[artefact.DIGEST]


async def test_a_text_is_scored_as_by_the_method_itself(
    model: Model, repository_of_all: Path, parts: Parts
) -> None:
    if model.name == "bert":
        pytest.importorskip(
            "onnxruntime", reason="onnxruntime is not installed; it comes with steersman[bert]"
        )
    environment = {DIRECTORY_VARIABLE: str(parts.embeddings)}
    scorer = methods.load(repository_of_all / model.name / VERSION, environment)
    texts = ("What is a rhumb line?", "2 + 2 = ?", "hi")
    scores, answer = scorer.score(texts), await model.ask(*(text.encode() for text in texts))
    for name in OUTPUTS:
        assert np.allclose(answer[name][:, 0], getattr(scores, name.lower()), atol=1e-4, equal_nan=True)


async def test_every_text_of_a_request_is_answered_in_its_place(model: Model) -> None:
    texts = (b"What is a rhumb line?", b"Prove that there are infinitely many primes.", b"hi")
    together = await model.ask(*texts)
    alone = [await model.ask(text) for text in texts]
    for name in OUTPUTS:
        assert together[name].shape == (3, 1)
        assert np.allclose(
            together[name], np.vstack([answer[name] for answer in alone]), atol=1e-4, equal_nan=True
        )


async def test_answers_are_percentiles_and_probabilities(model: Model) -> None:
    answer = await model.ask(b"Why do tides come twice a day?", b"2 + 2", b"")
    has_none = np.isnan(answer["WIN_PROBABILITY"])
    assert has_none.all() if model.name in OF_BYTES else not has_none.any()
    for name in OUTPUTS[:3]:
        assert (((answer[name] >= 0) & (answer[name] <= 1)) | np.isnan(answer[name])).all()
    assert not np.isnan(answer["SCORE"] + answer["NOVELTY"]).any()


async def test_concurrent_requests_share_batches_and_get_their_own_answers(model: Model) -> None:
    texts = [f"Question {index}: what is {index} times {index + 1}?".encode() for index in range(200)]
    texts_first, _ = await model.executions()
    alone = [await model.ask(text) for text in texts[:20]]
    texts_before, batches_before = await model.executions(texts=texts_first + 20)
    answers = await asyncio.gather(*(model.ask(text) for text in texts))
    texts_after, batches_after = await model.executions(texts=texts_before + 200)
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
    expected = 0.0 if model.name in OF_BYTES else 1.0
    assert (await model.ask(b"?!"))["NOVELTY"].tolist() == [[expected]]


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


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One of the test's own, with the model that is the quickest to make."""
    shutil.copytree(REPOSITORY / "random", tmp_path / "repository" / "random")
    return tmp_path / "repository"


def make(out: Path, *, seed: int) -> None:
    out.mkdir(parents=True)
    shutil.copy(REPOSITORY / "random" / VERSION / "model.py", out)
    methods.named("random").train(out, out=out, seed=seed, environment={}, progress=lambda *_: None)


async def test_a_second_version_is_served_beside_the_first(
    start_triton: StartTriton, repository: Path
) -> None:
    make(repository / "random" / "2", seed=2)
    triton = await start_triton(repository=repository)
    async with InferenceServerClient(triton.grpc_address) as client:
        first, other = [await Model(client, "random", each).ask(b"tide") for each in (VERSION, "2")]
    assert first["SCORE"] != other["SCORE"]


async def test_a_version_whose_digest_is_not_the_configured_one_does_not_load(
    start_triton: StartTriton, repository: Path, tmp_path: Path
) -> None:
    make(tmp_path / "other", seed=9)
    shutil.copy(tmp_path / "other" / artefact.MANIFEST, repository / "random" / VERSION)
    with pytest.raises(StartFailed):
        await start_triton(repository=repository)
    assert "is not the one that is configured" in (tmp_path / "triton.log").read_text(encoding="utf-8")
