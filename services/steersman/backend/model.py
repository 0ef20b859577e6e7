"""What a backend knows: its engine's model, its load, how an answer ended. Pure values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What an engine says about itself."""

    names: tuple[str, ...]
    """Names under which it serves, the first one being the model's own; at least one."""
    provider: str
    """Kind of engine, for spans: what `/v1/models` gives as the owner, such as `vllm` or `llamacpp`."""
    context_window: int
    """Tokens that prompt and answer may have together; 0 where the engine does not say."""
    slots: int | None
    """Requests that it works on at once, or None where it does not say."""

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a backend is."""

    waiting: int
    """Requests that wait for a slot."""
    running: int
    """Requests that have a slot."""
    slots: int
    """Requests that the engine works on at once."""
    tokens_per_second: float
    """Answer tokens of all requests over the last seconds."""
    draining: bool
    """Whether new requests are refused, because the process is about to end."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What the end of an answer tells about all of it."""

    finish_reasons: tuple[str, ...]
    """One a choice, in the engine's words."""
    input_tokens: int | None
    """Tokens of the prompt, or None where the engine did not count."""
    output_tokens: int | None
    """Tokens of the answer, or None where the engine did not count."""
