"""What labelling needs of a model."""

from __future__ import annotations

from typing import Protocol

from steersman.labelling.model import Messages, Reply


class Chat(Protocol):
    """A model that replies to conversations, and whose replies cost something."""

    @property
    def model(self) -> str:
        """Its name."""

    def most_usd(self, messages: Messages) -> float:
        """What a reply can cost at most, as far as tokens can be told from characters."""

    def expected_usd(self, messages: Messages, *, completion_tokens: float) -> float:
        """What a reply of that length costs, as far as tokens can be told from characters."""

    async def ask(self, messages: Messages) -> Reply:
        """Have it reply, trying again where that may help.

        Raises:
            steersman.runtime.errors.Error: It does not.
        """
