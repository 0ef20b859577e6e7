"""`steersman label judge`: a model says which of two answers is the better one, in both orders."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from steersman.classifier.errors import DataError
from steersman.cli.labelling import endpoints, showing
from steersman.labelling import answering, judging, labels
from steersman.labelling.answering import Pair
from steersman.labelling.asking import Tally, ask_all
from steersman.labelling.budget import Budget
from steersman.labelling.endpoint import OpenAIChat
from steersman.labelling.estimate import Estimate
from steersman.labelling.folder import Folder
from steersman.labelling.judging import Judged

NAME = "judge"
HELP = "have a model compare both answers, in both orders"
_LONGEST = 512
_MOST_NAMED = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the step takes."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where `label answer` has put answers")
    endpoints.add_arguments(parser, "judge", max_tokens=_LONGEST)
    endpoints.add_asking(parser, limited="queries")


def run(options: argparse.Namespace, errors: Console) -> None:
    """Ask for all verdicts that are missing, write the labels, and tell the cost and the judge's bias."""
    tally = asyncio.run(_judge(options, errors))
    if tally is not None:
        showing.check(tally)


async def _judge(options: argparse.Namespace, errors: Console) -> Tally | None:
    folder, out = Folder(options.folder), Console(soft_wrap=True)
    answered = answering.pairs(folder.queries(), folder.answers())
    if not answered:
        raise DataError(f"{folder.path} has no query that both tiers have answered")
    checked = folder.checks()
    open_ = [pair for pair in answered if pair.query.id not in checked and not judging.alike(pair)]
    asked = endpoints.endpoint(options, "judge", os.environ)
    showing.unpriced(errors, endpoints.unpriced(options, ["judge"]))
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(folder.open_verdicts())
        there = folder.verdicts()
        judge = await stack.enter_async_context(OpenAIChat(asked))
        calls = judging.missing(open_, there, judge, journal, limit=options.limit)
        budget = Budget(spent=sum(verdict.reply.usd for verdict in there), most=options.max_cost)
        if options.dry_run:
            found = Estimate.of(judge, calls, [verdict.reply for verdict in there])
            showing.estimates(out, [found], spent=budget.spent)
            return None
        with showing.bar(errors, "judging", calls=len(calls), budget=budget) as told:
            tally = await ask_all(calls, budget, at_once=options.at_once, progress=told)
        showing.outcome(out, tally, what=f"verdicts of {len(calls):,} asked for", spent=budget.spent)
        _label(folder, answered, out)
    return tally


def _label(folder: Folder, answered: Sequence[Pair], out: Console) -> None:
    came = judging.judged(folder.verdicts())
    made = labels.of_pairs(answered, winners=came.winners, scores=folder.checks())
    folder.write_labels(labels=labels.rows(made), battles=labels.battles(made))
    _show(folder, out, came)
    showing.written(out, folder, made)


def _show(folder: Folder, out: Console, came: Judged) -> None:
    judged = len(came.winners)
    if judged:
        out.print(
            f"{judged:,} queries judged in both orders: the same said twice of {came.agreed / judged:.0%}; "
            f"the first place favoured in {came.first_favoured / judged:.0%}, "
            f"the second in {came.second_favoured / judged:.0%}, "
            f"a tie in one order alone in {came.wavered / judged:.0%}",
            highlight=False,
            markup=False,
        )
    if came.unreadable:
        named = list(dict.fromkeys(came.unreadable))
        more = ", ..." if len(named) > _MOST_NAMED else ""
        out.print(
            f"beware: {len(came.unreadable):,} verdicts cannot be read, their last line being none of [[1]], [[2]] and "
            f"[[TIE]]: of the queries {', '.join(named[:_MOST_NAMED])}{more} in {folder.path / 'verdicts.jsonl'}",
            highlight=False,
            markup=False,
        )
