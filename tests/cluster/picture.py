"""Replicas over time as a picture (SVG): one band a workload, what happened as vertical lines through all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_WIDTH: Final = 900.0
_LEFT: Final = 150.0
_RIGHT: Final = 20.0
_TOP: Final = 20.0
_BAND: Final = 90.0
_GAP: Final = 24.0


@dataclass(frozen=True, slots=True)
class Step:
    """Replicas of one workload from a moment on.

    Attributes:
        at: Seconds since the beginning.
        wanted: Replicas that it is to have.
        ready: Replicas that it has.
    """

    at: float
    wanted: int
    ready: int


def drawn(bands: Mapping[str, Sequence[Step]], marks: Sequence[tuple[float, str]]) -> str:
    """Draw what was wanted as a line and what was ready as an area."""
    moments = [step.at for steps in bands.values() for step in steps] + [at for at, _ in marks]
    scale = (_WIDTH - _LEFT - _RIGHT) / max(*moments, 1.0)
    unit = (_BAND - _GAP) / max(1, *(step.wanted for steps in bands.values() for step in steps))
    height = 2 * _TOP + _BAND * len(bands)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH:.0f}" height="{height:.0f}" '
            'font-family="sans-serif" font-size="12">'
        ),
        f'<rect width="{_WIDTH:.0f}" height="{height:.0f}" fill="white"/>',
    ]
    for number, workload in enumerate(sorted(bands)):
        base = _TOP + _BAND * (number + 1) - _GAP / 2
        lines += _band(workload, bands[workload], _COLOURS[number % len(_COLOURS)], _Place(base, scale, unit))
    for at, what in marks:
        lines += _mark(_LEFT + at * scale, f"{what} ({at:.0f} s)", height)
    return "\n".join([*lines, "</svg>\n"])


@dataclass(frozen=True, slots=True)
class _Place:
    base: float
    scale: float
    unit: float

    def stairs(self, values: Sequence[tuple[float, int]]) -> str:
        """Corners of a staircase: a value holds until the next one."""
        return " ".join(f"{x:.1f},{self.base - value * self.unit:.1f}" for x, value in self._corners(values))

    def _corners(self, values: Sequence[tuple[float, int]]) -> Iterator[tuple[float, int]]:
        before: int | None = None
        for at, value in values:
            x = _LEFT + at * self.scale
            if before is not None:
                yield x, before
            yield x, value
            before = value
        yield _WIDTH - _RIGHT, before or 0


def _band(workload: str, steps: Sequence[Step], colour: str, place: _Place) -> list[str]:
    left, right, base = _LEFT + steps[0].at * place.scale, _WIDTH - _RIGHT, place.base
    ready = place.stairs([(step.at, step.ready) for step in steps])
    wanted = place.stairs([(step.at, step.wanted) for step in steps])
    most = max(step.wanted for step in steps)
    return [
        f'<text x="8" y="{base - 8:.1f}">{workload}, up to {most}</text>',
        f'<polygon points="{left:.1f},{base:.1f} {ready} {right:.1f},{base:.1f}" fill="{colour}" opacity="0.25"/>',
        f'<polyline points="{wanted}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
        f'<line x1="{_LEFT}" y1="{base:.1f}" x2="{right:.1f}" y2="{base:.1f}" stroke="#999"/>',
    ]


def _mark(x: float, text: str, height: float) -> list[str]:
    return [
        (
            f'<line x1="{x:.1f}" y1="{_TOP:.0f}" x2="{x:.1f}" y2="{height - _TOP:.0f}" stroke="#666" '
            'stroke-dasharray="3 3"/>'
        ),
        f'<text x="{x + 3:.1f}" y="14" fill="#666">{text}</text>',
    ]
