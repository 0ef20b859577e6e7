"""Fine-tuning of an encoder with torch: one logit, soft labels, and an intercept a source.

The intercepts take up by how much strong leads on a source, which no text shows and which would else teach the encoder
to tell the sources apart; they are not kept. It is what centring is to gains.
"""

from __future__ import annotations

import copy
import hashlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from steersman.classifier.encoder import EXTRA, INPUTS, OUTPUT, TokenIds
from steersman.classifier.errors import ModelError
from steersman.classifier.optional import package

MOST_TOKENS: Final = 256
BATCH: Final = 16
LEARNING_RATE: Final = 3e-5
_DECAY: Final = 0.01
_WARM_UP: Final = 0.1
"""Part of the steps in which the learning rate rises; in the others it falls."""
_INTERCEPT_RATE: Final = 0.03
_OPSET: Final = 17
_NEEDED_IN_THE_END: Final = ("onnx", "onnxruntime")
"""To export and to score the rows: better missed now than after hours."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learnt; one entry a text."""

    texts: Sequence[str]
    labels: Floats
    """Soft, in [0, 1]."""
    weights: Floats
    source: Indices


class Tuned:
    """A fine-tuned encoder."""

    def __init__(self, model: Any, token_ids: TokenIds, torch: Any) -> None:
        self._model = model
        self._token_ids = token_ids
        self._torch = torch

    def logits(self, texts: Sequence[str]) -> Floats:
        """One a text."""
        with self._torch.no_grad():
            parts = [
                _run(self._torch, self._model, self._token_ids.of(texts[start : start + BATCH])).cpu().numpy()
                for start in range(0, len(texts), BATCH)
            ]
        return np.concatenate(parts).astype(np.float64)

    def graph(self) -> bytes:
        """The same as an ONNX graph with the inputs and the output of `steersman.classifier.encoder`."""
        model = copy.deepcopy(self._model).cpu()
        ids, mask = (
            self._torch.from_numpy(each) for each in self._token_ids.of(["a text", "and a longer text"])
        )
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # it warns of its own age, and of sizes that it takes to be constant
            self._torch.onnx.export(
                model,
                (),
                buffer,
                kwargs=dict(zip(INPUTS, (ids, mask), strict=True)),
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                dynamic_axes={name: {0: "texts", 1: "tokens"} for name in INPUTS} | {OUTPUT: {0: "texts"}},
                opset_version=_OPSET,
                dynamo=False,
            )
        return buffer.getvalue()


