"""Results for people, and the bars that they are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.chaos.findings import Finding
from rich.table import Table

_GOODPUT: Final = 0.9
_ROUTER_GOODPUT: Final = 0.7
_REFUSAL_MS: Final = 10.0
_CANCEL_MS: Final = 100.0


def of_faults(findings: Sequence[Finding]) -> Table:
    """One row a fault."""
    table = Table(title="Requests while something is wrong, and until it is well again")
    table.add_column("fault")
    for name in (
        "requests",
        "answered",
        "broken off",
        "failed",
        "deadline",
        "refused",
        "retried",
        "no cache",
    ):
        table.add_column(name, justify="right")
    for name in ("fallbacks", "slowest", "restart", "recovered", "breakers"):
        table.add_column(name)
    for each in findings:
        counts = (
            each.requests,
            each.answered,
            each.broken,
            each.failed,
            each.deadline,
            each.refused,
            each.retried,
            each.bypassed,
        )
        table.add_row(
            each.phase.fault,
            *map(str, counts),
            ", ".join(f"{reason} {number}" for reason, number in each.fallbacks.items()),
            f"{each.slowest:.2f} s",
            f"{each.restart:.1f} s",
            "no" if each.recovered is None else f"{each.recovered:.1f} s",
            "; ".join(f"{part} {', '.join(states)}" for part, states in each.breakers.items()),
        )
    return table


def of_leaving(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row a way of asking."""
    table = Table(title="Callers that leave: from their leaving to the end of the call at the engine")
    for name in rows[0] if rows else ():
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values()))
    return table


def of_fields(title: str, fields: Mapping[str, Any]) -> Table:
    """One row a figure."""
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in fields.items():
        table.add_row(name.replace("_", " "), f"{value:.2f}" if isinstance(value, float) else str(value))
    return table


def missed(found: Mapping[str, Any]) -> list[str]:
    """The bars that are missed."""
    failed = [
        f"{each['phase']['fault']}: {each['failed']} failed before their first byte"
        for each in found.get("faults", ())
        if each["failed"]
    ]
    if over := found.get("overload"):
        if over["goodput_of_peak"] < _GOODPUT:
            failed.append(f"overload: goodput is {over['goodput_of_peak']:.2f} of the peak")
        if over["refused_p50_ms"] > _REFUSAL_MS:
            failed.append(f"overload: a refusal takes {over['refused_p50_ms']:.1f} ms")
        if over["refused_without_retry_info"]:
            failed.append("overload: refusals without a time to come back")
    for edge, over in found.get("router_overload", {}).items():
        if over["goodput_of_peak"] < _ROUTER_GOODPUT:
            failed.append(f"overload over {edge}: goodput is {over['goodput_of_peak']:.2f} of the peak")
        if over["probes_missed"]:
            failed.append(f"overload over {edge}: {over['probes_missed']} of kubelet's probes were missed")
    failed += [
        f"leaving: {each['way']} takes {each['p99_ms']:.0f} ms"
        for each in found.get("leaving", ())
        if each["p99_ms"] > _CANCEL_MS
    ]
    if (drained := found.get("drain")) and drained["failed"]:
        failed.append(f"drain: {drained['failed']} requests failed")
    if (soaked := found.get("soak")) and soaked["failed"]:
        failed.append(f"soak: {soaked['failed']} requests failed")
    return failed
