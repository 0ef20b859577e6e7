"""What a status says, and when it is worth saying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from steersman.controller.model import ACCEPTED, PROGRAMMED, Condition, Held, Report, Status, TierShare, Truth
from steersman.controller.routers import View
from steersman.controller.status import Seen, in_force, status_of, worth_writing
from unit.controller.examples import CLASSIFIER, NOW, UID, held, holds, refuses, resource

SHARES = (TierShare("weak", 0.71234, 0.8), TierShare("strong", 0.28766, 0.2))
LATER = NOW + timedelta(minutes=1)


def status(
    *heard: Report,
    silent: int = 0,
    former: Status | None = None,
    shares: Sequence[TierShare] | None = SHARES,
    generation: int = 4,
) -> Status:
    seen = Seen(
        View(heard, silent), 30.0, tuple(shares) if shares is not None else None, LATER if former else NOW
    )
    return status_of(resource(generation, former), seen)


def says(status: Status, type_: str) -> tuple[str, str, str]:
    condition = status.condition(type_)
    assert condition is not None
    assert condition.generation == status.generation
    return condition.truth.value, condition.reason, condition.message


def test_a_policy_that_every_router_holds_is_programmed() -> None:
    told = status(holds("a"), holds("b"), holds("c"))
    assert says(told, PROGRAMMED) == ("True", "Programmed", "3 of 3 routers hold generation 4")
    assert says(told, ACCEPTED) == ("True", "Accepted", "generation 4 is in use, and no router refuses it")
    assert (told.generation, told.holding, told.total) == (4, 3, 3)
    assert (told.boundaries, told.classifier, told.observed_at) == ((0.7,), CLASSIFIER, NOW)


def test_a_policy_that_a_router_has_not_taken_up_yet_is_not_programmed() -> None:
    told = status(holds("a"), holds("b"), holds("c", held(3, version="v3")))
    assert says(told, PROGRAMMED) == ("False", "Pending", "2 of 3 routers hold generation 4")


def test_one_router_is_a_router() -> None:
    assert says(status(holds("a")), PROGRAMMED)[2] == "1 of 1 router holds generation 4"


def test_a_policy_that_no_router_knows_yet_is_pending() -> None:
    told = status(Report("a"), Report("b"))
    assert says(told, PROGRAMMED) == ("False", "Pending", "0 of 2 routers hold generation 4")
    assert says(told, ACCEPTED)[:2] == ("Unknown", "Pending")
    assert told.boundaries == ()


def test_of_a_router_that_is_silent_it_is_not_known_what_it_holds() -> None:
    told = status(holds("a"), holds("b"), silent=1)
    assert says(told, PROGRAMMED) == (
        "Unknown",
        "RoutersSilent",
        "2 of 3 routers hold generation 4; 1 not heard for 30 s",
    )
    assert says(told, ACCEPTED)[0] == "True"


def test_a_refusal_says_why_by_how_many_and_what_decides_meanwhile() -> None:
    told = status(holds("a"), refuses("b", older=3), refuses("c", older=3))
    assert says(told, ACCEPTED) == (
        "False",
        "Refused",
        "generation 4 is refused by 2 of 3 routers: there is no tier gold; generation 3 stays in force there",
    )
    assert says(told, PROGRAMMED) == ("False", "Refused", "1 of 3 routers hold generation 4")


def test_a_refusal_of_an_older_generation_is_over() -> None:
    told = status(replace(holds("a"), refused=refuses("a", generation=3).refused))
    assert says(told, ACCEPTED)[0] == "True"


def test_different_reasons_are_all_told_up_to_a_few_and_cut_where_they_are_endless() -> None:
    told = status(*(refuses(str(n), f"reason {n} {'x' * 10_000}") for n in range(9)))
    message = says(told, ACCEPTED)[2]
    assert "reason 0" in message
    assert "reason 2" in message
    assert len(message) < 2000


@pytest.mark.parametrize(("silent", "why"), [(2, "none of 2 has been heard for 30 s"), (0, "none is known")])
def test_with_no_router_heard_what_was_known_of_this_generation_stays(silent: int, why: str) -> None:
    before = status(holds("a"), holds("b"))
    told = status(silent=silent, former=before)
    assert says(told, PROGRAMMED) == (
        "Unknown",
        "NoRouterHeard",
        f"what the routers hold is not known: {why}",
    )
    assert says(told, ACCEPTED)[0] == "True"
    kept = replace(told, conditions=before.conditions, holding=before.holding, total=before.total)
    assert kept == before


def test_with_no_router_heard_nothing_is_said_of_a_new_generation() -> None:
    told = status(silent=2, former=status(holds("a")), generation=5)
    assert says(told, ACCEPTED)[:2] == ("Unknown", "Pending")
    assert (told.generation, told.shares, told.boundaries, told.observed_at) == (5, (), (), None)


def test_a_conditions_time_is_when_its_status_changed_not_its_words() -> None:
    first = status(holds("a"), Report("b"))
    then = status(holds("a"), holds("b"), Report("c"), former=first)
    at_last = status(holds("a"), holds("b"), holds("c"), former=then)
    times = [each.condition(PROGRAMMED) for each in (first, then, at_last)]
    assert [each.since if each else None for each in times] == [NOW, NOW, LATER]


def test_shares_are_rounded_and_unknown_ones_stay_as_they_were() -> None:
    before = status(holds("a"))
    assert before.shares == (TierShare("weak", 0.712, 0.8), TierShare("strong", 0.288, 0.2))
    assert status(holds("a"), former=before, shares=None).shares == before.shares
    assert status(holds("a"), former=before, shares=()).shares == ()
    assert status(holds("a"), former=before, shares=None, generation=5).shares == ()


def test_boundaries_in_effect_are_the_middle_of_what_routers_apply() -> None:
    routers = [holds(str(n), replace(held(), boundaries=(n / 10, 0.9))) for n in (6, 8, 7)]
    assert status(*routers).boundaries == (0.7, 0.9)


def test_where_a_generation_is_refused_the_older_ones_boundaries_are_in_effect() -> None:
    assert status(refuses("a", older=3)).boundaries == (0.7,)


def test_the_classifier_is_the_one_that_most_routers_use() -> None:
    new = replace(CLASSIFIER, version="2")
    told = status(holds("a"), replace(holds("b"), classifier=new), replace(holds("c"), classifier=new))
    assert told.classifier == new
    assert status(replace(holds("a"), classifier=None)).classifier is None


def worth(former: Status | None, wanted: Status, *, seconds: float = 0.0) -> bool:
    return worth_writing(
        former,
        wanted,
        numbers_seconds=30.0,
        refresh_seconds=600.0,
        now=NOW + timedelta(seconds=seconds),
    )


def test_a_first_status_is_worth_writing_and_the_same_again_is_not() -> None:
    told = status(holds("a"))
    assert worth(None, told)
    assert not worth(told, told, seconds=599)


def test_words_that_change_are_written_at_once() -> None:
    before = status(holds("a"))
    assert worth(before, status(holds("a"), holds("b"), former=before))
    assert worth(before, status(replace(holds("a"), classifier=None), former=before))
    assert worth(before, status(holds("a", held(5)), former=before, generation=5))


def test_numbers_that_change_are_written_now_and_then() -> None:
    before = status(holds("a"))
    after = replace(before, shares=(TierShare("weak", 0.5, 0.5), TierShare("strong", 0.5, 0.5)))
    assert not worth(before, after, seconds=29)
    assert worth(before, after, seconds=30)


def test_when_routers_were_heard_last_is_written_now_and_then() -> None:
    before = status(holds("a"))
    assert worth(before, replace(before, observed_at=LATER), seconds=600)


def test_with_no_router_heard_nothing_is_written_again_and_again() -> None:
    before = status(silent=1, former=status(holds("a")))
    assert not worth(before, status(silent=1, former=before), seconds=3600)
    never = status(silent=1)
    assert not worth(never, status(silent=1, former=never), seconds=3600)


reports = st.lists(
    st.sampled_from(["holds", "older", "refuses", "nothing"]).flatmap(
        lambda kind: st.builds(
            lambda name: {
                "holds": holds(name),
                "older": holds(name, held(3, version="v3")),
                "refuses": refuses(name),
                "nothing": Report(name),
            }[kind],
            st.uuids().map(str),
        )
    ),
    max_size=8,
)


@given(reports, st.integers(0, 3))
def test_programmed_is_true_only_when_every_router_was_heard_to_hold_it(
    heard: list[Report], silent: int
) -> None:
    told = status(*heard, silent=silent)
    holding = sum(UID in each.held and each.held[UID].generation == 4 for each in heard)
    assert (says(told, PROGRAMMED)[0] == "True") == (holding == len(heard) + silent > 0)
    assert told.holding == holding
    assert told.total == len(heard) + silent


@given(reports, st.integers(0, 3))
def test_accepted_is_false_exactly_when_some_router_refuses(heard: list[Report], silent: int) -> None:
    told = status(*heard, silent=silent)
    assert (says(told, ACCEPTED)[0] == "False") == any(each.refused for each in heard)


@given(reports, st.integers(0, 3))
def test_what_was_just_written_is_not_written_again(heard: list[Report], silent: int) -> None:
    told = status(*heard, silent=silent)
    again = status_of(resource(4, told), Seen(View(heard, silent), 30.0, SHARES, LATER))
    assert not worth(told, again, seconds=60)


def test_what_is_in_force_is_the_newest_that_any_router_has() -> None:
    heard = [holds("a", held(3)), holds("b", held(4)), Report("c")]
    found = in_force(resource(5), heard)
    assert isinstance(found, Held)
    assert found.generation == 4
    assert in_force(resource(), [Report("a")]) is None


def test_a_condition_of_another_type_is_none_of_ours() -> None:
    foreign = Condition("Mine", Truth.TRUE, "Because", "", 4, NOW)
    assert status(holds("a"), former=Status(4, (foreign,))).condition("Mine") is None
