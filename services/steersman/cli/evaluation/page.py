"""An evaluation as one HTML page that needs nothing beside it: no script, no font, no image of another address."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from steersman.classifier.evaluation import operating
from steersman.classifier.evaluation.evaluating import Evaluation, Outcome
from steersman.cli.evaluation import grids
from steersman.cli.evaluation.document import Provenance
from steersman.cli.evaluation.grids import Grid

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 68rem; margin: 2rem auto;
       padding: 0 1rem; }
h2 { margin-top: 3rem; border-top: 1px solid #ccc; padding-top: 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-style: italic; padding: .3rem 0; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #e5e5e5; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; height: auto; }
.note { background: #fff6d6; padding: .3rem .6rem; }
code { font-size: 13px; overflow-wrap: anywhere; }
"""
_WIDTH, _HEIGHT = 220, 16
"""Of the drawing of an interval, in pixels."""


def page(
    evaluations: Sequence[Evaluation], origin: Provenance, plots: Mapping[str, Mapping[str, bytes]]
) -> bytes:
    """The page.

    Args:
        evaluations: What to show.
        origin: What it came from.
        plots: PNG images of each benchmark, by what each shows.
    """
    parts = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Steersman: evaluation</title><style>{_STYLE}</style></head><body>",
        "<h1>Evaluation</h1>",
        f"<p>Intervals are bootstrap 95 % intervals over the queries, from {origin.resamples:,} resamples.</p>",
        *(part for each in evaluations for part in _section(each, plots[each.benchmark.name])),
        *_provenance(origin),
        "</body></html>\n",
    )
    return "\n".join(parts).encode()


def _section(evaluation: Evaluation, plots: Mapping[str, bytes]) -> Iterator[str]:
    yield f"<h2>{escape(evaluation.benchmark.name)}</h2><p>{escape(grids.headline(evaluation))}</p>"
    for note in evaluation.notes:
        yield f'<p class="note">{escape(note)}</p>'
    for shown, png in plots.items():
        source = base64.b64encode(png).decode()
        yield f'<p><img alt="{escape(shown)}" src="data:image/png;base64,{source}"></p>'
    if costs := grids.costs(evaluation):
        yield f"<p>{escape(costs)}.</p>"
    for grid in (grids.measured(evaluation), *grids.operated(evaluation)):
        yield _table(grid)
    for grid, outcomes in grids.grouped(evaluation):
        yield _table(grid, drawn=_drawn(outcomes))
        yield f"<p>{grids.EXPLAINED} The drawing shows what is {operating.LOST}; its line is that of all.</p>"


def _table(grid: Grid, *, drawn: Sequence[str] = ()) -> str:
    """A table, with a drawing at the end of each row where there are any."""
    heading = "".join(f"<th>{escape(name)}</th>" for name in grid.heading) + ("<th></th>" if drawn else "")
    ends = drawn or [""] * len(grid.rows)
    rows = (
        "".join(f"<td>{escape(text)}</td>" for text in row) + (f"<td>{end}</td>" if end else "")
        for row, end in zip(grid.rows, ends, strict=True)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><caption>{escape(grid.title)}</caption><tr>{heading}</tr>{body}</table>"


def _drawn(outcomes: Sequence[Outcome]) -> list[str]:
    """What each group loses, as a dot on its interval, all on one scale."""
    estimates = [outcome.estimates[operating.LOST] for outcome in outcomes]
    ends = [end for each in estimates for end in (each.low, each.value, each.high) if not math.isnan(end)]
    low, high = min(ends), max(ends)
    scale = (_WIDTH - 8) / ((high - low) or 1)

    def at(value: float) -> str:
        return f"{4 + (value - low) * scale:.1f}"

    whole = at(estimates[0].value)
    return [
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{operating.LOST}">'
        f'<path d="M{whole} 0V{_HEIGHT}" stroke="#999"/>'
        f'<path d="M{at(each.low)} 8H{at(each.high)}" stroke="#0072B2" stroke-width="2"/>'
        f'<circle cx="{at(each.value)}" cy="8" r="4" fill="#D55E00"/></svg>'
        if not math.isnan(each.low)
        else grids.UNDEFINED
        for each in estimates
    ]


def _provenance(origin: Provenance) -> Iterator[str]:
    yield "<h2>Where the figures come from</h2><p>The same gives the same digits.</p><table>"
    for artefact in origin.artefacts:
        yield _line(
            f"classifier {artefact['name']}", f"{artefact['directory']}: artefact {artefact['digest']}"
        )
    yield _line("seed, resamples", f"{origin.seed}, {origin.resamples}")
    yield _line("versions", ", ".join(f"{name} {version}" for name, version in origin.versions.items()))
    yield "</table><details><summary>SHA-256 of the data</summary><table>"
    yield from (_line(path, digest) for path, digest in origin.files.items())
    yield "</table></details>"


def _line(name: str, value: str) -> str:
    return f"<tr><td>{escape(name)}</td><td><code>{escape(value)}</code></td></tr>"
