"""What an engine answered, read as far as accounting needs it.

A stream is always asked for its usage; this module takes it out again where the caller did not ask. Chunks are parsed
only when a cheap look says that there is something to read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from steersman.openai_api.body import CHARACTERS_PER_TOKEN
from steersman.runtime.errors import BrokenOff

_MOST_TOKENS: Final = 2**63 - 1
"""What the API can tell."""
_TELLING: Final = re.compile(rb'"usage"|"finish_reason":\s*"')


@dataclass(slots=True)
class Reading:
    """What has been learnt of an answer so far."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    finish_reason: str = ""
    model: str = ""
    characters: int = 0
    """Of the text that has come, as far as it was counted."""

    @property
    def told_usage(self) -> bool:
        """Whether the engine has told how many tokens it took."""
        return bool(self.prompt_tokens or self.completion_tokens)

    @property
    def tokens_seen(self) -> int:
        """Estimated tokens of what has come."""
        return self.characters // CHARACTERS_PER_TOKEN

    def of_body(self, body: bytes) -> Any:
        """Read a whole response, and return it parsed.

        Raises:
            BrokenOff: It is no chat completion.
        """
        data = _load(body)
        self.learn(data)
        if not self.told_usage:
            self.characters = len(_text(data, "message"))
        return data

    def learn(self, data: dict[str, Any]) -> None:
        """Take over what a response or chunk says about model, ending and tokens.

        Raises:
            BrokenOff: It is no chat completion.
        """
        try:
            self._learn(data)
        except (AttributeError, TypeError):
            raise _garbage() from None

    def _learn(self, data: dict[str, Any]) -> None:
        self.model = _word(data.get("model")) or self.model
        for choice in data.get("choices") or ():
            self.finish_reason = _word(choice.get("finish_reason")) or self.finish_reason
        if usage := data.get("usage"):
            self.prompt_tokens = _count(usage.get("prompt_tokens"))
            self.completion_tokens = _count(usage.get("completion_tokens"))
            self.cached_tokens = _count((usage.get("prompt_tokens_details") or {}).get("cached_tokens"))


@dataclass(slots=True)
class StreamReading(Reading):
    """Reads a stream, and says what of it the caller is to see.

    Args:
        show_usage: Whether the caller asked for the usage.
    """

    show_usage: bool = False
    _chunks: int = 0
    _bytes: int = 0
    _frame: int = 0
    """Bytes of the first chunk, which has hardly any text: about what the others have around theirs."""

    @property
    def tokens_seen(self) -> int:
        """Estimated tokens of what has come: one a chunk at least, and more where there is much in one."""
        text = self._bytes - self._frame * self._chunks
        return max(self._chunks, text // CHARACTERS_PER_TOKEN)

    def visible(self, chunks: Sequence[bytes]) -> Sequence[bytes]:
        """The chunks for the caller: all of them, or those without the usage that was asked on our own account.

        Raises:
            BrokenOff: One of them is no chunk of a chat completion.
        """
        shown: list[bytes] = []
        self._chunks += len(chunks)
        self._bytes += sum(map(len, chunks))
        for chunk in chunks:
            # The first names the model; of the others only the last ones say more than text.
            if not self._frame or _TELLING.search(chunk):
                self._frame = self._frame or len(chunk)
                kept = self._read(chunk)
                if kept is not None:
                    shown.append(kept)
            else:
                shown.append(chunk)
        return shown

    def _read(self, chunk: bytes) -> bytes | None:
        data = _load(chunk)
        self.learn(data)
        if self.show_usage or "usage" not in data:
            return chunk
        del data["usage"]
        try:
            return orjson.dumps(data) if data.get("choices") else None
        except orjson.JSONEncodeError:  # it writes fewer levels than it reads
            raise _garbage() from None


def text_of_chunk(chunk: bytes) -> str:
    """The text that a chunk adds to the first choice.

    Raises:
        BrokenOff: It is no chunk of a chat completion.
    """
    return _text(_load(chunk), "delta")


def text_of_completion(body: bytes) -> str:
    """The text of a completion's first choice.

    Raises:
        BrokenOff: It is no chat completion.
    """
    return _text(_load(body), "message")


def _text(data: dict[str, Any], part: str) -> str:
    try:
        choices = data.get("choices") or ()
        text = choices[0].get(part, {}).get("content") if choices else None
    except (AttributeError, TypeError, LookupError):
        raise _garbage() from None
    return text if isinstance(text, str) else ""


def _word(value: object) -> str:
    if not isinstance(value, str | None):
        raise TypeError
    return value or ""


def _count(value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_TOKENS:
        raise TypeError
    return value


def _load(raw: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise _garbage() from None
    if not isinstance(data, dict):
        raise _garbage()
    return data


def _garbage() -> BrokenOff:
    return BrokenOff("the engine sent something that is not a chat completion", reason="ENGINE_GARBAGE")
