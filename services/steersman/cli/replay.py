"""`steersman replay`: what another policy, boundary or price would have done to the decisions of a log."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from steersman.calibration import decisions, policy_edit, qualities, resource_file
from steersman.calibration.replay import Labels, WhatIf, replay
from steersman.classifier.errors import DataError
from steersman.cli import numbers, options as common, replay_report
from steersman.router.model import Catalogue, Policy, Price

NAME = "replay"
HELP = "what another policy, boundary or price would have done to a decision log"
DESCRIPTION = (
    "Play recorded decisions back under the policy and the prices of a policy file: shares of the tiers, cost, and "
    "quality where it is known, each beside what happened."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--log",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="the router's decision log; may be .gz",
    )
    parser.add_argument(
        "--policy-file", type=Path, required=True, metavar="FILE", help="tiers with prices, and policies"
    )
    parser.add_argument(
        "--policy", metavar="NAME", help="policy to try (default: the policy file's default policy)"
    )
    parser.add_argument(
        "--boundaries", type=_boundaries, metavar="B[,B...]", help="try these in place of the policy's own"
    )
    parser.add_argument(
        "--price",
        type=_price,
        action="append",
        default=[],
        metavar="TIER=IN:OUT",
        help="try these US dollars for a million tokens of requests and answers",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="JSON lines with a decision's 'id' and its 'quality'; may be .gz",
    )
    common.add_log_filters(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    common.add_bootstrap(parser)


def run(options: argparse.Namespace, errors: Console) -> None:
    """Replay, and print a comparison on standard output."""
    path = options.policy_file
    text = policy_edit.read(path)
    if resource_file.holds_resources(text):
        raise DataError(f"{path} holds resources, which have no prices; replaying needs a policy file")
    catalogue = policy_edit.parse(text, path)
    what_if = _what_if(options, catalogue, policy_edit.policy_of(catalogue, options.policy, path))
    of_policy = decisions.of_policy(decisions.read(options.log), options.traffic)
    rows = decisions.of_classifier(of_policy, options.classifier)
    labels: Labels = qualities.read(options.labels, rows) if options.labels else {}
    with errors.status("replaying"):
        found = replay(rows, what_if, labels, common.resampling(options))
    if options.json is not None:
        common.write_json(options.json, _described(options, what_if, dataclasses.asdict(found)))
    replay_report.show(Console(soft_wrap=True), found, what_if, labels=options.labels is not None)


def _what_if(options: argparse.Namespace, catalogue: Catalogue, policy: Policy) -> WhatIf:
    boundaries = options.boundaries if options.boundaries is not None else policy.boundaries
    if len(boundaries) != len(policy.tiers) - 1:
        raise DataError(
            f"policy {policy.name} has {len(policy.tiers)} tiers, which need {len(policy.tiers) - 1} boundaries"
        )
    prices = {name: tier.price for name, tier in catalogue.tiers.items()}
    tried = {**prices, **_tried(options.price, prices)}
    return WhatIf(policy.tiers, boundaries, tried, policy.out_of_domain)


def _tried(given: Sequence[tuple[str, Price]], known: Mapping[str, Price]) -> dict[str, Price]:
    if unknown := [tier for tier, _ in given if tier not in known]:
        raise DataError(f"--price names no tier {unknown[0]}; there are {', '.join(known)}")
    return dict(given)


def _described(options: argparse.Namespace, what_if: WhatIf, found: Mapping[str, Any]) -> dict[str, Any]:
    rule = what_if.out_of_domain
    told = rule and {"novelty": rule.novelty, "rule": rule.rule.value}
    return {
        "what_if": {**dataclasses.asdict(what_if), "out_of_domain": told},
        "seed": options.seed,
        "resamples": options.resamples,
        **found,
    }


def _boundaries(text: str) -> tuple[float, ...]:
    boundaries = tuple(numbers.part(part) for part in text.split(","))
    if list(boundaries) != sorted(boundaries):
        raise argparse.ArgumentTypeError("must ascend")
    return boundaries


def _price(text: str) -> tuple[str, Price]:
    tier, _, prices = text.partition("=")
    request, _, answer = prices.partition(":")
    try:
        price = Price(float(request), float(answer))
    except ValueError:
        raise argparse.ArgumentTypeError("must be a tier and two amounts, as strong=1.25:10") from None
    if not (0 <= price.input_usd < float("inf") and 0 <= price.output_usd < float("inf")):
        raise argparse.ArgumentTypeError("amounts must be finite and at least 0")
    return tier, price
