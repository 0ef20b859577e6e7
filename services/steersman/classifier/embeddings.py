"""Static word embeddings: a text's vector is the mean of its tokens' vectors.

They come from the `wordllama` wheel, whose library is not used: it wants another NumPy than Triton's Python backend
has, and reading two files needs no library. A sentence encoder costs a hundred times as much on a CPU and gains
nothing measurable on routing with little in-domain data.

Tokenising is what costs, and most words of a text are words of other texts. Each word's sum of token vectors is kept,
up to a bound, under the word's hash: no word stays in memory. Python's own hash, since it is secret to the process and
64 bits long: two of a hundred thousand words share one with a probability below one in a billion. The result does not
depend on what is kept.

Words are looked up one by one and not as arrays, because batches are small when classifying is quick: a dozen calls
into NumPy a batch cost more than a look-up a word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load
from tokenizers import Tokenizer

from steersman.classifier import words
from steersman.classifier.errors import EmbeddingsError

DIRECTORY_VARIABLE = "STEERSMAN_EMBEDDINGS_DIR"
"""Environment variable that names the directory of the two files; without it, the installed wheel is used."""

_WORDS_KEPT = 65536
"""Words whose vectors are kept: 64 MiB, and all but the rarest words of a language."""
_BYTES_AT_ONCE = 2 * _WORDS_KEPT
"""A batch is worked on in parts of this size, whose words surely fit; one text always does."""
_WORD_BEGINS = "\N{LOWER ONE EIGHTH BLOCK}"
"""How the vocabulary marks the beginning of a word."""

_WEIGHTS = Path("weights", "l2_supercat_256.safetensors")
_TOKENIZER = Path("tokenizers", "l2_supercat_tokenizer_config.json")
_TENSOR = "embedding.weight"

_OTHER = "\N{REPLACEMENT CHARACTER}"
"""Stands for such a mark in a text, where it would begin a word within a word."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which embeddings these are: SHA-256 of the two files, in hex."""

    weights_sha256: str
    tokenizer_sha256: str


def locate(environment: Mapping[str, str]) -> Path:
    """Find the directory of the embeddings.

    Raises:
        EmbeddingsError: Neither the variable nor the wheel says where.
    """
    if directory := environment.get(DIRECTORY_VARIABLE):
        return Path(directory)
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddingsError(f"install the wordllama wheel (--no-deps) or set {DIRECTORY_VARIABLE}")
    return Path(spec.submodule_search_locations[0])


class StaticEmbeddings:
    """The table and its tokeniser, in memory. Not for several threads at once.

    Args:
        table: One row a token.
        tokenizer: Splits texts; its padding, truncation and special tokens are not used.
        identity: What the artefact of a head trained on these remembers.
    """

    def __init__(self, *, table: npt.NDArray[np.float32], tokenizer: Tokenizer, identity: Identity) -> None:
        self._table = table
        self._tokenizer = tokenizer
        self.identity = identity
        self._begins = np.zeros(len(table), dtype=np.bool_)
        self._begins[
            [key for token, key in tokenizer.get_vocab().items() if token.startswith(_WORD_BEGINS)]
        ] = True
        self._slots: dict[int, int] = {}
        self._kept = np.zeros((_WORDS_KEPT, self.dimensions), dtype=np.float32)

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._table.shape[1])

    @classmethod
    def load(cls, directory: Path, *, expected: Identity | None = None) -> StaticEmbeddings:
        """Read the two files.

        Raises:
            EmbeddingsError: A file is missing, or is not the `expected` one.
        """
        weights, tokenizer = _read(directory / _WEIGHTS), _read(directory / _TOKENIZER)
        identity = Identity(
            weights_sha256=hashlib.sha256(weights).hexdigest(),
            tokenizer_sha256=hashlib.sha256(tokenizer).hexdigest(),
        )
        if expected is not None and identity != expected:
            raise EmbeddingsError(f"the embeddings in {directory} are not those that the head was trained on")
        loaded = cls(
            table=load(weights)[_TENSOR].astype(np.float32),
            tokenizer=_without_normaliser(tokenizer),
            identity=identity,
        )
        loaded.warm_up()
        return loaded

    def warm_up(self) -> None:
        """Meet the vocabulary's own words, so that the first texts find most of theirs known."""
        vocabulary = sorted(self._tokenizer.get_vocab())
        self.embed([" ".join(token.removeprefix(_WORD_BEGINS) for token in vocabulary).encode()])

    def embed(self, texts: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """Unit vectors of UTF-8 texts, shape `(texts, dimensions)`; zero for a text without words."""
        sums = self._sums(texts)
        norms = np.sqrt(np.einsum("ij,ij->i", sums, sums))
        return np.asarray(sums / np.maximum(norms, np.finfo(np.float32).tiny)[:, None])

    def _sums(self, texts: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """The sum of the vectors of all tokens of each text."""
        if len(texts) > 1 and sum(map(len, texts)) > _BYTES_AT_ONCE:
            middle = len(texts) // 2
            return np.vstack((self._sums(texts[:middle]), self._sums(texts[middle:])))
        found = [words.find(text) for text in texts]
        slots = self._look_up(list(chain.from_iterable(found)))
        vectors = self._kept.take(slots, axis=0)
        # A product with ones: NumPy sums along the first axis several times slower than BLAS does.
        ones = np.ones(len(slots), dtype=np.float32)
        bounds = pairwise(accumulate(map(len, found), initial=0))
        return np.stack([ones[a:b] @ vectors[a:b] for a, b in bounds])

    def _look_up(self, found: Sequence[bytes]) -> Sequence[int]:
        """Where the words' vectors are kept, after those of new words were added."""
        keys = list(map(hash, found))
        slots = list(map(self._slots.get, keys))
        if None in slots:
            self._learn(dict(zip(keys, found, strict=True)))
            return list(map(self._slots.__getitem__, keys))
        return cast("list[int]", slots)

    def _learn(self, found: Mapping[int, bytes]) -> None:
        """Keep the words that are new; where they do not fit, forget all the others."""
        new = {key: word for key, word in found.items() if key not in self._slots}
        if len(self._slots) + len(new) > _WORDS_KEPT:
            self._slots.clear()
            new = dict(found)
        slot = len(self._slots)
        self._kept[slot : slot + len(new)] = self._vectors(new.values())
        self._slots.update(zip(new, range(slot, slot + len(new)), strict=True))

    def _vectors(self, found: Iterable[bytes]) -> npt.NDArray[np.float32]:
        """Tokenise words as one text, whose tokens part into words again where a mark begins one."""
        spellings = (word.decode(errors="replace") for word in found)
        marked = "".join(_WORD_BEGINS + spelling.replace(_WORD_BEGINS, _OTHER) for spelling in spellings)
        ids = np.array(self._tokenizer.encode(marked, add_special_tokens=False).ids, dtype=np.intp)
        return np.add.reduceat(self._table[ids], np.flatnonzero(self._begins[ids]), axis=0)


def _without_normaliser(description: bytes) -> Tokenizer:
    """The tokeniser for words that are marked already; its own normaliser takes a third of its time."""
    return Tokenizer.from_str(json.dumps({**json.loads(description), "normalizer": None}))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EmbeddingsError(f"cannot read {path}: {error.strerror}") from error
