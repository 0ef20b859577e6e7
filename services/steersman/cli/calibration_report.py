"""What `steersman calibrate` prints: the result on standard output, what to beware of on standard error."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from steersman.calibration.drift import Halves
from steersman.calibration.recovery import Recovery
from steersman.calibration.shares import Calibration, rows_to_halve
from steersman.classifier.evaluation.bootstrap import Estimate
from steersman.router.model import OutOfDomain

_WIDE: Final = 0.05
"""Half of an interval that is too long to plan with."""
_FEW: Final = 30
"""Rows below which resamples are too much alike to tell anything: those of one row are all the same."""
_NEAR: Final = 0.005
"""A share that is missed by less is not worth a word."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tells of one calibration.

    Args:
        output: Takes the result.
        errors: Takes warnings.
        rows: Rows of the sample.
        digest: The artefact's.
    """

    output: Console
    errors: Console
    rows: int
    digest: str

    def source(self, left_out: int, *, labelled: bool) -> None:
        """What the sample is."""
        why = "without scores of both models" if labelled else "without a score"
        note = f", {left_out:,} {why} left out" if left_out else ""
        self._say(f"{self.rows:,} rows{note}, artefact {self.digest[:12] or 'unknown'}")

    def out_of_domain(self, rows: int, rule: OutOfDomain | None) -> None:
        """What is decided by another rule than the score."""
        if rows and rule is not None:
            self._say(f"{rows:,} of them out of domain (novelty from {rule.novelty:g} on): {rule.rule.value}")

    def shares(self, found: Calibration, tiers: Sequence[str]) -> None:
        """What boundaries for shares come to."""
        self.output.print(_shares(found, tiers))
        self._boundaries(found.boundaries, tiers)
        self._beware_of_width(max(share.long_run.half_width for share in found.shares))
        for share, tier, tie in zip(found.shares[1:], tiers[1:], found.ties, strict=True):
            if abs(share.found - share.wanted) > max(_NEAR, 1 / self.rows) and tie > _NEAR:
                self._warn(
                    f"{tier} gets {share.found:.1%} and not {share.wanted:.1%}: {tie:.1%} of the rows have one score "
                    "there and cannot be told apart"
                )

    def recovery(self, found: Recovery, tiers: Sequence[str], wanted: float) -> None:
        """What a boundary for quality comes to."""
        self.output.print(_recovery(found, wanted))
        self._boundaries((found.boundary,), tiers)
        self._beware_of_width(found.recovered.half_width)

    def drift(self, halves: Halves, cheapest: str) -> None:
        """Whether the traffic was the same all along."""
        if halves.apart:
            self._warn(
                f"the traffic drifts: beyond {cheapest} go {halves.earlier:.1%} of its earlier half and "
                f"{halves.later:.1%} of its later one; calibrate on the newest part"
            )

    def edited(self, path: Path, before: str, after: str, *, written: bool) -> None:
        """What changes in the policy file."""
        if before == after:
            self._say(f"{path} has these boundaries already")
            return
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), str(path), str(path), n=1, lineterm=""
        )
        for line in lines:
            self._say(line)
        self._say(f"wrote {path}" if written else f"{path} is as it was; --write changes it")

    def _boundaries(self, boundaries: Sequence[float], tiers: Sequence[str]) -> None:
        for (lower, upper), boundary in zip(pairwise(tiers), boundaries, strict=True):
            self._say(f"boundary from {lower} to {upper}: {boundary!r}")
        self._say(f"{rows_to_halve(self.rows):,} more rows would halve the intervals")

    def _beware_of_width(self, half_width: float) -> None:
        if self.rows < _FEW:
            self._warn(f"{self.rows:,} rows are too few: the intervals themselves mean little")
        elif not half_width < _WIDE:  # NaN is not
            self._warn(f"{self.rows:,} rows are few for this: further traffic may be off by {half_width:.0%}")

    def _say(self, text: str) -> None:
        self.output.print(text, markup=False, highlight=False)

    def _warn(self, text: str) -> None:
        self.errors.print(f"beware: {text}", style="yellow", markup=False, highlight=False)


def _shares(found: Calibration, tiers: Sequence[str]) -> Table:
    table = Table("tier")
    for column in ("wanted", "in the sample", "in the long run", f"of the next {found.rows:,}"):
        table.add_column(column, justify="right")
    for tier, share in zip(tiers, found.shares, strict=True):
        ranges = (_range(share.long_run), _range(share.next_queries))
        table.add_row(tier, f"{share.wanted:.1%}", f"{share.found:.1%}", *ranges)
    return table


def _recovery(found: Recovery, wanted: float) -> Table:
    table = Table("")
    for column in ("wanted", "in the sample", "in the long run"):
        table.add_column(column, justify="right")
    recovered, share = found.recovered, found.strong_share
    table.add_row("quality gap recovered", f"{wanted:.1%}", f"{recovered.value:.1%}", _range(recovered))
    table.add_row("strong share", "", f"{share.value:.1%}", _range(share))
    return table


def _range(interval: Estimate) -> str:
    return f"{interval.low:.1%} to {interval.high:.1%}"
