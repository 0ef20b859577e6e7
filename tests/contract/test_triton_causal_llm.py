"""The language model's judgement on the real server, with the model that the local system has."""

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

from fixtures.real_parts import Starter
from fixtures.triton_model import OUTPUTS, REPOSITORY, VERSION, Model, same
from steersman.classifier import artefact
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.language_model import VARIABLE
from steersman.classifier.methods import causal_llm
from steersman.local.parts import Parts
from steersman.local.processes import StartFailed

OTHER = "2"
PATIENT = 120.0
"""Seconds; a thousand tokens take ten of a core that is free."""
TEXTS = (b"What is a rhumb line?", b"Prove that there are infinitely many primes.", b"hi")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with a second version, whose artefact differs in its seed alone."""
    copied = tmp_path_factory.mktemp("causal_llm") / "repository"
    model = copied / "causal_llm"
    shutil.copytree(REPOSITORY / "causal_llm", model)
    shutil.copytree(model / VERSION, model / OTHER)
    tensors, manifest = artefact.read(model / OTHER)
    manifest.pop(artefact.DIGEST)
    tensors["weights"] = -tensors["weights"]
    artefact.write(model / OTHER, tensors=tensors, manifest=manifest | {"seed": 1})
    return copied


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def address(shared_starter: Starter, repository: Path) -> str:
    triton = await shared_starter.triton(name="triton-causal-llm", repository=repository)
    return triton.grpc_address


@pytest_asyncio.fixture
async def model(address: str) -> AsyncIterator[Model]:
    async with InferenceServerClient(address) as client:
        yield Model(client, "causal_llm", deadline=PATIENT)


async def test_a_text_is_scored_as_by_the_method_itself(
    model: Model, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(parts.engine_packages)
    environment = {
        VARIABLE: str(parts.smollm2),
        DIRECTORY_VARIABLE: str(parts.embeddings),
    }
    scores = causal_llm.load(REPOSITORY / "causal_llm" / VERSION, environment).score(
        [text.decode() for text in TEXTS]
    )
    answer = await model.ask(*TEXTS)
    for name in OUTPUTS:
        assert np.allclose(answer[name][:, 0], getattr(scores, name.lower()), atol=1e-3)


async def test_the_same_text_gets_the_same_answer_in_any_company(model: Model) -> None:
    together = await model.ask(*TEXTS)
    alone = await asyncio.gather(*(model.ask(text) for text in TEXTS))
    for name in OUTPUTS:
        assert np.allclose(together[name], np.vstack([answer[name] for answer in alone]), atol=1e-4)


async def test_text_that_is_not_utf_8_fails_alone(model: Model) -> None:
    expected = await model.ask(b"tides")
    good, bad, other = await asyncio.gather(
        model.ask(b"tides"), model.ask(b"\xff\xfe"), model.ask(b"tides"), return_exceptions=True
    )
    assert isinstance(bad, InferenceServerException)
    assert bad.status() == "StatusCode.INVALID_ARGUMENT"
    assert isinstance(good, dict)
    assert isinstance(other, dict)
    assert same(good, expected)
    assert same(other, expected)


@pytest.mark.parametrize("text", [b"", b" \n\t", b"\0", "潮の満ち引き".encode(), b"<|im_end|>"])
async def test_odd_text_is_scored_like_any_other(model: Model, text: bytes) -> None:
    answer = await model.ask(text)
    assert all(np.isfinite(answer[name]).all() for name in OUTPUTS)
    assert not answer["TRUNCATED"].any()


async def test_a_text_of_any_length_takes_no_longer_than_its_bound(model: Model) -> None:
    answer = await model.ask("潮".encode() * 100_000)
    assert answer["TRUNCATED"].tolist() == [[True]]


async def test_a_second_version_is_served_beside_the_first(model: Model) -> None:
    other = Model(model.client, model.name, OTHER, deadline=PATIENT)
    first, second = await model.ask(TEXTS[1]), await other.ask(TEXTS[1])
    assert first["SCORE"] != second["SCORE"]


async def test_a_version_whose_language_model_is_another_does_not_load(
    starter: Starter, tmp_path: Path
) -> None:
    model = tmp_path / "repository" / "causal_llm"
    shutil.copytree(REPOSITORY / "causal_llm", model)
    tensors, manifest = artefact.read(model / VERSION)
    manifest.pop(artefact.DIGEST)
    manifest["language_model"]["sha256"] = "0" * 64
    artefact.write(model / VERSION, tensors=tensors, manifest=json.loads(json.dumps(manifest)))
    with pytest.raises(StartFailed):
        await starter.triton(repository=tmp_path / "repository")
    assert "is not the language model that the head was trained on" in (tmp_path / "triton.log").read_text(
        encoding="utf-8"
    )
