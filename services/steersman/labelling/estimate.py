"""What calls will cost, before any is made: from the prices, and the length of the replies that are there already."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from steersman.labelling.asking import Call
from steersman.labelling.model import Reply
from steersman.labelling.ports import Chat


@dataclass(frozen=True, slots=True)
class Estimate:
    """US dollars for calls of one model."""

    model: str
    calls: int
    expected_usd: float | None
    """With replies as long as the mean so far; None where there is none yet."""
    most_usd: float
    """With every reply as long as it may be."""

    @classmethod
    def of(cls, chat: Chat, calls: Iterable[Call], replies: Sequence[Reply]) -> Self:
        """Estimate those of the calls that go to a model, which has made these replies before."""
        asked = [call.messages for call in calls if call.chat is chat]
        expected = None
        if replies:
            length = statistics.mean(reply.completion_tokens for reply in replies)
            expected = sum(chat.expected_usd(messages, completion_tokens=length) for messages in asked)
        return cls(chat.model, len(asked), expected, sum(map(chat.most_usd, asked)))
