"""What a backend needs of an engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from steersman.backend.model import ServedModel


class Engine(Protocol):
    """One engine."""

    @property
    def served(self) -> ServedModel | None:
        """What it serves, as last learnt; None before it was first reached."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for spans."""

    def generate(
        self, body: bytes, *, stream: bool, headers: Mapping[str, str]
    ) -> AsyncGenerator[list[bytes], None]:
        """Have an answer generated; closing the generator makes the engine stop.

        Args:
            body: The JSON of an OpenAI chat completion request.
            stream: Whether it asks for a stream.
            headers: Trace context.

        Yields:
            For a stream the chunks that came together, at least one; else one list with the whole body.

        Raises:
            Error: From the tree in `runtime.errors`, and nothing else.
        """