class Encoders:
    """A pretrained encoder, as often as it is fine-tuned anew.

    Args:
        name: A folder, or a name on the hub.
        seed: Of the head's first weights, the dropout and the order of texts.

    Raises:
        ModelError: Torch or transformers are not installed, or the encoder cannot be had.
    """

    def __init__(self, name: str, *, seed: int) -> None:
        if name.startswith(("/", ".")) and not Path(name).is_dir():
            raise ModelError(f"the encoder {name} is no folder")
        for needed in _NEEDED_IN_THE_END:
            package(needed, extra=EXTRA)
        self._torch = package("torch", extra=EXTRA)
        self._transformers = package("transformers", extra=EXTRA)
        # It tells that the head is new, which it is meant to be, and shows bars of its own.
        self._transformers.logging.set_verbosity_error()
        self._transformers.logging.disable_progress_bar()
        self._name = name
        self._seed = seed
        self._model = self._fetch()
        self.tokens = min(MOST_TOKENS, self._model.config.max_position_embeddings)
        """How many are read of a text."""
        self.tokenizer = self._fetch_tokenizer()
        """As `tokenizer.json` has it."""

    @property
    def identity(self) -> dict[str, str]:
        """Which encoder it is: its name, and SHA-256 of its weights before they were tuned."""
        digest = hashlib.sha256()
        for key, tensor in sorted(self._model.base_model.state_dict().items()):
            digest.update(key.encode() + tensor.numpy().tobytes())
        return {"name": Path(self._name).name, "sha256": digest.hexdigest()}

    def tune(self, lesson: Lesson, *, epochs: int, progress: Callable[[float], None]) -> Tuned:
        """Fine-tune a copy; the same lesson and seed give the same weights on the same kind of processor.

        Raises:
            ModelError: The loss is no finite number, of which nothing is learnt and all weights are lost.
        """
        torch = self._torch
        torch.manual_seed(self._seed)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = copy.deepcopy(self._model).to(device)
        token_ids = self._token_ids()
        intercepts = torch.zeros(int(lesson.source.max()) + 1, device=device, requires_grad=True)
        optimiser = _optimiser(torch, model, intercepts)
        steps = epochs * -(-len(lesson.texts) // BATCH)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
        model.train()
        for step, rows in enumerate(_batches(len(lesson.texts), epochs=epochs, seed=self._seed), start=1):
            logits = _run(torch, model, token_ids.of([lesson.texts[row] for row in rows]))
            told = logits[:, 0] + intercepts[torch.from_numpy(lesson.source[rows])]
            loss = _loss(torch, told, lesson, rows)
            if not torch.isfinite(loss):
                raise ModelError(f"fine-tuning failed: the loss of step {step} of {steps} is {loss.item()}")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            progress(step / steps)
        return Tuned(model.eval(), token_ids, torch)

    def _token_ids(self) -> TokenIds:
        return TokenIds(Tokenizer.from_buffer(self.tokenizer), tokens=self.tokens)

    def _fetch(self) -> Any:
        self._torch.manual_seed(self._seed)
        classifier = self._transformers.AutoModelForSequenceClassification
        # The plain attention and tuple are what the graph's exporter understands.
        return self._had(
            classifier,
            num_labels=1,
            attn_implementation="eager",
            return_dict=False,
            dtype=self._torch.float32,
        )

    def _fetch_tokenizer(self) -> bytes:
        tokenizer = self._had(self._transformers.AutoTokenizer)
        if not tokenizer.is_fast:
            raise ModelError(f"the encoder {self._name} has no tokenizer.json")
        return str(tokenizer.backend_tokenizer.to_str()).encode()

    def _had(self, kind: Any, **options: Any) -> Any:
        try:
            return kind.from_pretrained(self._name, **options)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"the encoder {self._name} cannot be used: {reason}") from error


def _run(torch: Any, model: Any, tokens: tuple[Any, Any]) -> Any:
    """Logits of a batch, shape `(texts, 1)`."""
    device = next(model.parameters()).device
    inputs = (torch.from_numpy(each).to(device) for each in tokens)
    return model(**dict(zip(INPUTS, inputs, strict=True)))[0]


def _loss(torch: Any, logits: Any, lesson: Lesson, rows: Indices) -> Any:
    """Weighted cross-entropy with the soft labels."""
    labels, weights = (
        torch.from_numpy(each[rows]).to(logits.device, logits.dtype)
        for each in (lesson.labels, lesson.weights)
    )
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, weight=weights)


def _optimiser(torch: Any, model: Any, intercepts: Any) -> Any:
    tuned = {"params": list(model.parameters()), "lr": LEARNING_RATE, "weight_decay": _DECAY}
    free = {"params": [intercepts], "lr": _INTERCEPT_RATE, "weight_decay": 0.0}
    return torch.optim.AdamW([tuned, free])


def _rate(step: int, steps: int) -> float:
    """Part of the learning rate at a step."""
    warm = max(1.0, _WARM_UP * steps)
    return min((step + 1) / warm, max(0.0, (steps - step) / max(1.0, steps - warm)))


def _batches(rows: int, *, epochs: int, seed: int) -> Iterator[Indices]:
    generator = np.random.default_rng(seed)
    for _ in range(epochs):
        order = generator.permutation(rows)
        yield from (order[start : start + BATCH] for start in range(0, rows, BATCH))
