from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fixtures import tiny_encoder
from steersman.classifier import artefact, fine_tuning, methods
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.encoder import GRAPH_FILE, TOKENIZER_FILE, VARIABLE, OnnxEncoder
from steersman.classifier.errors import ArtefactError, ClassifierError, DataError, ModelError
from steersman.classifier.fine_tuning import Encoders, Lesson
from steersman.classifier.methods import bert
from unit.classifier import small_world

TEXTS = ("", " ", "\0", "tides", "what is " * 200, "潮", "2 + 2 = ?")

Train = Callable[..., str]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder.write(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture
def train(data: Path, embeddings: Path, encoder: Path) -> Train:
    def train(out: Path, *, seed: int = 0, **settings: str) -> str:
        environment = {DIRECTORY_VARIABLE: str(embeddings), VARIABLE: str(encoder), bert.EPOCHS_VARIABLE: "1"}
        return bert.train(
            data, out=out, seed=seed, environment=environment | settings, progress=lambda *_: None
        )

    return train


def test_the_same_data_encoder_and_seed_give_the_same_bytes(train: Train, tmp_path: Path) -> None:
    assert train(tmp_path / "a") == train(tmp_path / "b")
    for file in (artefact.HEAD, artefact.MANIFEST, GRAPH_FILE, TOKENIZER_FILE):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_its_artefact_scores_any_text_without_torch_and_names_what_it_came_from(
    train: Train, embeddings: Path, tmp_path: Path
) -> None:
    digest = train(tmp_path / "out")
    scores = methods.load(tmp_path / "out", {DIRECTORY_VARIABLE: str(embeddings)}, digest=digest).score(TEXTS)
    for values in (scores.score, scores.novelty, scores.win_probability):
        assert values.shape == (len(TEXTS),)
        assert ((values >= 0) & (values <= 1)).all()
    manifest = json.loads((tmp_path / "out" / artefact.MANIFEST).read_text(encoding="utf-8"))
    assert manifest["encoder"]["name"] == "tiny"
    assert manifest["bounds"]["tokens"] == 64
    assert set(manifest["files"]) == {GRAPH_FILE, TOKENIZER_FILE}
    assert "arena_bench" in manifest["metrics"]["leave_one_source_out_apgr"]


def test_battles_are_learnt_from(data: Path, embeddings: Path, encoder: Path, tmp_path: Path) -> None:
    names = {"model_a": "big", "model_b": "small", "winner": "model_a"}
    rows = [{"prompt": f"battle {number}", **names} for number in range(120)]
    rows.append({"prompt": "says nothing of strong and weak", **names, "model_b": "third"})
    small_world.write_json_lines(tmp_path / "battles.jsonl", rows)
    bert.train(
        data,
        out=tmp_path / "out",
        seed=0,
        environment={DIRECTORY_VARIABLE: str(embeddings), VARIABLE: str(encoder), bert.EPOCHS_VARIABLE: "1"},
        progress=lambda *_: None,
        battles=BattleFile(tmp_path / "battles.jsonl", strong=("big",), weak=("small",)),
    )
    manifest = json.loads((tmp_path / "out" / artefact.MANIFEST).read_text(encoding="utf-8"))
    assert "battles.jsonl" in [entry["folder"] for entry in manifest["data"]]
    scores = methods.load(tmp_path / "out", {DIRECTORY_VARIABLE: str(embeddings)}).score(TEXTS).score
    assert ((scores >= 0) & (scores <= 1)).all()


def test_what_serves_gives_the_logits_of_what_was_tuned(encoder: Path) -> None:
    encoders = Encoders(str(encoder), seed=0)
    tuned = encoders.tune(lesson(), epochs=1, progress=lambda _: None)
    served = OnnxEncoder.load(graph=tuned.graph(), tokenizer=encoders.tokenizer, tokens=encoders.tokens)
    logits = served.extract([text.encode() for text in TEXTS])
    assert logits == pytest.approx(tuned.logits(TEXTS), abs=1e-5)
    alone = np.vstack([served.extract([text.encode()]) for text in TEXTS])
    assert logits == pytest.approx(alone, abs=1e-5)


def test_tuning_learns_what_the_labels_say_within_each_source(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tuning, "LEARNING_RATE", 3e-3)
    told: list[float] = []
    tuned = Encoders(str(encoder), seed=0).tune(lesson(), epochs=12, progress=told.append)
    logits = tuned.logits(["12345 67890", "words alone"])[:, 0]
    assert logits[0] > logits[1] + 0.5
    assert told[-1] == 1.0
    assert told == sorted(told)


def test_a_label_that_is_no_number_is_an_error_and_not_an_encoder_of_none(encoder: Path) -> None:
    taught = lesson()
    taught.labels[5] = np.nan
    with pytest.raises(ModelError, match=r"the loss of step \d of 6 is nan"):
        Encoders(str(encoder), seed=0).tune(taught, epochs=1, progress=lambda _: None)


def lesson() -> Lesson:
    """Digits are hard; the second source is the harder one, and its texts tell which source they are of."""
    texts = [
        f"{'12345 67890' if hard else 'words alone'} {'z' * source} {number}"[:30]
        for number in range(24)
        for source in (0, 1)
        for hard in (True, False)
    ]
    source = np.array([0, 0, 1, 1] * 24)
    return Lesson(
        texts=texts,
        labels=np.array([0.6, 0.1, 0.9, 0.4] * 24),
        weights=np.ones(len(texts)),
        source=source,
    )


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        pytest.param({VARIABLE: ""}, ModelError, "use --encoder", id="none named"),
        pytest.param(
            {VARIABLE: "."}, ModelError, "the encoder . cannot be used", id="a folder of other things"
        ),
        pytest.param({VARIABLE: "/nowhere/at/all"}, ModelError, "is no folder", id="missing"),
        pytest.param({bert.EPOCHS_VARIABLE: "0"}, DataError, "no number of epochs", id="no epochs"),
    ],
)
def test_what_cannot_be_trained_with_is_told_and_leaves_nothing(
    train: Train, tmp_path: Path, settings: dict[str, str], error: type[ClassifierError], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("file", [GRAPH_FILE, TOKENIZER_FILE])
def test_a_file_that_is_not_the_manifests_is_refused(
    train: Train, embeddings: Path, tmp_path: Path, file: str
) -> None:
    train(tmp_path / "out")
    (tmp_path / "out" / file).write_bytes(b"other")
    with pytest.raises(ArtefactError, match=f"{file} and manifest.json in .* do not belong together"):
        methods.load(tmp_path / "out", {DIRECTORY_VARIABLE: str(embeddings)})
    (tmp_path / "out" / file).unlink()
    with pytest.raises(ArtefactError, match=f"cannot read .*{file}"):
        methods.load(tmp_path / "out", {DIRECTORY_VARIABLE: str(embeddings)})
