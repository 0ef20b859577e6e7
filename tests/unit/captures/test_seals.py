from __future__ import annotations

from dataclasses import replace

import pytest

from steersman.captures.place import Place, mark_of
from steersman.captures.seals import CannotOpen, SealKey, Seals

CONTENT = b'{"messages": "a secret of somebody"}'
PLACE = Place("search", mark_of("67049f231f8e"), "01a20d5086c574c1a450afe4e1c034c2")
OLD, NEW = SealKey("old", b"o" * 32), SealKey("new", b"n" * 32)


def test_what_was_sealed_opens_with_its_key_in_its_place() -> None:
    seals = Seals([NEW])
    assert seals.open(seals.seal(CONTENT, PLACE), PLACE) == CONTENT


def test_nothing_of_it_can_be_read_and_no_two_seals_are_alike() -> None:
    seals = Seals([NEW])
    sealed = {seals.seal(CONTENT, PLACE) for _ in range(100)}
    assert len(sealed) == 100
    assert not any(b"secret" in each or b"messages" in each for each in sealed)


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens() -> None:
    before, after = Seals([OLD]), Seals([NEW, OLD])
    assert after.open(before.seal(CONTENT, PLACE), PLACE) == CONTENT
    with pytest.raises(CannotOpen, match="'new', which is not in the key file"):
        before.open(after.seal(CONTENT, PLACE), PLACE)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(replace(PLACE, tenant="mail"), id="another tenant"),
        pytest.param(replace(PLACE, mark=mark_of("another")), id="another caller"),
        pytest.param(replace(PLACE, decision_id="0" * 32), id="another decision"),
    ],
)
def test_in_anothers_place_it_does_not_open(place: Place) -> None:
    seals = Seals([NEW])
    with pytest.raises(CannotOpen, match="belongs to another tenant or caller"):
        seals.open(seals.seal(CONTENT, PLACE), place)


def test_another_key_of_the_same_name_does_not_open_it() -> None:
    sealed = Seals([NEW]).seal(CONTENT, PLACE)
    with pytest.raises(CannotOpen, match="the key file has another one of that name"):
        Seals([replace(NEW, secret=b"x" * 32)]).open(sealed, PLACE)


def test_what_was_changed_anywhere_does_not_open() -> None:
    seals = Seals([NEW, OLD])
    sealed = seals.seal(CONTENT, PLACE)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(CannotOpen):
            seals.open(bytes(changed), PLACE)


@pytest.mark.parametrize("length", range(0, 40, 3))
def test_what_was_cut_off_does_not_open(length: int) -> None:
    seals = Seals([NEW])
    with pytest.raises(CannotOpen):
        seals.open(seals.seal(CONTENT, PLACE)[:length], PLACE)


def test_a_key_does_not_show_itself() -> None:
    assert "nnn" not in repr(NEW)


def test_the_mark_of_a_caller_is_always_the_same_and_says_no_name() -> None:
    assert mark_of("team/ada") == mark_of("team/ada")
    assert "ada" not in mark_of("team/ada")
