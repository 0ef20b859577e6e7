from __future__ import annotations

from hypothesis import given, strategies as st

from steersman.runtime.expiring import Expiring


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_put_is_known_until_its_time_is_over() -> None:
    clock = Clock()
    known: Expiring[str, int] = Expiring(10, 60.0, clock=clock)
    known.put("one", 1)
    clock.now = 59.9
    assert known.get("one") == 1
    clock.now = 60.0
    assert known.get("one") is None
    assert len(known) == 0


def test_asking_does_not_prolong_it_and_putting_does() -> None:
    clock = Clock()
    known: Expiring[str, int] = Expiring(10, 60.0, clock=clock)
    for name in ("asked", "put"):
        known.put(name, 1)
    clock.now = 50.0
    known.get("asked")
    known.put("put", 2)
    clock.now = 70.0
    assert known.get("asked") is None
    assert known.get("put") == 2


def test_how_long_it_is_known_yet_can_be_told() -> None:
    clock = Clock()
    known: Expiring[str, int] = Expiring(10, 60.0, clock=clock)
    known.put("one", 1)
    clock.now = 45.0
    assert (known.left("one"), known.left("other")) == (15.0, 0.0)
    clock.now = 90.0
    assert known.left("one") == 0.0


def test_who_was_not_asked_for_the_longest_makes_room() -> None:
    known: Expiring[str, int] = Expiring(2, 60.0)
    known.put("first", 1)
    known.put("second", 2)
    known.get("first")
    known.put("third", 3)
    assert known.get("second") is None
    assert (known.get("first"), known.get("third")) == (1, 3)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans())), st.integers(1, 5))
def test_it_never_holds_more_than_it_may(steps: list[tuple[int, bool]], entries: int) -> None:
    known: Expiring[int, int] = Expiring(entries, 60.0)
    for key, puts in steps:
        if puts:
            known.put(key, key)
        else:
            assert known.get(key) in {None, key}
        assert len(known) <= entries
