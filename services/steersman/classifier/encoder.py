"""A fine-tuned encoder in serving: from texts to one logit each, by ONNX Runtime and without torch.

On a node with a GPU, where its runtime has CUDA, it runs there; elsewhere on the processor.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from steersman.classifier.errors import ModelError
from steersman.classifier.optional import package

EXTRA: Final = "bert"
VARIABLE: Final = "STEERSMAN_ENCODER"
"""Environment variable that names the encoder to fine-tune."""
GRAPH_FILE: Final = "encoder.onnx"
TOKENIZER_FILE: Final = "tokenizer.json"
INPUTS: Final = ("input_ids", "attention_mask")
"""Of the graph, shape `(texts, tokens)` each."""
OUTPUT: Final = "logits"
"""Of the graph, shape `(texts, 1)`."""

_AT_ONCE: Final = 16
"""Texts in one run, which are padded to the longest of them."""

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class TokenIds:
    """Cuts texts into the encoder's tokens, in training and in serving alike.

    Args:
        tokenizer: The encoder's own; its padding is not used.
        tokens: How many are read of a text, from the beginning.
    """

    def __init__(self, tokenizer: Tokenizer, *, tokens: int) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.enable_truncation(tokens)
        self._tokenizer.no_padding()

    def of(self, texts: Sequence[str]) -> tuple[Integers, Integers]:
        """Tokens of each text and which of them are no padding, shape `(texts, longest)`."""
        found = [each.ids for each in self._tokenizer.encode_batch(list(texts))]
        longest = max(1, *map(len, found))
        ids = np.array([each + [0] * (longest - len(each)) for each in found], dtype=np.int64)
        lengths = np.array(list(map(len, found)))
        return ids, (np.arange(longest) < lengths[:, None]).astype(np.int64)


class OnnxEncoder:
    """An encoder with its head, in memory; the features that a text has by it are its logit alone."""

    width: int = 1
    """Columns of `extract`."""

    def __init__(self, session: Any, token_ids: TokenIds) -> None:
        self._session = session
        self._token_ids = token_ids

    @classmethod
    def load(cls, *, graph: bytes, tokenizer: bytes, tokens: int) -> Self:
        """Load the graph of an encoder and its tokeniser.

        Raises:
            ModelError: ONNX Runtime is not installed, or cannot use them.
        """
        runtime = package("onnxruntime", extra=EXTRA)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        available = [each for each in wanted if each in runtime.get_available_providers()]
        try:
            session = runtime.InferenceSession(graph, options, providers=available)
        except RuntimeError as error:
            raise ModelError(f"ONNX Runtime cannot use {GRAPH_FILE}") from error
        return cls(session, TokenIds(Tokenizer.from_buffer(tokenizer), tokens=tokens))

    def extract(self, texts: Sequence[bytes]) -> Floats:
        """The logit of each UTF-8 text, shape `(texts, 1)`."""
        decoded = [text.decode(errors="replace") for text in texts]
        parts = [self._logits(decoded[start : start + _AT_ONCE]) for start in range(0, len(texts), _AT_ONCE)]
        return np.concatenate(parts)

    def _logits(self, texts: Sequence[str]) -> Floats:
        inputs = dict(zip(INPUTS, self._token_ids.of(texts), strict=True))
        (logits,) = self._session.run([OUTPUT], inputs)
        return np.asarray(logits, dtype=np.float32)
