"""What counts as an answer of another product."""

from __future__ import annotations

import orjson
import pytest
from benchmarks.measures.http_unary import completes
from benchmarks.mock_engine import completion


def test_the_engines_whole_text_is_an_answer_whatever_stands_beside_it() -> None:
    body = orjson.loads(completion())
    assert completes(orjson.dumps({**body, "model": "another", "service_tier": None})) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"Internal Server Error", id="text"),
        pytest.param(b'{"error": {"message": "no"}}', id="an error"),
        pytest.param(b'{"choices": []}', id="no choice"),
        pytest.param(completion().replace(b"short", b"long"), id="another text"),
    ],
)
def test_anything_else_is_not(answer: bytes) -> None:
    assert completes(answer) == 0
