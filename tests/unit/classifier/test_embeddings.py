from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steersman.classifier import embeddings as module
from steersman.classifier.embeddings import DIRECTORY_VARIABLE, Identity, StaticEmbeddings, locate
from steersman.classifier.errors import EmbeddingsError


@pytest.fixture
def static(embeddings: Path) -> StaticEmbeddings:
    return StaticEmbeddings.load(embeddings)


def test_a_text_is_the_direction_of_the_sum_of_its_tokens(static: StaticEmbeddings) -> None:
    begins, a, b = (static._table[index] for index in (1, 2 + ord("a") - 0x20, 2 + ord("b") - 0x20))
    expected = begins + a + begins + b
    assert np.allclose(static.embed([b"a, b"]), expected / np.linalg.norm(expected), atol=1e-6)


def test_a_text_without_words_is_nowhere(static: StaticEmbeddings) -> None:
    vectors = static.embed([b"", b" \n\0 ?!", b"word"])
    assert vectors.any(axis=1).tolist() == [False, False, True]


def test_what_was_embedded_before_changes_nothing(static: StaticEmbeddings, embeddings: Path) -> None:
    texts = [f"text {index} of many".encode() for index in range(20)]
    together = static.embed(texts)
    again = np.vstack([StaticEmbeddings.load(embeddings).embed([text]) for text in reversed(texts)])
    assert np.array_equal(together, again[::-1])


def test_words_beyond_the_bound_push_out_the_others(
    static: StaticEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = static.embed([b"alpha beta gamma"])
    monkeypatch.setattr(module, "_WORDS_KEPT", 4)
    monkeypatch.setattr(module, "_BYTES_AT_ONCE", 8)
    static.embed([b"delta", b"a b c d", b"epsilon zeta"])
    assert len(static._slots) <= 4
    assert np.array_equal(static.embed([b"alpha beta gamma"]), first)


def test_other_embeddings_than_expected_are_refused(embeddings: Path) -> None:
    with pytest.raises(EmbeddingsError, match="not those"):
        StaticEmbeddings.load(embeddings, expected=Identity("0" * 64, "0" * 64))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingsError, match=r"l2_supercat_256\.safetensors"):
        StaticEmbeddings.load(tmp_path)


def test_the_variable_says_where_the_embeddings_are(tmp_path: Path) -> None:
    assert locate({DIRECTORY_VARIABLE: str(tmp_path)}) == tmp_path


def test_without_variable_and_wheel_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(EmbeddingsError, match="wordllama"):
        locate({})
