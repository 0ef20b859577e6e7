from __future__ import annotations

from hypothesis import given, strategies as st

from steersman.backend.throughput import WINDOW_SECONDS, Throughput


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_begins_with_nothing() -> None:
    assert Throughput(clock=Clock()).per_second() == 0


def test_it_is_the_mean_over_the_window() -> None:
    clock = Clock()
    throughput = Throughput(clock=clock)
    for _ in range(WINDOW_SECONDS):
        clock.now += 1
        throughput.add(30)
    assert throughput.per_second() == 30


def test_what_is_older_than_the_window_is_forgotten() -> None:
    clock = Clock()
    throughput = Throughput(clock=clock)
    throughput.add(100)
    clock.now += WINDOW_SECONDS - 1
    assert throughput.per_second() == 10
    clock.now += 1
    assert throughput.per_second() == 0


def test_a_correction_never_makes_it_negative() -> None:
    throughput = Throughput(clock=Clock())
    throughput.add(-5)
    assert throughput.per_second() == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 100)), max_size=100))
def test_it_agrees_with_counting_by_hand(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    throughput = Throughput(clock=clock)
    happened: list[tuple[int, int]] = []
    for pause, count in steps:
        clock.now += pause
        throughput.add(count)
        happened.append((int(clock.now), count))
    recent = sum(count for second, count in happened if second > int(clock.now) - WINDOW_SECONDS)
    assert throughput.per_second() == recent / WINDOW_SECONDS
