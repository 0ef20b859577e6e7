"""`steersman label answer`: both tiers answer the chosen queries."""

from __future__ import annotations

import argparse
import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from steersman.cli.labelling import endpoints, showing
from steersman.labelling import answering
from steersman.labelling.asking import Tally, ask_all
from steersman.labelling.budget import Budget
from steersman.labelling.endpoint import OpenAIChat
from steersman.labelling.estimate import Estimate
from steersman.labelling.folder import Folder
from steersman.labelling.model import TIERS

NAME = "answer"
HELP = "have both tiers answer the chosen queries"
_LONGEST = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the step takes."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where `label sample` has put queries")
    for tier in TIERS:
        endpoints.add_arguments(parser, tier, max_tokens=_LONGEST)
    endpoints.add_asking(parser, limited="queries")


def run(options: argparse.Namespace, errors: Console) -> None:
    """Ask for all answers that are missing, and tell the cost."""
    tally = asyncio.run(_answer(options, errors))
    if tally is not None:
        showing.check(tally)


async def _answer(options: argparse.Namespace, errors: Console) -> Tally | None:
    folder, out = Folder(options.folder), Console(soft_wrap=True)
    queries = folder.queries()
    asked = {tier: endpoints.endpoint(options, tier, os.environ) for tier in TIERS}
    showing.unpriced(errors, endpoints.unpriced(options, TIERS))
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(folder.open_answers())
        there = folder.answers()
        tiers = {tier: await stack.enter_async_context(OpenAIChat(each)) for tier, each in asked.items()}
        calls = answering.missing(queries, there, tiers, journal, limit=options.limit)
        budget = Budget(spent=sum(answer.reply.usd for answer in there), most=options.max_cost)
        if options.dry_run:
            replies = {tier: [each.reply for each in there if each.tier == tier] for tier in TIERS}
            found = [Estimate.of(tiers[tier], calls, replies[tier]) for tier in TIERS]
            showing.estimates(out, found, spent=budget.spent)
            return None
        with showing.bar(errors, "answering", calls=len(calls), budget=budget) as told:
            tally = await ask_all(calls, budget, at_once=options.at_once, progress=told)
        showing.outcome(out, tally, what=f"answers of {len(calls):,} asked for", spent=budget.spent)
        return tally
