from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from steersman.classifier import adaptation, artefact
from steersman.classifier.adaptation import Adapted, adapt
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.errors import ArtefactError, EmbeddingsError
from steersman.classifier.labels import Labels
from steersman.classifier.methods import static_head
from steersman.router.model import OutOfDomain
from unit.classifier import small_world


@pytest.fixture(scope="module")
def shipped(embeddings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artefact that is trained on the small world."""
    data = small_world.write_data(tmp_path_factory.mktemp("data"))
    out = tmp_path_factory.mktemp("shipped")
    static_head.train(data, out=out, seed=0, environment=environment(embeddings), progress=silent)
    return out


def environment(embeddings: Path) -> dict[str, str]:
    return {DIRECTORY_VARIABLE: str(embeddings)}


def silent(_stage: str, _done: float) -> None:
    pass


def case(name: str, *, hard: bool) -> str:
    return f"case {name} " + ("98765 43210 " * 4 if hard else "of words alone " * 3)


def labels(*, count: int = 300) -> Labels:
    """Strong is better exactly where digits come, which nothing in the small world says."""
    hard = np.random.default_rng(3).random(count) < 0.5
    names = (chr(97 + index % 26) + chr(97 + index // 26) for index in range(count))
    texts = tuple(case(name, hard=bool(each)) for name, each in zip(names, hard, strict=True))
    return Labels(texts, np.where(hard, 1.0, -0.2), hard.astype(np.float64), rows=count, sha256="0" * 64)


def adapted(shipped: Path, embeddings: Path, out: Path, *, seed: int = 0) -> Adapted:
    return adapt(shipped, labels(), out=out, seed=seed, environment=environment(embeddings), progress=silent)


def test_an_adapted_head_follows_the_labels_where_the_old_one_did_not(
    shipped: Path, embeddings: Path, tmp_path: Path
) -> None:
    found = adapted(shipped, embeddings, tmp_path)
    assert found.before.high < 0.5
    assert found.after.low > 0.8
    scorer = static_head.load(tmp_path, environment(embeddings), digest=found.digest)
    hard, easy = scorer.score([case("new", hard=True), case("new", hard=False)]).score
    assert hard > 0.5 > easy


def test_an_adapted_head_tells_percentiles_of_the_labelled_prompts(
    shipped: Path, embeddings: Path, tmp_path: Path
) -> None:
    adapted(shipped, embeddings, tmp_path)
    scores = static_head.load(tmp_path, environment(embeddings)).score(labels().texts).score
    assert np.mean(scores) == pytest.approx(0.5, abs=0.05)


def test_other_queries_of_the_labelled_traffic_are_no_newer_than_the_labelled_prompts_were(
    shipped: Path, embeddings: Path, tmp_path: Path
) -> None:
    texts = words(1100)
    won = np.arange(100) % 2
    known = Labels(
        tuple(texts[:100]), won.astype(np.float64), won.astype(np.float64), rows=100, sha256="0" * 64
    )
    adapt(shipped, known, out=tmp_path, seed=0, environment=environment(embeddings), progress=silent)
    novelty = static_head.load(tmp_path, environment(embeddings)).score(texts[100:]).novelty
    assert np.mean(novelty >= OutOfDomain().novelty) < 0.01
    assert np.median(novelty) == pytest.approx(0.5, abs=0.1)


def words(count: int) -> list[str]:
    """Texts of few letters each, which are alike in nothing."""
    generator = np.random.default_rng(5)
    alphabet = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return [" ".join("".join(generator.choice(alphabet, 4)) for _ in range(2)) for _ in range(count)]


def test_what_the_old_head_was_trained_on_is_no_newer_to_the_adapted_one(
    shipped: Path, embeddings: Path, tmp_path: Path
) -> None:
    adapted(shipped, embeddings, tmp_path)
    before, after = (artefact.read(path)[0]["centroids"] for path in (shipped, tmp_path))
    assert np.array_equal(after[: len(before)], before)


def test_the_same_labels_and_seed_give_the_same_artefact(
    shipped: Path, embeddings: Path, tmp_path: Path
) -> None:
    first, again, other = (
        adapted(shipped, embeddings, tmp_path / name, seed=seed).digest
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first == again != other


def test_the_manifest_says_what_it_was_adapted_from_and_to(
    shipped: Path, embeddings: Path, tmp_path: Path
) -> None:
    adapted(shipped, embeddings, tmp_path)
    manifest = json.loads((tmp_path / artefact.MANIFEST).read_text(encoding="utf-8"))
    old = json.loads((shipped / artefact.MANIFEST).read_text(encoding="utf-8"))
    assert manifest["adapted_from"]["artefact_digest"] == old[artefact.DIGEST]
    assert manifest["labels"] == {
        "sha256": "0" * 64,
        "rows": 300,
        "left_out": 0,
        "prompts": 300,
        "fitted": 300,
    }


def test_only_a_head_of_the_method_is_adapted(embeddings: Path, tmp_path: Path) -> None:
    artefact.write(tmp_path / "other", tensors={"x": np.zeros(1, np.float32)}, manifest={"method": "other"})
    with pytest.raises(ArtefactError, match=f"no {adaptation.METHOD} artefact"):
        adapted(tmp_path / "other", embeddings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_embeddings_than_the_old_heads_are_refused(shipped: Path, tmp_path: Path) -> None:
    others = tmp_path / "others"
    small_world.write_embeddings(others)
    tokenizer = others / "tokenizers" / "l2_supercat_tokenizer_config.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(EmbeddingsError, match="not those"):
        adapted(shipped, others, tmp_path / "out")
    assert not (tmp_path / "out").exists()
