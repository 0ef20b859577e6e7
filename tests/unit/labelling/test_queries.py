from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steersman.classifier.errors import DataError
from steersman.labelling import queries
from unit.labelling.material import write

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How deep is the sea?"}]


def test_a_conversation_is_sent_as_it_is_and_scored_as_the_router_would(tmp_path: Path) -> None:
    (query,) = queries.read([write(tmp_path / "q.jsonl", {"messages": CHAT, "tenant": "a"})])
    assert query.messages == CHAT
    assert query.text == "How deep is the sea?"
    assert query.row["tenant"] == "a"


def test_a_choice_is_asked_with_its_options(tmp_path: Path) -> None:
    (query,) = queries.read([write(tmp_path / "q.jsonl", {"prompt": "Pick.", "options": ["red", "blue"]})])
    assert query.messages == [{"role": "user", "content": "Pick.\nA. red\nB. blue\nAnswer:"}]


def test_a_query_that_comes_again_counts_once(tmp_path: Path) -> None:
    first = {"prompt": "Hello"}, {"prompt": "Other"}
    found = queries.read([write(tmp_path / "q.jsonl", *first, {"prompt": "Hello", "tenant": "b"})])
    assert [query.text for query in found] == ["Hello", "Other"]
    assert len({query.id for query in found}) == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"text": "x"}, "neither 'messages' nor a 'prompt'", id="no prompt"),
        pytest.param({"prompt": " \n"}, "nothing in it but white space", id="blank"),
        pytest.param({"prompt": "x\0"}, "must not contain NUL", id="a character that engines refuse"),
        pytest.param({"messages": []}, "at least one message", id="no messages"),
        pytest.param({"prompt": "x", "note": "\ud800"}, "cannot be sent as JSON", id="half a character"),
        pytest.param({"prompt": "x", "number": 10**30}, "cannot be sent as JSON", id="a number too large"),
    ],
)
def test_a_line_that_cannot_be_asked_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "q.jsonl", {"prompt": "fine"}, row)
    with pytest.raises(DataError, match=rf"line 2: .*{message}"):
        queries.read([path])
