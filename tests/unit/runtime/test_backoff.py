"""How long is waited between attempts."""

from __future__ import annotations

from hypothesis import given, strategies as st

from steersman.runtime.backoff import Backoff


def longest(_low: float, high: float) -> float:
    return high


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(0.5, 3.0, longest)
    assert [backoff.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_something_that_worked_makes_them_short_again() -> None:
    backoff = Backoff(0.5, 3.0, longest)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == 0.5


@given(st.integers(min_value=1, max_value=100))
def test_a_pause_is_never_longer_than_the_longest_nor_nothing(attempts: int) -> None:
    backoff = Backoff(0.2, 10.0)
    assert all(0.1 <= backoff.next() <= 10.0 for _ in range(attempts))


def test_two_that_begin_together_do_not_stay_in_step() -> None:
    first, second = Backoff(1.0, 60.0), Backoff(1.0, 60.0)
    assert [first.next() for _ in range(8)] != [second.next() for _ in range(8)]
