"""A small generative language model as a judge: how it takes a query, read where it would say how hard it is.

The query stands in a question about its difficulty. What is read is the hidden state of the last token: all that the
model would answer is computed from it, so a linear head on it can tell whatever the model's own words could. One pass
over the prompt gives it, and no token is generated.

llama.cpp runs in this process. Its library also opens a port on the loopback interface, which a key that nobody knows
keeps shut.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from steersman.classifier.errors import ModelError
from steersman.classifier.optional import package

EXTRA: Final = "causal_llm"
VARIABLE: Final = "STEERSMAN_LANGUAGE_MODEL"
"""Environment variable that names the GGUF file; without it, it is where it was at the training."""

_HUB: Final = "hf://"
_MAGIC: Final = b"GGUF"
_CONTEXT: Final = 2048
"""Tokens: more than a question can be long, at one a byte."""
_BYTES_A_CHARACTER: Final = 2
"""Scripts with more have as many tokens a character, and time grows with tokens: fewer of them are read."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Question:
    """What stands around a query."""

    before: str
    after: str
    """Ends where the model would tell its judgement."""
    beginning: int
    """Characters that are read of a query's beginning; all of a query as long as it and `end` together."""
    end: int

    def about(self, query: str) -> str:
        """The prompt for a query; the middle of a long one is left out, for time grows with it."""
        most = self.beginning + self.end
        if len(query) > most or len(query.encode(errors="replace")) > _BYTES_A_CHARACTER * most:
            query = f"{self._first(query)}\n[...]\n{self._last(query)}"
        return f"{self.before}{query}{self.after}"

    def _first(self, query: str) -> str:
        kept = query[: self.beginning].encode(errors="replace")
        return kept[: _BYTES_A_CHARACTER * self.beginning].decode(errors="ignore")

    def _last(self, query: str) -> str:
        kept = query[-self.end :].encode(errors="replace")
        return kept[-_BYTES_A_CHARACTER * self.end :].decode(errors="ignore")


QUESTION: Final = Question(
    before="Task:\n",
    after="\n\nHow hard is this task, from 1 (trivial) to 9 (for experts)? Difficulty:",
    beginning=384,
    end=128,
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which language model it is."""

    path: str
    """Where its file was at the training."""
    sha256: str


def locate(environment: Mapping[str, str]) -> str:
    """Which file a training is to use.

    Raises:
        ModelError: None is named.
    """
    if named := environment.get(VARIABLE):
        return named
    raise ModelError(f"no language model is named: use --model FILE.gguf or set {VARIABLE}")


def fetch(named: str) -> Path:
    """The file that is named by its path, or as hf://OWNER/REPOSITORY/FILE, which is fetched once and kept.

    Raises:
        ModelError: It cannot be had.
    """
    if not named.startswith(_HUB):
        return Path(named)
    owner, _, rest = named.removeprefix(_HUB).partition("/")
    repository, _, file = rest.partition("/")
    if not file:
        raise ModelError(f"{named} should be {_HUB}OWNER/REPOSITORY/FILE.gguf")
    hub = package("huggingface_hub", extra=EXTRA)
    try:
        return Path(hub.hf_hub_download(f"{owner}/{repository}", file))
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        raise ModelError(f"cannot fetch {named}: {str(error).splitlines()[0]}") from error


class LanguageModel:
    """A model in memory, until this object goes. Not for several threads at once."""

    def __init__(self, server: Any, identity: Identity, *, package_version: str) -> None:
        self._server = server
        self.identity = identity
        self.package_version = package_version
        """Version of llama.cpp's package."""
        self.width: int = self.states(["."]).shape[1]
        """Length of a hidden state."""

    @classmethod
    def load(cls, named: str, *, sha256: str | None = None) -> Self:
        """Load a GGUF file, the one of that hash where it is told.

        Raises:
            ModelError: llama.cpp is not installed, the file is missing, of another kind, or another one.
        """
        # Threads that wait would else keep the cores busy that other processes need.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        llama = package("xllamacpp", extra=EXTRA)
        path = fetch(named)
        found = _hash(path)
        if sha256 is not None and found != sha256:
            raise ModelError(f"{path} is not the language model that the head was trained on")
        try:
            server = llama.Server(_parameters(llama, path))
        except RuntimeError as error:
            raise ModelError(f"llama.cpp cannot load {path}") from error
        return cls(server, Identity(path=named, sha256=found), package_version=llama.__version__)

    def states(self, prompts: Sequence[str]) -> Floats:
        """Hidden state of each prompt's last token, shape `(prompts, width)`; one prompt after another.

        Raises:
            ModelError: The model gives none.
        """
        return np.vstack([self._state(prompt) for prompt in prompts])

    def _state(self, prompt: str) -> Floats:
        # Without a cache of what was read before, the same prompt gives the same state in any company.
        answer = self._server.handle_embeddings(
            {"input": prompt, "embd_normalize": -1, "cache_prompt": False}
        )
        if "data" not in answer:
            reason = answer.get("error", {}).get("message", "no reason told")
            raise ModelError(f"the language model gives no hidden state: {reason}")
        return np.array(answer["data"][0]["embedding"], dtype=np.float32)


def located(identity: Identity, environment: Mapping[str, str]) -> str:
    """Which file a trained artefact is to use: the one that the environment names, else where it was."""
    return environment.get(VARIABLE) or identity.path


def _hash(path: Path) -> str:
    """SHA-256 of a GGUF file."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ModelError(f"{path} is no GGUF file")
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read the language model {path}: {error.strerror}") from error


def _parameters(llama: Any, path: Path) -> Any:
    """How llama.cpp is to hold the model: for hidden states alone, one prompt at a time."""
    params = llama.CommonParams()
    params.model.path = str(path)
    params.embedding = True
    params.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    params.n_parallel = 1
    params.n_ctx = params.n_batch = _CONTEXT
    params.n_ubatch = 512
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = len(os.sched_getaffinity(0))
    params.cache_prompt = params.warmup = params.ui = False
    params.cache_ram_mib = params.port = 0
    params.api_keys = [secrets.token_hex()]
    params.verbosity = -1
    return params
