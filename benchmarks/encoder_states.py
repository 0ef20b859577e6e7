"""What a pretrained encoder makes of texts: the mean of its tokens' states, after some of its layers.

An encoder on a processor takes a hundred times as long as static embeddings, so states are kept in a file between runs,
by hashes of the texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from steersman.classifier.encoder import EXTRA, TokenIds
from steersman.classifier.optional import package
from steersman.classifier.training_set import Floats

TOKENS: Final = 128
"""Read of a text; sentence encoders are trained on as many."""
PARTS: Final = (1, 2, 3)
"""Thirds of the layers after which states are taken."""
_AT_ONCE: Final = 32
_BETWEEN_WRITINGS: Final = 640
_KEY_BYTES: Final = 16

Kept = npt.NDArray[np.float16]


class Reader(Protocol):
    """Whatever makes states of texts."""

    def states(self, texts: Sequence[str]) -> Kept:
        """One array a text, shape `(texts, parts, width)`."""


class Encoder:
    """A pretrained encoder, as transformers loads it.

    Args:
        name: A folder, or a name on the hub.
    """

    def __init__(self, name: str) -> None:
        self._torch = package("torch", extra=EXTRA)
        transformers = package("transformers", extra=EXTRA)
        self._torch.set_num_threads(1)
        self._model = transformers.AutoModel.from_pretrained(name).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(name).backend_tokenizer
        self._token_ids = TokenIds(Tokenizer.from_str(tokenizer.to_str()), tokens=TOKENS)

    def states(self, texts: Sequence[str]) -> Kept:
        """Mean states, shape `(texts, parts, width)`."""
        batches = (texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE))
        return np.concatenate([self._of_batch(batch) for batch in batches])

    def _of_batch(self, texts: Sequence[str]) -> Kept:
        ids, mask = (self._torch.from_numpy(each) for each in self._token_ids.of(texts))
        with self._torch.inference_mode():
            layers = self._model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        share = (mask / mask.sum(dim=1, keepdim=True))[:, :, None]
        last = len(layers) - 1
        taken = [(layers[last * part // PARTS[-1]] * share).sum(dim=1) for part in PARTS]
        return np.asarray(self._torch.stack(taken, dim=1).numpy(), dtype=np.float16)


def of_texts(
    texts: Sequence[str], load: Callable[[], Reader], *, cache: Path, progress: Callable[[float], None]
) -> tuple[Floats, ...]:
    """Unit vectors of the texts, one array a part; what is in the cache is not computed again.

    Args:
        texts: Of any length; the beginning is read.
        load: Loads the encoder, where there is anything to read.
        cache: A file that is read and written; it is of one encoder.
        progress: Told the part that is done.
    """
    kept = _read(cache)
    keys = list(map(_key, texts))
    # By length, since a batch is padded to its longest text.
    new = sorted(
        {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}.items(),
        key=lambda each: len(each[1]),
    )
    if new:
        encoder = load()
        for start in range(0, len(new), _BETWEEN_WRITINGS):
            progress(start / len(new))
            part = new[start : start + _BETWEEN_WRITINGS]
            kept |= zip((key for key, _ in part), encoder.states([text for _, text in part]), strict=True)
            _write(cache, kept)
    progress(1.0)
    states = np.stack([kept[key] for key in keys]).astype(np.float64)
    states /= np.linalg.norm(states, axis=2, keepdims=True)
    return tuple(states[:, part] for part in range(len(PARTS)))


def _read(cache: Path) -> dict[bytes, Kept]:
    if not cache.is_file():
        return {}
    with np.load(cache) as read:
        return {key.tobytes(): state for key, state in zip(read["keys"], read["states"], strict=True)}


def _write(cache: Path, kept: dict[bytes, Kept]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    keys = np.frombuffer(b"".join(kept), dtype=np.uint8).reshape(-1, _KEY_BYTES)
    np.savez(cache, keys=keys, states=np.stack(list(kept.values())))


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=_KEY_BYTES).digest()
