from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from steersman.openai_api import refusals
from steersman.runtime import errors


@given(st.integers(100, 999), st.binary(max_size=50), st.none() | st.text(max_size=20))
def test_any_status_has_a_meaning_with_a_known_reason(
    status: int, body: bytes, retry_after: str | None
) -> None:
    error = refusals.from_status(status, body, retry_after)
    assert error.reason in refusals.REASONS
    assert isinstance(error, errors.Refused) == (
        400 <= status < 500 and status not in {401, 403, 407, 408, 429}
    )
    if error.retry_after_seconds is not None:
        assert 0 <= error.retry_after_seconds <= 3600


@pytest.mark.parametrize("status", [401, 403])
def test_words_that_may_quote_our_key_are_not_passed_on(status: int) -> None:
    error = refusals.from_status(status, b"Incorrect API key provided: sk-abc", None)
    assert "sk-abc" not in str(vars(error))


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"error": {"code": 400, "message": "no"}}, errors.Refused),
        ({"error": {"code": 429}}, errors.Overloaded),
        ({"error": {"code": 503}}, errors.Unavailable),
        ({"error": {"code": "rate_limit_exceeded"}}, errors.Unavailable),
        ({"error": {"code": 7}}, errors.Unavailable),
        ({"error": {"code": None}}, errors.Unavailable),
        ({"error": "out of memory"}, errors.Unavailable),
        ({"choices": [], "error": {"message": "beside an answer"}}, errors.Unavailable),
    ],
)
def test_an_error_object_has_a_meaning(payload: Any, kind: type[errors.Error]) -> None:
    assert type(refusals.in_payload(orjson.dumps(payload))) is kind


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b"[]",
        b'{"error": null}',
        b'{"error": {}}',
        b'["error"]',
        b'{"choices":[{"delta":{"content":"\\"error\\": {}"}}]}',
        b'{"choices":[{"error": 1}]}',
    ],
)
def test_what_only_looks_like_an_error_is_none(payload: bytes) -> None:
    assert refusals.in_payload(payload) is None


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_any_bytes_are_an_error_of_ours_or_none(before: bytes, after: bytes) -> None:
    error = refusals.in_payload(before + b'"error"' + after)
    assert error is None or error.reason in refusals.REASONS
