"""The demo itself: start, ask, show, stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
from rich.console import Console

from steersman.local import layout, tiers
from steersman.local.demo import show
from steersman.local.demo.answers import Outcome
from steersman.local.demo.caller import Caller, caller
from steersman.local.demo.certificates import certificates
from steersman.local.demo.queries import QUERIES, Messages, Query, Way
from steersman.local.options import Options
from steersman.local.parts import Parts
from steersman.local.plan import Plan, plan
from steersman.local.ports import Ports
from steersman.local.spans import Span
from steersman.local.system import System
from steersman.local.traces import tree

_MAX_TOKENS: Final = 32
_TRACE_SECONDS: Final = 5.0
"""How long to wait for the spans of a request; each process sends them when it likes."""
_SERVICES: Final = 4
"""Services in a complete trace: the caller, the router, Triton and a backend."""
_POLL_SECONDS: Final = 0.1


async def run(options: Options, parts: Parts, console: Console, *, folder: Path) -> None:
    """Show the system at work.

    Args:
        options: What the user chose.
        parts: Where the real parts are.
        console: Where to print.
        folder: For log files.
    """
    weights = await asyncio.to_thread(tiers.fetch_strong_model, options, parts, console)
    planned = await _plan(options, parts, weights, folder)
    began = time.monotonic()
    with console.status("Starting") as status:
        system = System(planned, on_ready=lambda name: console.print(f"[green]ready[/green] {name}"))
        async with system:
            console.print(f"All up after {time.monotonic() - began:.1f} s\n")
            status.update("Asking")
            outcomes = await _ask_all(system)
            await _show(console, system, outcomes)
            status.update("Stopping")
    console.print(f"\nEverything is stopped. {time.monotonic() - began:.0f} s in all; logs: {planned.logs}")


async def _plan(options: Options, parts: Parts, weights: Path | None, folder: Path) -> Plan:
    chosen = await tiers.choose(options, parts, strong_weights=weights)
    local = [tier for tier in chosen if tier not in options.elsewhere]
    shutil.rmtree(folder / "tls", ignore_errors=True)  # of an earlier demo
    threads = max(1, (os.cpu_count() or 1) // 2)
    return plan(
        parts, chosen, layout.decide(Ports(), tiers=local), folder=folder, threads=threads, tls=options.tls
    )


async def _ask_all(system: System) -> list[Outcome]:
    own = certificates(system.addresses)
    async with caller(system.addresses, own, otlp_url=system.plan.otlp_url, max_tokens=_MAX_TOKENS) as asking:
        return await ask_in_turn(asking, QUERIES)


async def ask_in_turn(asking: Caller, queries: Iterable[Query]) -> list[Outcome]:
    """Ask one query after another; one that goes on with a conversation brings what was said before."""
    outcomes: list[Outcome] = []
    messages: Messages = []
    for query in queries:
        if not query.goes_on:
            messages = []
        messages = [*messages, {"role": "user", "content": query.text}]
        outcome = await asking.ask(query, messages)
        messages = [*messages, {"role": "assistant", "content": outcome.answer.text}]
        outcomes.append(outcome)
    return outcomes


async def _show(console: Console, system: System, outcomes: Sequence[Outcome]) -> None:
    show.decisions(console, outcomes)
    shown, spans = await _complete_trace(system, _with_every_hop(outcomes))
    show.trace(console, shown, tree(spans))
    show.summary(console, outcomes)


def _with_every_hop(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """The queries that the classifier has scored just then, the last one first and streams over gRPC before the others.

    All queries where there are none, as on a machine so busy that the classifier was never in time.
    """
    scored = [each for each in outcomes if each.answer.cache == "MISS" and each.answer.score is not None]
    scored.reverse()
    return sorted(scored, key=lambda each: each.query.way is not Way.GRPC_STREAM) or list(outcomes)


async def _complete_trace(system: System, outcomes: Sequence[Outcome]) -> tuple[Outcome, list[Span]]:
    """The first of these requests whose trace has all services: Triton, seldom, puts its spans into one of its own."""
    for outcome in outcomes:
        spans = await _spans(system, outcome.trace_id)
        if len({span.service for span in spans}) >= _SERVICES:
            break
    return outcome, spans


async def _spans(system: System, trace_id: str) -> list[Span]:
    """The spans of one request, once those of every service have come."""
    spans: list[Span] = []
    deadline = time.monotonic() + _TRACE_SECONDS
    connector = aiohttp.TCPConnector(
        ssl=True if (own := certificates(system.addresses)) is None else own.context
    )
    async with aiohttp.ClientSession(connector=connector) as session:
        while len({span.service for span in spans}) < _SERVICES and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            async with session.get(f"{system.addresses.traces}/{trace_id}") as response:
                if response.ok:
                    spans = [Span.from_json(each) for each in (await response.json())["spans"]]
    return spans
