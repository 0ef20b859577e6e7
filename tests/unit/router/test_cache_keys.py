from __future__ import annotations

import pytest
from hypothesis import assume, given, strategies as st

from steersman.router.model import ClassifierId
from steersman.router.scoring import Key

CLASSIFIER = ClassifierId("static_head", "1", "digest")
KEY = Key(b"secret", 8192)

# Names and digests come from settings and from Triton's configuration; neither can hold NUL.
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
scopes = st.tuples(names, st.builds(ClassifierId, names, names, names))


def key(
    text: str = "What is a rhumb line?",
    *,
    tenant: str = "default",
    classifier: ClassifierId = CLASSIFIER,
    limit: int = 8192,
    secret: bytes = b"secret",
) -> bytes:
    return Key(secret, limit).of(text, tenant=tenant, classifier=classifier)


def test_the_same_question_has_the_same_key_on_every_replica() -> None:
    assert key() == key()


def test_a_key_is_32_bytes_however_long_the_text() -> None:
    assert len(key("")) == len(key("x" * 100_000)) == 32


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(key("What is a rhumb line"), id="text"),
        pytest.param(key(tenant="other"), id="tenant"),
        pytest.param(key(classifier=ClassifierId("bert", "1", "digest")), id="classifier name"),
        pytest.param(key(classifier=ClassifierId("static_head", "2", "digest")), id="classifier version"),
        pytest.param(key(classifier=ClassifierId("static_head", "1", "other")), id="artefact digest"),
        pytest.param(key(limit=4096), id="truncation length"),
        pytest.param(key(secret=b"other"), id="secret"),
    ],
)
def test_anything_that_changes_the_score_changes_the_key(other: bytes) -> None:
    assert other != key()


@given(scopes, texts, scopes, texts)
def test_no_two_questions_share_a_key(
    scope: tuple[str, ClassifierId], text: str, other_scope: tuple[str, ClassifierId], other_text: str
) -> None:
    assume((scope, text) != (other_scope, other_text))
    one = KEY.of(text, tenant=scope[0], classifier=scope[1])
    other = KEY.of(other_text, tenant=other_scope[0], classifier=other_scope[1])
    assert one != other


@given(names, names, st.integers(min_value=0, max_value=12))
def test_moving_the_border_between_two_parts_changes_the_key(first: str, second: str, at: int) -> None:
    joined = first + second
    assume(joined[:at] != first)
    one = KEY.of("text", tenant=first, classifier=ClassifierId(second, "1", "d"))
    other = KEY.of("text", tenant=joined[:at], classifier=ClassifierId(joined[at:], "1", "d"))
    assert one != other


def test_a_text_cannot_pass_for_parts_of_the_scope() -> None:
    forged = "bert\0001\0digest\0008192\0text"
    assert key(forged, classifier=ClassifierId("a", "b", "c")) != key(
        "text", classifier=ClassifierId("bert", "1", "digest")
    )


def test_a_key_does_not_hold_the_text() -> None:
    text = "rhumb"
    found = key(text)
    assert text.encode() not in found
    assert text.encode().hex().encode() not in found


def test_the_secret_stays_out_of_the_keys_representation() -> None:
    assert "hush" not in repr(Key(b"hush", 8192))
