"""The little that a backend reads of OpenAI bodies: whether to stream and for which model, and how it ended.

An answer is read with two searches at its end, never parsed: inside a JSON string a quote is escaped, so a quoted key
followed by a colon is a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from steersman.backend.model import Ending, ServedModel
from steersman.runtime.errors import InvalidRequest

TAIL_CHUNKS: Final = 4
"""Chunks at the end of a stream that tell how it ended: finish reasons and usage."""

_FIELD: Final = "openai_body"
_FINISH_REASON: Final = re.compile(rb'"finish_reason"\s*:\s*"([^"\\]{1,64})"')
_INPUT_TOKENS: Final = re.compile(rb'"prompt_tokens"\s*:\s*(\d{1,12})')
_OUTPUT_TOKENS: Final = re.compile(rb'"completion_tokens"\s*:\s*(\d{1,12})')


@dataclass(frozen=True, slots=True)
class Request:
    """A chat completion request."""

    body: bytes
    """Its JSON as it came."""
    fields: Mapping[str, Any]
    """The same, parsed."""

    @property
    def stream(self) -> bool:
        """Whether the answer is wanted chunk by chunk."""
        return bool(self.fields.get("stream"))

    def addressed_to(self, served: ServedModel | None) -> bytes:
        """The body with a model that the engine knows.

        A caller of Steersman names a policy or a tier, which vLLM would refuse with 404. A name that the engine
        does serve is left alone: it may choose one of several adapters on one base model.

        Raises:
            InvalidRequest: The body is nested so deeply that it can be read but not written.
        """
        if served is None or self.fields.get("model") in served.names:
            return self.body
        try:
            return orjson.dumps({**self.fields, "model": served.name})
        except orjson.JSONEncodeError as error:
            raise InvalidRequest(_FIELD, "is nested too deeply") from error


def parse(body: bytes) -> Request:
    """Read a request as far as a backend needs to; the rest is the engine's to judge.

    Raises:
        InvalidRequest: It is no JSON object, or what was read has the wrong type.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(_FIELD, "is not JSON in UTF-8") from error
    if not isinstance(fields, dict):
        raise InvalidRequest(_FIELD, "is not a JSON object")
    if not isinstance(fields.get("stream"), bool | None):
        raise InvalidRequest(f"{_FIELD}.stream", "is neither true nor false")
    if not isinstance(fields.get("model"), str | None):
        raise InvalidRequest(f"{_FIELD}.model", "is not a string")
    return Request(body=body, fields=fields)


def ending(tail: Sequence[bytes]) -> Ending:
    """How an answer ended.

    Args:
        tail: The last `TAIL_CHUNKS` chunks of a stream, or the one body.
    """
    text = tail[0] if len(tail) == 1 else b"\n".join(tail)
    usage = max(text.rfind(b'"usage"'), 0)
    return Ending(
        finish_reasons=tuple(found.decode("ascii", "replace") for found in _FINISH_REASON.findall(text)),
        input_tokens=_number(_INPUT_TOKENS.search(text, usage)),
        output_tokens=_number(_OUTPUT_TOKENS.search(text, usage)),
    )


def _number(found: re.Match[bytes] | None) -> int | None:
    return int(found[1]) if found else None
