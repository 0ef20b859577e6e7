"""`python -m benchmarks.capacity`: what 1,000, 10,000 and 100,000 requests a second need, and what holds of it.

Costs come from the recorded runs of `make bench`, or from those in a folder of one's own; what the traffic is like and
how it is run are options. It prints Markdown: docs/capacity.md has what it prints without any.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from benchmarks.capacity import measured, model, queueing
from benchmarks.capacity.measured import Costs, Point
from benchmarks.capacity.model import Need, Site, Traffic

from steersman.local.parts import CHECKOUT

RESULTS: Final = CHECKOUT / "benchmarks" / "results"
_KINDS: Final = {
    "decisions": {"answered": 0.0, "answer_tokens": 0.0},
    "answers": {"answer_tokens": 1.0},
    "streams": {},
}
_ROWS: Final[Mapping[str, Callable[[Need], str]]] = {
    "score known to the replica, to Redis": lambda each: f"{each.known:.0%}, {each.shared:.0%}",
    "router CPU a request": lambda each: f"{1e3 * each.router_cpu:.2f} ms",
    "router replicas": lambda each: f"{each.routers:,}",
    "classifications a second": lambda each: f"{each.classifications:,.0f}",
    "Triton instances": lambda each: f"{each.tritons:,}",
    "Redis: entries, commands a second": lambda each: f"{each.redis_keys:,.0f}, {each.redis_commands:,.0f}",
    "Redis: cores, MB/s, memory": lambda each: (
        f"{each.redis_cores:.2g}, {each.redis_megabytes:,.1f}, {each.redis_gigabytes:,.1f} GB"
    ),
    "demand streams, messages a second": lambda each: f"{each.demand_streams:,}, {each.demand_messages:,.0f}",
    "tokens a second: prompts, weak, strong": lambda each: ", ".join(
        f"{tokens:,.0f}" for tokens in (each.prompt_tokens, *each.answer_tokens)
    ),
    "pods: weak, strong": lambda each: f"{each.pods[0]:,}, {each.pods[1]:,}",
    "backend cores": lambda each: f"{each.backend_cores:,.1f}",
    "load reports a second": lambda each: f"{each.load_reports:,.0f}",
}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line: an option for each field of the traffic, the site and the costs."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rates", type=float, nargs="+", default=[1e3, 1e4, 1e5], help="requests a second")
    parser.add_argument("--kinds", nargs="+", choices=_KINDS, default=list(_KINDS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder with results of make bench")
    parser.add_argument("--requests", type=int, default=20_000, help="of a simulation; 0 for none")
    parser.add_argument("--seed", type=int, default=1)
    for group in (Traffic, Site, Costs):
        for each in fields(group):
            if each.name != "pod_tokens":
                parser.add_argument(
                    f"--{each.name.replace('_', '-')}", type=float, help=f"of the {group.__name__.lower()}"
                )
    parser.add_argument(
        "--pod-tokens", type=float, nargs=2, help="answer tokens a second of a weak and a strong pod"
    )
    return parser.parse_args(argv)


def main() -> None:
    """Print the tables."""
    given = parse()
    points = measured.points(given.results)
    costs = measured.Costs(**{**_as_dict(measured.costs(points)), **_given(given, Costs)})
    site = Site(**_given(given, Site))
    print(_of_costs(costs))
    for kind in given.kinds:
        traffic = Traffic(**{**_KINDS[kind], **_given(given, Traffic)})
        print(_of_needs(kind, [model.need(rate, traffic, site, costs) for rate in given.rates]))
    print(_of_check(points, site))
    if given.requests:
        print(_of_routers(costs, given.requests, given.seed))
        print(_of_pods(given.requests, given.seed))


def _as_dict(costs: Costs) -> dict[str, float]:
    return {each.name: getattr(costs, each.name) for each in fields(Costs)}


def _given(given: argparse.Namespace, group: Any) -> dict[str, Any]:
    """The fields of a group that the command line sets, as what they are by default."""
    found = {}
    for each in fields(group):
        value = getattr(given, each.name)
        if value is not None:
            found[each.name] = int(value) if each.type == "int" else value
    return found


def _of_costs(costs: Costs) -> str:
    rows = [(name.replace("_", " "), f"{1e3 * value:.3f} ms") for name, value in _as_dict(costs).items()]
    return _table("CPU time", ("of", "each"), rows)


def _of_needs(kind: str, needs: Sequence[Need]) -> str:
    rows = [(name, *map(told, needs)) for name, told in _ROWS.items()]
    return _table(f"Requests that are {kind}", ("", *(f"{each.rate:,.0f}/s" for each in needs)), rows)


def _of_check(points: Mapping[str, Point], site: Site) -> str:
    rows = []
    for title in measured.SATURATED:
        if (point := points.get(title)) is not None:
            told = site.router_cores / point.cpu["router"]
            rows.append(
                (
                    title,
                    point.commit,
                    f"{point.rate:,.0f}/s",
                    f"{told:,.0f}/s",
                    f"{told / point.rate - 1:+.0%}",
                )
            )
    return _table("One router, as measured and by the model", ("", "commit", "measured", "model", ""), rows)


def _of_routers(costs: Costs, requests: int, seed: int) -> str:
    known, unknown = costs.decision, costs.decision + costs.miss
    kinds = [(0.7, known), (0.3, unknown)]
    work = queueing.work_of(kinds, requests, seed=seed)
    rows = []
    for utilisation in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9):
        taken = sorted(1e3 * queueing.waits(utilisation / float(work.mean()), work, seed=seed))
        rows.append(
            (
                f"{utilisation:.0%}",
                *(f"{taken[int(part * len(taken))]:.1f} ms" for part in (0.5, 0.99, 0.999)),
            )
        )
    return _table("Decisions at one router: waiting and work", ("of its time", "p50", "p99", "p99.9"), rows)


def _of_pods(requests: int, seed: int) -> str:
    rows = []
    for routers in (1, 10, 100):
        pods = queueing.Pods(routers, 40)
        for choice in queueing.Choice:
            seen = [
                queueing.at_pods(pods, utilisation=part, choice=choice, requests=requests, seed=seed)
                for part in (0.7, 0.9)
            ]
            rows.append(
                (
                    f"{routers}",
                    choice.value,
                    *(told for each in seen for told in (f"{each.waited:.1%}", f"{each.p99:.2f} s")),
                )
            )
    names = ("routers", "a pod is chosen", "waited at 70 %", "p99", "waited at 90 %", "p99")
    return _table("40 pods of 16 slots, answers of 4 s: waiting for a slot", names, rows)


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"\n**{title}**\n", _line(names), _line(["---"] * len(names)), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
