"""The body of a chat completion request, read as far as routing needs it and passed on as it came.

Unknown fields are the engine's business and go through unharmed; what is read here is checked, and an error names the
field as the caller wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from steersman.runtime.errors import InvalidRequest

Turn = tuple[str, str]
"""Role and text of a message."""

_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_OF_TEXT: Final = frozenset({"text", "refusal"})
"""Types of parts without which a message has nothing that could be answered; any other is an image, a sound, a file."""
CHARACTERS_PER_TOKEN: Final = 4
"""Rule of thumb for English text under byte-pair encodings; images are not counted."""
_MESSAGE_TOKENS: Final = 4
"""What a chat template adds to each message, roughly."""


@dataclass(frozen=True, slots=True)
class ChatBody:
    """A chat completion request.

    Args:
        data: The whole body.
        turns: Role and text of each message.
        images: Whether a message holds an image.
        media: Whether a message holds an image or anything else that is no text.
    """

    data: Mapping[str, Any]
    turns: Sequence[Turn]
    images: bool
    media: bool

    @property
    def model(self) -> str:
        """What the caller calls the model: a policy or a tier; empty when absent."""
        return self.data.get("model") or ""

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.data.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        """Whether the caller asked for a chunk with the usage at the end of the stream."""
        options = self.data.get("stream_options") or {}
        return options.get("include_usage") is True

    @property
    def tools(self) -> bool:
        """Whether the request offers tools."""
        return bool(self.data.get("tools") or self.data.get("functions"))

    @property
    def json_schema(self) -> bool:
        """Whether the answer must follow a JSON schema."""
        wanted = self.data.get("response_format") or {}
        return wanted.get("type") == "json_schema"

    @property
    def tokens(self) -> int:
        """Estimated tokens of the request and of the longest answer that it allows."""
        answer = self.data.get("max_completion_tokens") or self.data.get("max_tokens") or 0
        return tokens_of(self.turns) + int(answer)

    def encode(self, model: str, *, stream: bool) -> bytes:
        """The body for an engine: under its own name of the model, and always asking for the usage.

        Raises:
            InvalidRequest: It is nested too deeply to be passed on.
        """
        data = {**self.data, "model": model, "stream": stream}
        if stream:
            data["stream_options"] = {**(self.data.get("stream_options") or {}), "include_usage": True}
        else:
            data.pop("stream_options", None)
        try:
            return orjson.dumps(data)
        except orjson.JSONEncodeError:  # it writes fewer levels than it reads
            raise InvalidRequest("", "the body is nested too deeply", reason="NESTED_TOO_DEEPLY") from None


def tokens_of(turns: Sequence[Turn]) -> int:
    """Estimated tokens of messages."""
    characters = sum(len(text) for _, text in turns)
    return characters // CHARACTERS_PER_TOKEN + _MESSAGE_TOKENS * len(turns)


def parse(raw: bytes, *, max_messages: int) -> ChatBody:
    """Read a body.

    Args:
        raw: JSON in UTF-8.
        max_messages: Most messages that are taken.

    Raises:
        InvalidRequest: It is no chat completion request; says which field is wrong.
    """
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("", f"the body is not JSON in UTF-8: {error.msg}", reason="NOT_JSON") from None
    if not isinstance(data, dict):
        raise InvalidRequest("", "the body must be a JSON object")
    _check_types(data)
    return of_data(data, max_messages=max_messages)


def of_data(data: Mapping[str, Any], *, max_messages: int) -> ChatBody:
    """A body from an object whose top-level types are known to be right.

    Raises:
        InvalidRequest: Its messages are not those of a chat.
    """
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages", "must be an array with at least one message")
    if len(messages) > max_messages:
        raise InvalidRequest("messages", f"at most {max_messages} messages are taken, got {len(messages)}")
    turns: list[Turn] = []
    media: set[str] = set()
    for index, message in enumerate(messages):
        turn, of_turn = _read_message(index, message)
        turns.append(turn)
        media |= of_turn
    if not media and not any(text.strip() for _, text in turns if text):
        raise InvalidRequest("messages", "no message has any text")
    if not media and turns[-1][0] == "user" and not turns[-1][1].strip():
        raise InvalidRequest(f"messages[{len(turns) - 1}].content", "must not be empty")
    return ChatBody(data, turns, images="image_url" in media, media=bool(media))


def _read_message(index: int, message: object) -> tuple[Turn, set[str]]:
    """Its role and text, and the types of its parts that are no text."""
    field = f"messages[{index}]"
    if not isinstance(message, dict):
        raise InvalidRequest(field, "must be an object")
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise InvalidRequest(f"{field}.role", f"must be one of {', '.join(sorted(_ROLES))}")
    text, media = _read_content(f"{field}.content", message.get("content"), role)
    if "\0" in text:
        raise InvalidRequest(f"{field}.content", "must not contain NUL characters")
    return (role, text), media


def _read_content(field: str, content: object, role: str) -> tuple[str, set[str]]:
    if isinstance(content, str):
        return content, set()
    if content is None and role not in {"user", "system", "developer"}:
        return "", set()  # an assistant's turn may consist of tool calls alone
    if not isinstance(content, list):
        raise InvalidRequest(field, "must be a string or an array of content parts")
    texts: list[str] = []
    media: set[str] = set()
    for index, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise InvalidRequest(f"{field}[{index}]", "must be an object with a type")
        if part["type"] == "text":
            if not isinstance(part.get("text"), str):
                raise InvalidRequest(f"{field}[{index}].text", "must be a string")
            texts.append(part["text"])
        elif part["type"] not in _OF_TEXT:
            media.add(part["type"])
    return "\n".join(texts), media


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


_CHECKS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "model": (lambda value: isinstance(value, str), "must be a string"),
    "stream": (lambda value: isinstance(value, bool), "must be true or false"),
    "stream_options": (lambda value: isinstance(value, dict), "must be an object"),
    "tools": (lambda value: isinstance(value, list), "must be an array"),
    "functions": (lambda value: isinstance(value, list), "must be an array"),
    "response_format": (lambda value: isinstance(value, dict), "must be an object"),
    "max_tokens": (_is_count, "must be a whole number of at least 1"),
    "max_completion_tokens": (_is_count, "must be a whole number of at least 1"),
}
"""The fields that this module reads; null is as good as absent, as it is for OpenAI."""


def _check_types(data: Mapping[str, Any]) -> None:
    for name, (holds, complaint) in _CHECKS.items():
        value = data.get(name)
        if value is not None and not holds(value):
            raise InvalidRequest(name, complaint)
