from __future__ import annotations

from fakes.clock import FakeClock
from steersman.controller.retries import Retries


def test_what_never_failed_may_be_tried() -> None:
    assert Retries(1.0, 8.0, FakeClock()).allows("a")


def test_what_fails_again_and_again_is_tried_ever_less_often_up_to_a_bound() -> None:
    clock = FakeClock()
    retries = Retries(1.0, 8.0, clock)
    for bound in (1, 2, 4, 8, 8, 8):
        retries.failed("a")
        clock.advance(bound / 2 - 0.001)
        assert not retries.allows("a")
        assert retries.allows("b")
        clock.advance(bound / 2 + 0.001)
        assert retries.allows("a")


def test_what_succeeded_begins_anew() -> None:
    clock = FakeClock()
    retries = Retries(1.0, 8.0, clock)
    for _ in range(5):
        retries.failed("a")
    retries.succeeded("a")
    assert retries.allows("a")
    retries.failed("a")
    clock.advance(1)
    assert retries.allows("a")


def test_what_is_gone_is_forgotten() -> None:
    retries = Retries(1.0, 8.0, FakeClock())
    retries.failed("a")
    retries.failed("b")
    retries.keep({"b"})
    assert (retries.allows("a"), retries.allows("b")) == (True, False)
