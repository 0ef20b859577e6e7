from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from steersman.openai_api.sse import EventParser, OversizedEventError


def parse(*reads: bytes, max_event_bytes: int = 1000) -> list[bytes]:
    parser = EventParser(max_event_bytes=max_event_bytes)
    return [payload for read in reads for payload in parser.feed(read)]


def pieces_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", [b"a", b"b"], id="line feeds"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"], id="carriage return and line feed"),
        pytest.param(b"data: a\r\rdata: b\r\rdata:", [b"a", b"b"], id="carriage returns alone"),
        pytest.param(b"data: a\n\r\ndata: b\r\n\n", [b"a", b"b"], id="mixed line ends"),
        pytest.param(b"data:a\n\n", [b"a"], id="no space after the colon"),
        pytest.param(b"data:  a\n\n", [b" a"], id="only one space is taken away"),
        pytest.param(b": ping\n\ndata: a\n\n", [b"a"], id="a comment is no event"),
        pytest.param(b": ping\ndata: a\n\n", [b"a"], id="a comment in an event"),
        pytest.param(b"event: x\nid: 1\ndata: a\nretry: 5\n\n", [b"a"], id="other fields"),
        pytest.param(b"data: a\ndata: b\n\n", [b"a\nb"], id="several data lines are one payload"),
        pytest.param(b"data:\n\n", [b""], id="an empty payload"),
        pytest.param(b"\n\n\n\n\ndata: a\n\n", [b"a"], id="blank lines between events"),
        pytest.param(b"data: a\n\ndata: b\n", [b"a"], id="an event without its blank line is not complete"),
        pytest.param(b"database: a\n\n", [], id="a field that only begins like data"),
        pytest.param(b"data: a\n\ndata: [DONE]\n\ndata: b\n\n", [b"a"], id="nothing counts after done"),
    ],
)
def test_payloads_are_found(stream: bytes, payloads: list[bytes]) -> None:
    assert parse(stream) == payloads


@given(
    st.lists(
        st.sampled_from(
            [b"data: ", b"data:", b"data", b"\n", b"\r", b"\r\n", b": c", b"id: 1", b"[DONE]", b"{}", b"x"]
        ),
        max_size=60,
    ),
    st.lists(st.integers(min_value=0), max_size=20),
)
def test_any_split_gives_the_same_payloads(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    assert parse(*pieces_of(stream, cuts)) == parse(stream)


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=20))
def test_any_split_of_any_bytes_gives_the_same_payloads(stream: bytes, cuts: list[int]) -> None:
    assert parse(*pieces_of(stream, cuts)) == parse(stream)


@given(
    st.lists(st.binary(max_size=40).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")), max_size=20)
)
def test_what_was_written_is_read_back(payloads: list[bytes]) -> None:
    stream = b"".join(b"data: " + payload + b"\n\n" for payload in payloads)
    before_done = payloads[: payloads.index(b"[DONE]")] if b"[DONE]" in payloads else payloads
    assert parse(stream) == before_done


def test_done_is_noticed_and_not_handed_out() -> None:
    parser = EventParser(max_event_bytes=100)
    assert parser.feed(b"data: a\n\nda") == [b"a"]
    assert not parser.done
    assert parser.feed(b"ta: [DONE]\r\n\r\n") == []
    assert parser.done


@pytest.mark.parametrize("last", [b"data: [DONE]", b"data: [DONE]\n", b"data:[DONE]\r\n"])
def test_done_counts_at_the_end_without_its_blank_line(last: bytes) -> None:
    parser = EventParser(max_event_bytes=100)
    parser.feed(last)
    parser.end()
    assert parser.done


@pytest.mark.parametrize("last", [b"", b"data: [DON", b"data: a\n"])
def test_an_end_without_done_is_not_done(last: bytes) -> None:
    parser = EventParser(max_event_bytes=100)
    parser.feed(last)
    parser.end()
    assert not parser.done


@given(st.integers(min_value=90, max_value=110), st.lists(st.integers(min_value=0), max_size=6))
def test_an_event_is_bounded_however_it_comes(size: int, cuts: list[int]) -> None:
    event = b"data: " + b"x" * (size - 6)
    reads = pieces_of(event + b"\n\n", cuts)
    if size <= 100:
        assert parse(*reads, max_event_bytes=100) == [event[6:]]
    else:
        with pytest.raises(OversizedEventError):
            parse(*reads, max_event_bytes=100)


def test_an_event_that_never_ends_is_given_up() -> None:
    parser = EventParser(max_event_bytes=100)
    for _ in range(7):
        parser.feed(b"data: xxxxxxxx")
    with pytest.raises(OversizedEventError):
        parser.feed(b"data: xxxxxxxx")
