from __future__ import annotations

from collections import Counter, deque

import pytest
from hypothesis import given, strategies as st

from steersman.backend.turns import Turns

tenants = st.sampled_from("abcd")


def filled(*names: str, places: int = 1000, **weights: float) -> Turns[str]:
    """Requests of these tenants, which wait under their names."""
    turns: Turns[str] = Turns(places)
    for name in names:
        assert turns.add(name, name, weights.get(name, 1.0)) is None
    return turns


def order(turns: Turns[str], count: int | None = None) -> str:
    return "".join(turns.pop() for _ in range(len(turns) if count is None else count))


def test_tenants_take_turns_however_many_requests_one_of_them_has() -> None:
    assert order(filled(*"aaaaaaabbc")) == "abcabaaaaa"


def test_a_tenant_of_twice_the_weight_has_twice_the_turns() -> None:
    served = order(filled(*"a" * 50, *"b" * 50, b=2.0), 30)
    assert Counter(served) == {"a": 10, "b": 20}


def test_a_tenant_of_little_weight_has_its_turns_too() -> None:
    assert "a" in order(filled(*"a" * 5, *"b" * 50, a=0.1), 11)


def test_whoever_comes_again_and_again_does_not_keep_out_who_waits() -> None:
    turns = filled("a", "b")
    served = []
    for _ in range(4):
        served.append(turns.pop())
        if served[-1] == "a":
            turns.add("a", "a", 1.0)
    assert "b" in served[:2]


def test_where_there_is_no_place_left_the_tenant_with_the_most_gives_up_its_last() -> None:
    turns: Turns[int] = Turns(4)
    for number in range(4):
        turns.add(number, "a", 1.0)
    assert turns.add(10, "b", 1.0) == 3
    assert turns.add(11, "b", 1.0) == 2
    assert turns.add(12, "b", 1.0) == 12
    assert turns.add(4, "a", 1.0) == 4
    assert [turns.pop() for _ in range(4)] == [0, 10, 1, 11]


def test_without_places_nobody_waits() -> None:
    assert Turns[str](0).add("x", "a", 1.0) == "x"


def test_nobody_is_next_where_nobody_waits() -> None:
    with pytest.raises(ValueError, match="empty"):
        Turns[str](1).pop()


def test_who_leaves_is_not_called() -> None:
    turns = filled("a", "b")
    turns.leave("a", "a")
    turns.leave("c", "c")
    assert len(turns) == 1
    assert turns.pop() == "b"


@given(st.lists(st.tuples(tenants, st.booleans()), max_size=60), st.integers(0, 6))
def test_nobody_is_lost_and_each_tenants_requests_stay_in_order(
    steps: list[tuple[str, bool]], places: int
) -> None:
    turns: Turns[tuple[str, int]] = Turns(places)
    waiting: dict[str, deque[int]] = {name: deque() for name in "abcd"}
    for number, (tenant, pops) in enumerate(steps):
        if pops and len(turns):
            name, first = turns.pop()
            assert waiting[name].popleft() == first
            continue
        gone = turns.add((tenant, number), tenant, 1.0)
        waiting[tenant].append(number)
        if gone is not None:
            assert waiting[gone[0]].pop() == gone[1]
        assert len(turns) == sum(map(len, waiting.values())) <= places


@given(st.lists(tenants, min_size=1, max_size=80))
def test_as_long_as_two_tenants_wait_neither_is_ahead_by_more_than_one_turn(names: list[str]) -> None:
    turns = filled(*names)
    left, served = Counter(names), Counter[str]()
    while len(turns):
        name = turns.pop()
        served[name] += 1
        left[name] -= 1
        ahead = [served[each] for each in left if left[each]]
        assert not ahead or served[name] - min(ahead) <= 1
