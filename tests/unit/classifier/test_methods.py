"""What is true of every method, whatever it has learnt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from steersman.classifier import artefact, methods, training_data
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.errors import ArtefactError, DataError
from steersman.classifier.methods import mf
from unit.classifier import small_world

pytestmark = pytest.mark.slow

OF_BYTES = ("length", "random")
ON_MODELS = ("bert", "causal_llm")
"""Those that need a model which the small world does not have; they have tests of their own."""
TEXTS = ("", " ", "?", "\0", "tides", "tides " * 50, "\ud800", "潮", "x" * 100_000)


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Factors are fitted once a fold, not once a fold and setting."""
    monkeypatch.setattr(mf, "GRID", mf.GRID[:1])


@pytest.fixture(params=[name for name in methods.names() if name not in ON_MODELS])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def train(name: str, data: Path, embeddings: Path, out: Path, *, seed: int = 0) -> str:
    environment = {DIRECTORY_VARIABLE: str(embeddings)}
    return methods.named(name).train(
        data, out=out, seed=seed, environment=environment, progress=lambda *_: None
    )


def test_the_same_data_and_seed_give_the_same_bytes(
    name: str, data: Path, embeddings: Path, tmp_path: Path
) -> None:
    assert train(name, data, embeddings, tmp_path / "a") == train(name, data, embeddings, tmp_path / "b")
    for file in (artefact.HEAD, artefact.MANIFEST):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_its_artefact_is_loaded_by_what_the_manifest_says_and_scores_any_text(
    name: str, data: Path, embeddings: Path, tmp_path: Path
) -> None:
    digest = train(name, data, embeddings, tmp_path / "out")
    scorer = methods.load(tmp_path / "out", {DIRECTORY_VARIABLE: str(embeddings)}, digest=digest)
    scores = scorer.score(TEXTS)
    for values in (scores.score, scores.novelty, scores.win_probability):
        assert values.shape == (len(TEXTS),)
        assert values.dtype == np.float32
    for values in (scores.score, scores.novelty):
        assert ((values >= 0) & (values <= 1)).all()
    assert np.isnan(scores.win_probability).tolist() == [name in OF_BYTES] * len(TEXTS)
    assert scores.truncated.tolist() == [False] * 8 + [True]


def test_its_manifest_tells_how_good_it_is_with_intervals(
    name: str, data: Path, embeddings: Path, tmp_path: Path
) -> None:
    train(name, data, embeddings, tmp_path / "out")
    _, manifest = artefact.read(tmp_path / "out")
    told = manifest["metrics"]
    sources = told.get("leave_one_source_out_apgr", {})
    answered = {each.folder for each in training_data.sources() if each.difficulty is None}
    assert set(sources) == (set() if name == "random" else answered)
    for each in (told["mean"], *sources.values()):
        assert each["low"] <= each["value"] <= each["high"]
        assert (each["low"] < each["high"]) == (name != "random")


@pytest.mark.parametrize("name", methods.names())
def test_another_methods_artefact_is_refused(name: str, embeddings: Path, tmp_path: Path) -> None:
    artefact.write(tmp_path, tensors={}, manifest={"method": "other"})
    with pytest.raises(ArtefactError, match=f"no {name} artefact"):
        methods.named(name).load(tmp_path, {DIRECTORY_VARIABLE: str(embeddings)})


def test_an_artefact_without_its_tensors_is_refused(
    name: str, data: Path, embeddings: Path, tmp_path: Path
) -> None:
    if name == "random":
        pytest.skip("it has none")
    train(name, data, embeddings, tmp_path / "whole")
    manifest = json.loads((tmp_path / "whole" / artefact.MANIFEST).read_text(encoding="utf-8"))
    manifest.pop(artefact.DIGEST)
    artefact.write(tmp_path / "part", tensors={}, manifest=manifest)
    with pytest.raises(ArtefactError, match="has no tensor"):
        methods.load(tmp_path / "part", {DIRECTORY_VARIABLE: str(embeddings)})


def test_an_artefact_of_no_known_method_is_told(tmp_path: Path) -> None:
    artefact.write(tmp_path, tensors={}, manifest={"method": "other"})
    with pytest.raises(ArtefactError, match="known are bert, causal_llm, knn, length, mf"):
        methods.load(tmp_path, {})


def test_random_places_are_uniform_and_another_seed_places_otherwise(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(4000)]
    placed = []
    for seed in (0, 1):
        train("random", tmp_path, tmp_path, tmp_path / str(seed), seed=seed)
        placed.append(methods.load(tmp_path / str(seed), {}).score(texts).score)
    assert np.histogram(placed[0], bins=4, range=(0, 1))[0] == pytest.approx([1000] * 4, abs=120)
    assert abs(np.corrcoef(placed[0], placed[1])[0, 1]) < 0.06
    assert np.array_equal(placed[0][:7], methods.load(tmp_path / "0", {}).score(texts[:7]).score)


def test_a_longer_text_has_the_greater_length(data: Path, embeddings: Path, tmp_path: Path) -> None:
    train("length", data, embeddings, tmp_path / "out")
    scorer = methods.load(tmp_path / "out", {})
    scores = scorer.score(["a" * length for length in (20, 100, 300, 8192, 9000)]).score
    assert (np.diff(scores[:4]) > 0).all()
    assert scores[3] == scores[4]


@pytest.mark.parametrize("name", ["mf", "sw_ranking"])
def test_battles_are_learnt_from(name: str, data: Path, embeddings: Path, tmp_path: Path) -> None:
    """The big model wins where digits come, which no other source says."""
    texts = [
        ("98765 43210 " * 4 if hard else "of words alone " * 3) + chr(97 + n % 26)
        for n in range(200)
        for hard in (True, False)
    ]
    rows = [
        {
            "prompt": text,
            "model_a": "big",
            "model_b": "small",
            "winner": "model_a" if text[0] == "9" else "model_b",
        }
        for text in texts
    ]
    small_world.write_json_lines(tmp_path / "battles.jsonl", rows)
    environment = {DIRECTORY_VARIABLE: str(embeddings)}
    methods.of_battles(name).train(
        data,
        out=tmp_path / "out",
        seed=0,
        environment=environment,
        progress=lambda *_: None,
        battles=BattleFile(tmp_path / "battles.jsonl", strong=("big",), weak=("small",)),
    )
    hard, easy = (
        methods.load(tmp_path / "out", environment).score(["98765 43210 " * 4, "of words alone " * 3]).score
    )
    assert hard > easy
    manifest = json.loads((tmp_path / "out" / artefact.MANIFEST).read_text(encoding="utf-8"))
    assert "battles.jsonl" in [entry["folder"] for entry in manifest["data"]]


@pytest.mark.parametrize("name", ["static_head", "knn", "random", "length", "causal_llm"])
def test_a_method_that_learns_from_no_battles_says_so(name: str) -> None:
    with pytest.raises(
        DataError, match=f"{name} does not learn from battles; these do: bert, mf, sw_ranking"
    ):
        methods.of_battles(name)
