from __future__ import annotations

from hypothesis import given, strategies as st

from steersman.router.keyed_hash import KeyedHash

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.tuples(texts, texts), st.tuples(texts, texts))
def test_two_lists_of_parts_have_one_hash_only_if_they_are_the_same(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    keyed = KeyedHash(b"secret")
    assert (keyed.of(one) == keyed.of(other)) == (one == other)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_another_secret_makes_another_hash(secret: bytes, other: bytes) -> None:
    one, two = (KeyedHash(each).of(["text"]) for each in (secret, other))
    assert len(one) == 32
    assert (one == two) == (secret == other)


def test_a_hash_does_not_depend_on_the_ones_before() -> None:
    keyed = KeyedHash(b"secret")
    first = keyed.of(["text"])
    keyed.of(["another"])
    assert keyed.of(["text"]) == first


def test_the_secret_stays_out_of_its_representation() -> None:
    assert "hush" not in repr(KeyedHash(b"hush"))
