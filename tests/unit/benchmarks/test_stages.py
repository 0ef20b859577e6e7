from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from benchmarks import profiling, stages
from benchmarks.profiling import Frame, ProfileFailed, Stack
from benchmarks.stages import EDGE, LEDGER, RESPONSE, RPC, WATCHING, WRITES, Found, Lines, Reading

LINES: Final = Lines({"admission": 10, "cache": 20, "decide": 30})
MAIN: Final = "main (steersman/runtime/process.py:49);Runner.run (asyncio/runners.py:118)"
HANDLED: Final = f"{MAIN};_Edge.unary.<locals>.handled (steersman/runtime/interceptor.py:117)"
ASKED: Final = f"{HANDLED};RouterServicer.Route (steersman/router/servicer.py:53)"
ROUTED: Final = f"{ASKED};Routing.route (steersman/router/routing.py:134)"
DECIDING: Final = f"{ROUTED};Routing._decide (steersman/router/routing.py:%d)"


def frames(told: str) -> tuple[Frame, ...]:
    (stack,) = profiling.parse(f"{told} 1\n")
    return stack.frames


def test_stacks_are_read_as_py_spy_writes_them() -> None:
    raw = (
        "main (a/b.py:3);C.<locals>.<lambda> (x.py:14) 7\n_run_code (<frozen runpy>:88);read (libc.so.6) 2\n"
    )
    assert profiling.parse(raw) == [
        Stack((Frame("main", "a/b.py", 3), Frame("C.<locals>.<lambda>", "x.py", 14)), 7),
        Stack((Frame("_run_code", "<frozen runpy>", 88), Frame("read", "libc.so.6", 0)), 2),
    ]


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (MAIN, RPC),
        (f"{MAIN};wait (asyncio/tasks.py:427)", RPC),
        (HANDLED, EDGE),
        (ASKED, RESPONSE),
        (f"{ASKED};write_decision (steersman/router/messages.py:49)", RESPONSE),
        (f"{ASKED};RouterServicer._request (steersman/router/servicer.py:93)", "admission"),
        (f"{ROUTED};_GeneratorContextManager.__enter__ (contextlib.py:137)", "admission"),
        (f"{ROUTED};_GeneratorContextManager.__exit__ (contextlib.py:144)", LEDGER),
        (DECIDING % 10, "admission"),
        (DECIDING % 11, "cache"),
        (f"{DECIDING % 20};KeyedHash.of (steersman/router/keyed_hash.py:32)", "cache"),
        (DECIDING % 30, "decide"),
        (DECIDING % 31, RESPONSE),
        (f"{MAIN};RedisStore.write (steersman/router/adapters/redis.py:148)", WRITES),
        (f"{MAIN};watch (steersman/router/strain.py:63)", WATCHING),
    ],
)
def test_a_stack_belongs_to_the_innermost_part_that_it_is_in(stack: str, part: str) -> None:
    assert stages.part_of(frames(stack), LINES) == part


def test_the_routers_own_source_says_where_its_stages_end() -> None:
    ends = Lines.read().ends
    assert list(ends) == list(stages.STAGES)
    assert sorted(ends.values()) == list(ends.values())
    assert len(set(ends.values())) == len(stages.STAGES)


def test_time_is_shared_out_by_the_samples_of_the_thread_that_works() -> None:
    before = Reading(requests=100, stages=dict.fromkeys(stages.STAGES, 1.0), thread=2.0, process=3.0)
    after = replace(
        before,
        requests=1100,
        stages={"admission": 1.05, "cache": 1.02, "decide": 1.01},
        thread=2.4,
        process=3.5,
    )
    stacks = [
        Stack(frames(ASKED), 30),
        Stack(frames(MAIN), 10),
        Stack(frames("Thread.run (threading.py:982)"), 1000),
    ]
    found = Found.of(before, after, stacks, echo=200.0)
    assert found.samples == 40
    assert found.by_profile[RESPONSE] == pytest.approx(300.0)
    assert found.by_profile[RPC] == pytest.approx(100.0)
    assert found.by_profile["cache"] == 0.0
    assert found.other_threads == pytest.approx(100.0)
    assert found.by_histogram == pytest.approx({"admission": 50.0, "cache": 20.0, "decide": 10.0})


def test_a_profile_without_the_thread_that_works_tells_nothing() -> None:
    reading = Reading(requests=1, stages=dict.fromkeys(stages.STAGES, 0.0), thread=0.0, process=0.0)
    with pytest.raises(ProfileFailed, match="not met the router at work"):
        Found.of(reading, reading, [Stack(frames("Thread.run (threading.py:982)"), 1)], echo=200.0)
