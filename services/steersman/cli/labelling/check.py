"""`steersman label check`: answers held against a reference in a column of the queries."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from steersman.classifier.errors import DataError
from steersman.cli.labelling import showing
from steersman.labelling import answering, checking, judging, labels
from steersman.labelling.checking import Checked
from steersman.labelling.folder import Folder
from steersman.labelling.model import TIERS

NAME = "check"
HELP = "hold both answers against a reference (golden labels)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the step takes."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where `label answer` has put answers")
    parser.add_argument(
        "--by",
        choices=tuple(checking.KINDS),
        required=True,
        help="the whole text, a text that the answer contains, the letter of a choice, or the final number",
    )
    parser.add_argument(
        "--reference", required=True, metavar="COLUMN", help="column of the queries with the right answer"
    )


def run(options: argparse.Namespace, errors: Console) -> None:
    """Check, and write the labels."""
    del errors
    folder, out = Folder(options.folder), Console(soft_wrap=True)
    answered = answering.pairs(folder.queries(), folder.answers())
    found = checking.checked(answered, by=options.by, reference=options.reference)
    if not found.scores:
        raise DataError(f"no query of {folder.path} has both answers and a column '{options.reference}'")
    folder.write_checks(found.scores)
    winners = judging.judged(folder.verdicts()).winners
    made = labels.of_pairs(answered, winners=winners, scores=found.scores)
    folder.write_labels(labels=labels.rows(made), battles=labels.battles(made))
    _show(out, found)
    showing.written(out, folder, made)


def _show(out: Console, found: Checked) -> None:
    count = len(found.scores)
    right = {tier: sum(each[tier] for each in found.scores.values()) for tier in TIERS}
    told = ", ".join(f"{tier} {right[tier] / count:.1%} right" for tier in TIERS)
    out.print(f"{count:,} queries checked: {told}", highlight=False, markup=False)
    if found.without_reference:
        out.print(f"{found.without_reference:,} without a reference left out", highlight=False, markup=False)
    for tier, silent in found.silent.items():
        if silent:
            out.print(
                f"beware: {silent:,} answers of {tier} name no answer to compare",
                highlight=False,
                markup=False,
            )
