from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fakes import llama
from steersman.classifier import artefact, methods
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.errors import ArtefactError, ClassifierError, DataError, ModelError
from steersman.classifier.language_model import QUESTION, VARIABLE, Question, fetch
from steersman.classifier.methods import causal_llm

Train = Callable[..., str]


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> type[llama.FakeServer]:
    monkeypatch.setattr(causal_llm, "GRID", causal_llm.GRID[:2])
    return llama.install(monkeypatch)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "small.gguf", "a small model")


def write_model(path: Path, content: str) -> Path:
    path.write_bytes(b"GGUF" + content.encode())
    return path


@pytest.fixture
def environment(embeddings: Path, model: Path) -> dict[str, str]:
    return {DIRECTORY_VARIABLE: str(embeddings), VARIABLE: str(model), causal_llm.ROWS_VARIABLE: "12"}


@pytest.fixture
def train(data: Path, environment: dict[str, str]) -> Train:
    def train(out: Path, *, seed: int = 0, **settings: str) -> str:
        return causal_llm.train(
            data, out=out, seed=seed, environment=environment | settings, progress=lambda *_: None
        )

    return train


def test_the_same_data_model_and_seed_give_the_same_bytes(train: Train, tmp_path: Path) -> None:
    assert train(tmp_path / "a") == train(tmp_path / "b")
    for file in (artefact.HEAD, artefact.MANIFEST):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_its_artefact_scores_any_text_and_names_the_model_by_path_and_hash(
    train: Train, model: Path, embeddings: Path, tmp_path: Path
) -> None:
    digest = train(tmp_path / "out")
    scorer = methods.load(tmp_path / "out", {DIRECTORY_VARIABLE: str(embeddings)}, digest=digest)
    texts = ("", " ", "\0", "tides", "\ud800", "潮", "x" * 100_000)
    scores = scorer.score(texts)
    for values in (scores.score, scores.novelty, scores.win_probability):
        assert values.shape == (len(texts),)
        assert ((values >= 0) & (values <= 1)).all()
    manifest = json.loads((tmp_path / "out" / artefact.MANIFEST).read_text(encoding="utf-8"))
    assert manifest["language_model"]["path"] == str(model)
    assert len(manifest["language_model"]["sha256"]) == 64
    assert manifest["hyperparameters"]["judged_rows"] == 60


def test_company_does_not_change_a_score(train: Train, environment: dict[str, str], tmp_path: Path) -> None:
    train(tmp_path / "out")
    scorer = causal_llm.load(tmp_path / "out", environment)
    texts = [f"question {number}" for number in range(5)]
    alone = np.concatenate([scorer.score([text]).score for text in texts])
    assert scorer.score(texts).score == pytest.approx(alone, abs=1e-6)


def test_what_was_judged_once_is_not_judged_again(
    train: Train, server: type[llama.FakeServer], tmp_path: Path
) -> None:
    train(tmp_path / "a", STEERSMAN_JUDGEMENTS_DIR=str(tmp_path / "kept"))
    before = server.asked
    train(tmp_path / "b", seed=0, STEERSMAN_JUDGEMENTS_DIR=str(tmp_path / "kept"))
    assert server.asked == before + 1  # the one by which a model tells its width
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".safetensors"]


def test_judgements_are_kept_with_the_artefact_where_no_other_folder_is_named(
    train: Train, tmp_path: Path
) -> None:
    train(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("judgements-*.safetensors"))) == 1


def test_another_models_judgements_are_not_taken_for_its_own(
    train: Train, server: type[llama.FakeServer], tmp_path: Path
) -> None:
    train(tmp_path / "a", STEERSMAN_JUDGEMENTS_DIR=str(tmp_path / "kept"))
    before = server.asked
    other = write_model(tmp_path / "other.gguf", "another")
    train(
        tmp_path / "b", STEERSMAN_JUDGEMENTS_DIR=str(tmp_path / "kept"), STEERSMAN_LANGUAGE_MODEL=str(other)
    )
    assert server.asked == before + 61


def test_the_environment_may_name_the_model_elsewhere_but_not_another(
    train: Train, environment: dict[str, str], model: Path, tmp_path: Path
) -> None:
    train(tmp_path / "out")
    moved = model.rename(tmp_path / "moved.gguf")
    with pytest.raises(ModelError, match=r"cannot read the language model .*small\.gguf: No such file"):
        causal_llm.load(tmp_path / "out", environment)
    causal_llm.load(tmp_path / "out", environment | {VARIABLE: str(moved)})
    other = write_model(tmp_path / "other.gguf", "another")
    with pytest.raises(ModelError, match="is not the language model that the head was trained on"):
        causal_llm.load(tmp_path / "out", environment | {VARIABLE: str(other)})


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        pytest.param({VARIABLE: ""}, ModelError, "use --model FILE", id="no model"),
        pytest.param({VARIABLE: "nowhere.gguf"}, ModelError, "cannot read the language model", id="missing"),
        pytest.param({VARIABLE: __file__}, ModelError, "is no GGUF file", id="another kind of file"),
        pytest.param({VARIABLE: "hf://one"}, ModelError, "hf://OWNER/REPOSITORY/FILE", id="half a hub name"),
        pytest.param({causal_llm.ROWS_VARIABLE: "9"}, DataError, "at least 10", id="too few rows"),
        pytest.param({causal_llm.ROWS_VARIABLE: "many"}, DataError, "many rows cannot", id="no number"),
    ],
)
def test_what_cannot_be_trained_with_is_told_and_leaves_nothing(
    train: Train, tmp_path: Path, settings: dict[str, str], error: type[ClassifierError], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_damaged_judgements_are_told(train: Train, tmp_path: Path) -> None:
    train(tmp_path / "out")
    (kept,) = (tmp_path / "out").glob("judgements-*.safetensors")
    kept.write_bytes(b"damaged")
    with pytest.raises(DataError, match="remove the file"):
        train(tmp_path / "out")


def test_a_head_for_a_model_of_another_width_is_refused(
    train: Train, environment: dict[str, str], tmp_path: Path
) -> None:
    train(tmp_path / "out")
    tensors, manifest = artefact.read(tmp_path / "out")
    manifest.pop(artefact.DIGEST)
    artefact.write(
        tmp_path / "other", tensors=tensors | {"weights": tensors["weights"][1:]}, manifest=manifest
    )
    with pytest.raises(ArtefactError, match="the head takes"):
        causal_llm.load(tmp_path / "other", environment)


def test_the_middle_of_a_long_query_is_left_out_of_the_question() -> None:
    question = Question(before="<", after=">", beginning=3, end=2)
    assert question.about("abcde") == "<abcde>"
    assert question.about("abcdef") == "<abc\n[...]\nef>"
    assert question.about("潮" * 4) == "<潮潮\n[...]\n潮>"
    assert max(len(QUESTION.about(text * 8192).encode()) for text in ("x", "é", "潮", "\ud800")) < 1200


def test_a_package_that_is_missing_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        ModelError, match=r"huggingface_hub is not installed; it comes with steersman\[causal_llm\]"
    ):
        fetch("hf://owner/repository/file.gguf")
