"""Text features with a language model's judgement beside them, and judgements that are kept between trainings.

A judgement takes a second of a processor core, so a training keeps each as soon as it is made: one that is interrupted
goes on where it was, and the next with the same model and question takes seconds. What is kept names texts by hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from steersman.classifier import text_features, whole_files
from steersman.classifier.errors import DataError
from steersman.classifier.language_model import Floats, LanguageModel, Question

_KEY_BYTES: Final = 16
_AT_ONCE: Final = 50
"""Judgements between two writings."""


@dataclass(frozen=True, slots=True)
class JudgedFeatures:
    """Text features, then the language model's hidden state."""

    model: LanguageModel
    question: Question

    @property
    def width(self) -> int:
        """Columns of a row."""
        return len(text_features.NAMES) + self.model.width

    def extract(self, texts: Sequence[bytes]) -> Floats:
        """One row a UTF-8 text."""
        return np.hstack((text_features.extract(texts), judge(self.model, self.question, texts)))


def judge(model: LanguageModel, question: Question, texts: Sequence[bytes]) -> Floats:
    """The model's state before it would tell its judgement of each UTF-8 text, shape `(texts, model.width)`."""
    return model.states([question.about(text.decode(errors="replace")) for text in texts])


class Judgements:
    """Judgements of one model on one question, kept in a file of a folder.

    Raises:
        DataError: The file is damaged.
    """

    def __init__(self, folder: Path, *, model: LanguageModel, question: Question) -> None:
        asked = json.dumps([model.identity.sha256, asdict(question)], sort_keys=True).encode()
        self._path = folder / f"judgements-{hashlib.sha256(asked).hexdigest()[:16]}.safetensors"
        self._model, self._question = model, question
        self._kept = _read(self._path, width=model.width)

    def of(self, texts: Sequence[bytes], *, progress: Callable[[float], None]) -> Floats:
        """Judge what was not judged before, and tell all, shape `(texts, model.width)`.

        Raises:
            DataError: The file cannot be written.
            ModelError: The model gives no judgement.
        """
        keys = list(map(_key, texts))
        new = [
            (key, text) for key, text in dict(zip(keys, texts, strict=True)).items() if key not in self._kept
        ]
        for start in range(0, len(new), _AT_ONCE):
            progress(start / len(new))
            part = new[start : start + _AT_ONCE]
            judged = judge(self._model, self._question, [text for _, text in part])
            self._kept |= zip((key for key, _ in part), judged, strict=True)
            self._write()
        progress(1.0)
        return np.stack([self._kept[key] for key in keys])

    def _write(self) -> None:
        keys = np.frombuffer(b"".join(self._kept), dtype=np.uint8).reshape(-1, _KEY_BYTES)
        content = save({"keys": keys, "states": np.stack(list(self._kept.values()))})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole_files.replace_all({self._path: content})
        except OSError as error:
            raise DataError(f"cannot write {error.filename}: {error.strerror}") from error


def _read(path: Path, *, width: int) -> dict[bytes, Floats]:
    if not path.is_file():
        return {}
    try:
        tensors = load(path.read_bytes())
        keys, states = tensors["keys"], tensors["states"].reshape(-1, width)
        return {key.tobytes(): state for key, state in zip(keys, states, strict=True)}
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise DataError(
            f"the judgements in {path} are damaged; remove the file to have them made anew"
        ) from error


def _key(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=_KEY_BYTES).digest()
