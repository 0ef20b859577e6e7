from __future__ import annotations

from hypothesis import given, strategies as st

from fakes.clock import FakeClock
from steersman.router.retry import RetryBudget


def spent(budget: RetryBudget, tries: int = 1000) -> int:
    """How many of so many retries are allowed."""
    return sum(budget.spend() for _ in range(tries))


def test_a_few_retries_are_free_when_there_is_little_traffic() -> None:
    clock = FakeClock()
    budget = RetryBudget(per_second=3.0, clock=clock)
    assert spent(budget) == 3
    clock.advance(2.0)
    assert spent(budget) == 6


def test_requests_earn_retries() -> None:
    budget = RetryBudget(ratio=0.25, per_second=0.0, clock=FakeClock())
    for _ in range(40):
        budget.earn()
    assert spent(budget) == 10


def test_a_retry_that_is_not_earned_is_not_made() -> None:
    budget = RetryBudget(ratio=0.0, per_second=0.0, clock=FakeClock())
    budget.earn()
    assert not budget.spend()


def test_savings_are_bounded() -> None:
    clock = FakeClock()
    budget = RetryBudget(ratio=1.0, per_second=1.0, cap=5.0, clock=clock)
    for _ in range(1000):
        budget.earn()
    clock.advance(1000.0)
    assert spent(budget) == 5


@given(
    st.lists(st.one_of(st.just("request"), st.just("retry"), st.floats(min_value=0.0, max_value=5.0))),
    st.floats(min_value=0.0, max_value=1.0),
    st.floats(min_value=0.0, max_value=5.0),
)
def test_retries_never_exceed_what_requests_and_time_have_earned(
    events: list[str | float], ratio: float, per_second: float
) -> None:
    clock = FakeClock()
    budget = RetryBudget(ratio=ratio, per_second=per_second, clock=clock)
    earned, made = per_second, 0
    for event in events:
        if event == "request":
            budget.earn()
            earned += ratio
        elif event == "retry":
            made += budget.spend()
        else:
            assert isinstance(event, float)
            clock.advance(event)
            earned += event * per_second
        assert made <= earned + 1e-6
