from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from steersman.router.normalise import Limits, routed_text

WIDE = Limits(text=1000, context=1000)
ALONE = Limits(text=1000, context=0)

roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])
conversations = st.lists(st.tuples(roles, st.text(max_size=40)), min_size=1, max_size=8)


def text_of(*turns: tuple[str, str], limits: Limits = WIDE) -> str:
    return routed_text(turns, limits).text


def test_a_single_turn_is_scored_as_it_stands() -> None:
    routed = routed_text([("user", "What is a rhumb line?")], WIDE)
    assert (routed.text, routed.truncated) == ("What is a rhumb line?", False)


def test_white_space_around_the_turn_does_not_matter() -> None:
    assert text_of(("user", "  hello\n")) == text_of(("user", "hello"))


def test_the_last_user_turn_comes_last_with_the_conversation_before_it() -> None:
    text = text_of(("user", "Who wrote it?"), ("assistant", "Melville."), ("user", "And when?"))
    assert text == "Who wrote it?\nMelville.\nAnd when?"


def test_a_turn_without_text_is_scored_as_the_last_one_that_has_some() -> None:
    asked = ("user", "Read out what is on the page.")
    assert text_of(asked, ("assistant", "Which page?"), ("user", "")) == text_of(asked)
    assert text_of(("system", "Answer."), ("user", "")) == ""


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_are_left_out(role: str) -> None:
    turns = [(role, "You are a pirate."), ("user", "Who wrote it?"), (role, "Be brief."), ("user", "Say!")]
    assert text_of(*turns) == "Who wrote it?\nSay!"


def test_a_turn_that_returns_a_tools_result_keeps_the_text_of_the_turn_that_it_serves() -> None:
    asked = [("user", "Hello"), ("assistant", "Hi"), ("user", "How warm is it in Bergen?")]
    served = [*asked, ("assistant", ""), ("tool", '{"celsius": 7}'), ("assistant", ""), ("tool", "{}")]
    assert routed_text(served, WIDE) == routed_text(asked, WIDE)


def test_a_tools_results_are_no_context_of_later_turns() -> None:
    text = text_of(("user", "How warm is it?"), ("tool", '{"celsius": 7}'), ("user", "And tomorrow?"))
    assert text == "How warm is it?\nAnd tomorrow?"


def test_of_the_context_its_end_is_kept() -> None:
    limits = Limits(text=1000, context=10)
    text = text_of(("user", "a" * 50), ("assistant", "123456"), ("user", "now"), limits=limits)
    assert text == "aaaa\n123456\nnow"


def test_no_context_is_kept_when_none_is_wanted() -> None:
    assert text_of(("user", "before"), ("assistant", "reply"), ("user", "now"), limits=ALONE) == "now"


def test_of_a_long_turn_beginning_and_end_are_kept() -> None:
    routed = routed_text([("user", "A" * 300 + "B" * 300 + "C" * 300)], Limits(text=200, context=0))
    assert routed.truncated
    assert routed.text.startswith("A" * 100)
    assert routed.text.endswith("C" * 100)
    assert "B" not in routed.text


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_the_smallest_limits_hold_too(limit: int) -> None:
    text = text_of(("user", "x" * 1000), limits=Limits(text=limit, context=0))
    assert text.count("x") <= limit


def test_a_turn_at_the_limit_is_whole() -> None:
    routed = routed_text([("user", "x" * 200)], Limits(text=200, context=0))
    assert (routed.text, routed.truncated) == ("x" * 200, False)


@given(conversations, st.integers(min_value=1, max_value=60), st.integers(min_value=0, max_value=60))
def test_the_text_is_bounded_whatever_comes(turns: list[tuple[str, str]], text: int, context: int) -> None:
    gap_and_joints = len("\n[...]\n") + context + 1
    # NFC makes no text longer than three times what it was (Unicode Standard Annex 15, section 9).
    assert len(text_of(*turns, limits=Limits(text, context))) <= 3 * (text + context) + gap_and_joints


@given(conversations)
def test_the_text_is_in_normal_form_c(turns: list[tuple[str, str]]) -> None:
    assert unicodedata.is_normalized("NFC", text_of(*turns))


@given(conversations)
def test_canonically_equivalent_conversations_are_scored_alike(turns: list[tuple[str, str]]) -> None:
    decomposed = [(role, unicodedata.normalize("NFD", text)) for role, text in turns]
    wide = Limits(10_000, 10_000)
    assert routed_text(decomposed, wide) == routed_text(turns, wide)


@given(conversations, conversations)
def test_only_the_end_of_a_long_conversation_counts(
    before: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    limits = Limits(text=1000, context=20)
    end = [("user", "x" * 20), ("user", "now")]
    assert routed_text([*before, *end], limits) == routed_text([*other, *end], limits)


@given(conversations)
def test_the_same_conversation_gives_the_same_text(turns: list[tuple[str, str]]) -> None:
    assert routed_text(turns, WIDE) == routed_text(list(turns), WIDE)


def test_a_turn_without_text_gives_its_place_to_the_one_before() -> None:
    assert text_of(("user", "What is this?"), ("user", "  ")) == "What is this?"
