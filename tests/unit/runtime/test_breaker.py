from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from steersman.runtime.breaker import Breaker, State

COOLDOWN = 10.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock, *, threshold: int = 1) -> Breaker:
    breaker = Breaker(threshold=threshold, cooldown=COOLDOWN, clock=clock)
    for _ in range(threshold):
        assert breaker.allow()
        breaker.failure()
    return breaker


def test_it_begins_closed() -> None:
    breaker = Breaker(threshold=1, cooldown=1)
    assert breaker.state is State.CLOSED
    assert breaker.ready
    assert breaker.allow()


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    clock = Clock()
    breaker = Breaker(threshold=3, cooldown=COOLDOWN, clock=clock)
    for _ in range(2):
        breaker.failure()
        assert breaker.state is State.CLOSED
    breaker.failure()
    assert breaker.state is State.OPEN
    assert not breaker.allow()


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker(threshold=2, cooldown=COOLDOWN)
    for _ in range(5):
        breaker.failure()
        breaker.success()
    assert breaker.state is State.CLOSED


def test_it_is_half_open_after_its_cooldown_and_lets_one_try() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += COOLDOWN
    assert breaker.state is State.HALF_OPEN
    assert breaker.ready
    assert breaker.allow()
    assert not breaker.ready
    assert not breaker.allow()


def test_a_success_while_half_open_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock, threshold=3)
    clock.now += COOLDOWN
    assert breaker.allow()
    breaker.success()
    assert breaker.state is State.CLOSED
    breaker.failure()
    assert breaker.state is State.CLOSED


def test_one_failure_while_half_open_reopens_it() -> None:
    clock = Clock()
    breaker = opened(clock, threshold=3)
    clock.now += COOLDOWN
    assert breaker.allow()
    breaker.failure()
    assert not breaker.ready
    clock.now += COOLDOWN
    assert breaker.state is State.HALF_OPEN


def test_a_probe_given_up_lets_another_try() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += COOLDOWN
    assert breaker.allow()
    breaker.cancel()
    assert breaker.allow()


def test_a_probe_that_never_reports_does_not_block_for_ever() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += COOLDOWN
    assert breaker.allow()
    clock.now += COOLDOWN
    assert breaker.allow()


@given(st.integers(1, 10), st.integers(0, 30))
def test_it_never_opens_before_its_threshold(threshold: int, failures: int) -> None:
    breaker = Breaker(threshold=threshold, cooldown=COOLDOWN, clock=Clock())
    for _ in range(failures):
        breaker.failure()
    assert (breaker.state is State.CLOSED) == (failures < threshold)


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens in whatever order, the promises hold."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.in_flight = 0
        self.breaker = Breaker(threshold=1, cooldown=COOLDOWN, clock=self.clock)

    @initialize(threshold=st.integers(1, 4))
    def begin(self, threshold: int) -> None:
        self.breaker = Breaker(threshold=threshold, cooldown=COOLDOWN, clock=self.clock)

    @rule(seconds=st.floats(0, 3 * COOLDOWN))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def ask(self) -> None:
        ready = self.breaker.ready
        assert self.breaker.allow() is ready
        self.in_flight += ready

    @precondition(lambda self: self.in_flight)
    @rule()
    def succeed(self) -> None:
        self.in_flight -= 1
        self.breaker.success()
        assert self.breaker.state is State.CLOSED

    @precondition(lambda self: self.in_flight)
    @rule()
    def fail(self) -> None:
        was_closed = self.breaker.state is State.CLOSED
        self.in_flight -= 1
        self.breaker.failure()
        assert was_closed or self.breaker.state is State.OPEN

    @precondition(lambda self: self.in_flight)
    @rule()
    def give_up(self) -> None:
        state = self.breaker.state
        self.in_flight -= 1
        self.breaker.cancel()
        assert self.breaker.state is state

    @invariant()
    def asking_changes_nothing(self) -> None:
        assert self.breaker.ready is self.breaker.ready
        assert self.breaker.state is self.breaker.state

    @invariant()
    def open_means_no_and_closed_means_yes(self) -> None:
        if self.breaker.state is State.OPEN:
            assert not self.breaker.ready
        if self.breaker.state is State.CLOSED:
            assert self.breaker.ready

    def teardown(self) -> None:
        """In the end it always recovers: cooled down, one success closes it."""
        self.clock.now += 2 * COOLDOWN
        assert self.breaker.allow()
        self.breaker.success()
        assert self.breaker.state is State.CLOSED


TestAnyHistory = AnyHistory.TestCase


@pytest.mark.parametrize("calls", [1, 5, 50])
def test_only_one_of_many_tries_while_half_open(calls: int) -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += COOLDOWN
    assert sum(breaker.allow() for _ in range(calls)) == 1
