"""Cost-quality curves with their interval bands, as PNG.

The colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart; lines differ in
their dashes as well. No display is needed, and the same figures give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from steersman.classifier.evaluation import measures
from steersman.classifier.evaluation.evaluating import LENGTH, ORACLE, RANDOM, Evaluation
from steersman.cli.evaluation import grids

_SIZE = (7.2, 5.0)
_DPI = 150


@dataclass(frozen=True, slots=True)
class _Line:
    colour: str
    dashes: str | tuple[int, tuple[int, ...]]
    width: float = 1.4
    band: float = 0.1
    """Opacity of the interval's band, so that two that overlap can both be seen."""

    @property
    def style(self) -> dict[str, Any]:
        """Of the line itself."""
        return {"color": self.colour, "linestyle": self.dashes, "linewidth": self.width}

    @property
    def band_style(self) -> dict[str, Any]:
        """Of its interval."""
        return {"color": self.colour, "alpha": self.band, "linewidth": 0}


_BASELINES = {
    RANDOM: _Line("#7f7f7f", "--"),
    ORACLE: _Line("#000000", ":"),
    LENGTH: _Line("#56B4E9", "-."),
}
_METHODS = (
    _Line("#D55E00", "-", 2.2, 0.18),
    _Line("#0072B2", "-", 2.2, 0.18),
    _Line("#009E73", (0, (6, 1)), 2.2, 0.18),
    _Line("#CC79A7", (0, (3, 1)), 2.2, 0.18),
    _Line("#E69F00", (0, (8, 1, 1, 1)), 2.2, 0.18),
)


def recovered(evaluation: Evaluation) -> bytes:
    """Performance gap recovered over the share of strong calls."""
    figure, axes = _figure(evaluation)
    for level in (0.5, 0.8):
        axes.axhline(level, color="#dddddd", linewidth=1, zorder=0)
    for method, line in _lines(evaluation):
        curve = evaluation.curves[method][measures.RECOVERED]
        axes.plot(measures.GRID, curve.value, label=_label(evaluation, method, measures.APGR), **line.style)
        axes.fill_between(measures.GRID, curve.low, curve.high, **line.band_style)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("queries sent to the strong model")
    axes.set_ylabel("performance gap recovered")
    return _png(figure, axes)


def quality(evaluation: Evaluation) -> bytes:
    """Mean quality over the mean cost of a query; only where costs are known."""
    figure, axes = _figure(evaluation)
    for method, line in _lines(evaluation):
        cost, curve = (evaluation.curves[method][name] for name in (measures.COST, measures.QUALITY))
        axes.plot(
            1000 * cost.value, curve.value, label=_label(evaluation, method, measures.AIQ), **line.style
        )
        axes.fill_between(1000 * cost.value, curve.low, curve.high, **line.band_style)
    axes.set_xlabel("cost of 1,000 queries, US dollars")
    axes.set_ylabel("mean quality")
    return _png(figure, axes)


def _figure(evaluation: Evaluation) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(grids.headline(evaluation), fontsize=9, loc="left", wrap=True)
    axes.grid(visible=True, color="#eeeeee")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _lines(evaluation: Evaluation) -> Iterator[tuple[str, _Line]]:
    """Methods with their looks, the classifiers last and so above the rest."""
    methods = [method for method in evaluation.curves if method not in _BASELINES]
    yield from _BASELINES.items()
    for index, method in enumerate(methods):
        yield method, _METHODS[index % len(_METHODS)]


def _label(evaluation: Evaluation, method: str, measure: str) -> str:
    return f"{method}: {measure} {grids.cell(evaluation.measures[method][measure])}"


def _png(figure: Figure, axes: Axes) -> bytes:
    axes.legend(fontsize=8, framealpha=0.85, edgecolor="none", loc="lower right")
    buffer = io.BytesIO()
    # Without the name of the software, two versions that draw alike give the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
