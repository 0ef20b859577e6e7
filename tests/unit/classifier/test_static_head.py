from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from steersman.classifier import artefact, training_data
from steersman.classifier.bounded_text import MAX_CHARACTERS
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.errors import ArtefactError, DataError, EmbeddingsError
from steersman.classifier.methods import static_head
from steersman.classifier.scores import Scorer
from unit.classifier import small_world


def train(data: Path, embeddings: Path, out: Path, *, seed: int = 0) -> str:
    return static_head.train(
        data, out=out, seed=seed, environment={DIRECTORY_VARIABLE: str(embeddings)}, progress=lambda *_: None
    )


@pytest.fixture(scope="module")
def trained(embeddings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(small_world.write_data(folder / "data"), embeddings, folder / "artefact")
    return folder / "artefact"


@pytest.fixture
def scorer(trained: Path, embeddings: Path) -> Scorer:
    return static_head.load(trained, {DIRECTORY_VARIABLE: str(embeddings)})


def test_the_same_data_and_seed_give_the_same_bytes(data: Path, embeddings: Path, tmp_path: Path) -> None:
    assert train(data, embeddings, tmp_path / "a") == train(data, embeddings, tmp_path / "b")
    for name in (artefact.HEAD, artefact.MANIFEST):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_seed_is_another_artefact(data: Path, embeddings: Path, tmp_path: Path) -> None:
    assert train(data, embeddings, tmp_path / "a") != train(data, embeddings, tmp_path / "b", seed=1)


def test_the_manifest_names_what_the_head_came_from(trained: Path) -> None:
    manifest = json.loads((trained / artefact.MANIFEST).read_text(encoding="utf-8"))
    assert [entry["folder"] for entry in manifest["data"]] == [s.folder for s in training_data.sources()]
    assert all(len(entry["sha256"]) == 64 and entry["licence"] for entry in manifest["data"])
    assert set(manifest["versions"]) == {"steersman", "numpy", "tokenizers"}
    assert set(manifest["embeddings"]) == {"weights_sha256", "tokenizer_sha256"}
    assert manifest["seed"] == 0


def test_a_source_that_cannot_be_fetched_may_be_missing_and_is_named(
    data: Path, embeddings: Path, tmp_path: Path
) -> None:
    shutil.rmtree(data / "zeroeval_crux")
    stages: set[str] = set()
    static_head.train(
        data,
        out=tmp_path / "artefact",
        seed=0,
        environment={DIRECTORY_VARIABLE: str(embeddings)},
        progress=lambda stage, _: stages.add(stage),
    )
    manifest = json.loads((tmp_path / "artefact" / artefact.MANIFEST).read_text(encoding="utf-8"))
    assert manifest["data_not_there"] == ["zeroeval_crux"]
    assert "zeroeval_crux" not in [entry["folder"] for entry in manifest["data"]]
    assert "without zeroeval_crux" in stages


def test_a_source_that_can_be_fetched_may_not_be_missing(
    data: Path, embeddings: Path, tmp_path: Path
) -> None:
    shutil.rmtree(data / "mmlu_pro")
    with pytest.raises(DataError, match=r"steersman data fetch mmlu_pro --into"):
        train(data, embeddings, tmp_path / "artefact")
    assert not (tmp_path / "artefact").exists()


def test_every_text_gets_all_four_answers(scorer: Scorer) -> None:
    texts = ["", " ", "?", "\0", "tides", "tides " * 50, "\ud800", "潮", "x" * 100_000]
    scores = scorer.score(texts)
    for values in (scores.score, scores.win_probability, scores.novelty):
        assert values.shape == (len(texts),)
        assert values.dtype == np.float32
        assert ((values >= 0) & (values <= 1)).all()
    assert scores.truncated.tolist() == [False] * 8 + [True]


def test_only_the_beginning_of_a_long_text_is_read(scorer: Scorer) -> None:
    beginning = "tide " * (MAX_CHARACTERS // 5) + "12"
    scores = scorer.score([beginning[:MAX_CHARACTERS], beginning[:MAX_CHARACTERS] + " and much more"])
    assert scores.score[0] == scores.score[1]
    assert scores.truncated.tolist() == [False, True]


def test_a_text_without_words_is_as_novel_as_can_be(scorer: Scorer) -> None:
    assert scorer.score(["", "?!", "tides"]).novelty.tolist()[:2] == [1.0, 1.0]


def test_win_probability_rises_with_the_score(scorer: Scorer) -> None:
    scores = scorer.score([f"row about {topic} " + "and more of it " * 3 for topic in small_world.TOPICS])
    order = np.argsort(scores.score)
    rising = np.diff(scores.win_probability[order])
    assert (rising >= 0).all() or (rising <= 0).all()


def test_a_failed_training_leaves_no_artefact(data: Path, embeddings: Path, tmp_path: Path) -> None:
    small_world.write_rows(data / "gsm8k_train", [{"prompt": "no steps"}])
    with pytest.raises(DataError, match="steps"):
        train(data, embeddings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_training_without_the_evaluation_prompts_to_keep_away_from_is_refused(
    data: Path, embeddings: Path, tmp_path: Path
) -> None:
    (data / "routellm_eval").rename(data / "elsewhere")
    with pytest.raises(DataError, match="routellm_eval"):
        train(data, embeddings, tmp_path / "out")


def test_a_head_is_not_used_with_other_embeddings(trained: Path, tmp_path: Path) -> None:
    other = small_world.write_embeddings(tmp_path / "other")
    weights = other / "weights" / "l2_supercat_256.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(EmbeddingsError, match="not those"):
        static_head.load(trained, {DIRECTORY_VARIABLE: str(other)})


def test_an_artefact_of_another_method_is_refused(embeddings: Path, tmp_path: Path) -> None:
    artefact.write(tmp_path, tensors={"a": np.zeros(1, dtype=np.float32)}, manifest={"method": "other"})
    with pytest.raises(ArtefactError, match="no static_head"):
        static_head.load(tmp_path, {DIRECTORY_VARIABLE: str(embeddings)})
