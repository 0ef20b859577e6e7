"""What of a conversation is scored.

The last user turn, with the end of what went before it as context, without the system prompt; Unicode NFC; bounded
in length. A turn that only returns a tool's result is scored as the user turn that it serves. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from steersman.router.model import RoutedText

_GAP = "\n[...]\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the routed text, in characters."""

    text: int = 7500
    """Of the last user turn; of a longer one its beginning and end are kept, where questions stand."""
    context: int = 512
    """Of the turns before it; the end of them is kept."""


def routed_text(turns: Sequence[tuple[str, str]], limits: Limits) -> RoutedText:
    """The text that the classifier sees.

    Args:
        turns: Role and text of each message, oldest first.
        limits: Bounds.
    """
    asked = _last_user_turn(turns)
    text = turns[asked][1].strip()
    truncated = len(text) > limits.text
    if truncated:
        half = limits.text // 2
        text = text[:half] + _GAP + text[len(text) - half :]
    context = _context(turns[:asked], limits.context)
    if context:
        text = f"{context}\n{text}"
    # ASCII is in every normal form, and most prompts are ASCII.
    return RoutedText(text if text.isascii() else unicodedata.normalize("NFC", text), truncated)


def _last_user_turn(turns: Sequence[tuple[str, str]]) -> int:
    for index in range(len(turns) - 1, -1, -1):
        if turns[index][0] == "user" and turns[index][1].strip():
            return index
    return len(turns) - 1


def _context(turns: Sequence[tuple[str, str]], limit: int) -> str:
    """The end of the earlier turns between user and assistant; a tool's results and instructions are left out."""
    kept: list[str] = []
    room = limit
    for role, text in reversed(turns):
        if room <= 0:
            break
        if role in {"user", "assistant"} and text:
            kept.append(text[-room:])
            room -= len(text)
    return "\n".join(reversed(kept))
