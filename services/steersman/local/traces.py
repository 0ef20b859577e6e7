"""The last traces, in memory, and a trace drawn as a tree."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from steersman.local.spans import Span

MAX_TRACES: Final = 1000
"""Traces that are kept; the oldest goes first."""
MAX_SPANS: Final = 1000
"""Spans of one trace that are kept; what comes later is counted and dropped."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a drawn trace.

    Attributes:
        branch: The lines that lead to it.
        span: What it shows.
        offset_ms: Milliseconds from the beginning of the trace.
    """

    branch: str
    span: Span
    offset_ms: float


class Traces:
    """Keeps spans by trace, bounded in both directions.

    Args:
        max_traces: Traces that are kept.
        max_spans: Spans of one trace that are kept.
    """

    def __init__(self, *, max_traces: int = MAX_TRACES, max_spans: int = MAX_SPANS) -> None:
        self._max_traces = max_traces
        self._max_spans = max_spans
        self._traces: OrderedDict[str, list[Span]] = OrderedDict()
        self.dropped = 0
        """Spans that found no room."""

    def add(self, spans: Iterable[Span]) -> None:
        """Keep spans, at the price of the oldest traces."""
        for span in spans:
            trace = self._traces.setdefault(span.trace_id, [])
            if len(trace) < self._max_spans:
                trace.append(span)
            else:
                self.dropped += 1
        while len(self._traces) > self._max_traces:
            self._traces.popitem(last=False)

    def ids(self) -> list[str]:
        """Ids of the kept traces, newest first."""
        return list(reversed(self._traces))

    def get(self, trace_id: str) -> Sequence[Span]:
        """The spans of one trace in the order in which they began; none when it is unknown."""
        return sorted(self._traces.get(trace_id, ()), key=_order)


def tree(spans: Sequence[Span]) -> list[Line]:
    """Draw one trace. A span whose parent is missing stands at the root, so that nothing is hidden."""
    known = {span.span_id for span in spans}
    children: defaultdict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=_order):
        children[span.parent_id if span.parent_id in known else ""].append(span)
    began = min((span.start_ns for span in spans), default=0)
    return [
        Line(branch=branch, span=span, offset_ms=(span.start_ns - began) / 1e6)
        for root in children[""]
        for branch, span in _draw(root, children, first="", rest="")
    ]


def as_text(lines: Sequence[Line]) -> str:
    """A drawn trace as text: the tree, then when each span began and how long it took."""
    labels = [f"{line.branch}{line.span.service}: {line.span.name}" for line in lines]
    width = max(map(len, labels), default=0)
    return "\n".join(
        f"{label:<{width}}  +{line.offset_ms:9.2f} ms  {line.span.milliseconds:9.2f} ms  {line.span.error}".rstrip()
        for label, line in zip(labels, lines, strict=True)
    )


def _draw(
    span: Span, children: defaultdict[str, list[Span]], *, first: str, rest: str
) -> Iterator[tuple[str, Span]]:
    yield first, span
    below = children.pop(span.span_id, [])  # taken out, so that a circle ends
    for child in below:
        last = child is below[-1]
        yield from _draw(
            child, children, first=rest + ("└─ " if last else "├─ "), rest=rest + ("   " if last else "│  ")
        )


def _order(span: Span) -> tuple[int, int]:
    """By beginning; of two that began together the longer one first."""
    return span.start_ns, -span.end_ns
