"""`steersman calibrate`: the boundaries of a policy, from the user's own traffic and a share or a quality to reach."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from steersman.calibration import decisions, drift, out_of_domain, policy_edit, prompts, recovery, shares
from steersman.calibration.out_of_domain import Places
from steersman.calibration.prompts import Models
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.bootstrap import Floats
from steersman.cli import contenders, numbers, options as common
from steersman.cli.calibration_report import Report
from steersman.router.model import OutOfDomain, Policy

NAME = "calibrate"
HELP = "choose a policy's boundaries on your own traffic"
DESCRIPTION = (
    "Choose boundaries that send a wanted share of traffic to each tier, or that recover a wanted part of the quality "
    "gap, and say how near they will come. Traffic is prompts, or the router's decision log. Nothing is written unless "
    "--write is given."
)
_TIERS = ("weak", "strong")
"""Assumed where no policy file names them."""


@dataclass(frozen=True, slots=True)
class _Traffic:
    """A sample, as the router decides it."""

    places: Places
    weights: Floats
    artefact_digest: str
    gains: Floats
    left_out: int
    by_time: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    traffic = parser.add_mutually_exclusive_group(required=True)
    traffic.add_argument(
        "--prompts",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="JSON lines with 'prompt' or 'messages'; may be .gz",
    )
    traffic.add_argument(
        "--log", type=Path, nargs="+", metavar="FILE", help="the router's decision log; may be .gz"
    )
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument(
        "--share",
        type=_tier_share,
        action="append",
        metavar="TIER=SHARE",
        help="as strong=0.3; one tier may be left out",
    )
    goal.add_argument(
        "--recover", type=_part, metavar="PART", help="part of the quality gap to recover, as 0.8"
    )
    parser.add_argument(
        "--strong", metavar="MODEL", help="with --recover: the strong model's name in 'scores'"
    )
    parser.add_argument("--weak", metavar="MODEL", help="with --recover: the weak model's name in 'scores'")
    common.add_log_filters(parser)
    parser.add_argument(
        "--artefact",
        type=Path,
        default=contenders.DEFAULT,
        metavar="DIR",
        help="what scores prompts; as `steersman train` wrote it (default: %(default)s)",
    )
    parser.add_argument(
        "--policy-file",
        type=Path,
        metavar="FILE",
        help="show what changes in this policy file, or in this file of RoutingPolicy resources",
    )
    parser.add_argument(
        "--policy", metavar="NAME", help="policy in it (default: its default policy, or its only resource)"
    )
    parser.add_argument("--write", action="store_true", help="change the file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    common.add_bootstrap(parser)


def run(options: argparse.Namespace, errors: Console) -> None:
    """Calibrate, and print what comes of it on standard output."""
    if options.write and options.policy_file is None:
        raise DataError("--write needs --policy-file")
    policy = _policy(options)
    tiers = policy.tiers if policy else _TIERS
    _check(options, tiers)
    rule = policy.out_of_domain if policy else OutOfDomain()
    traffic = _from_log(options, rule, tiers) if options.log else _from_prompts(options, rule, errors)
    rows = len(traffic.places.values)
    report = Report(Console(soft_wrap=True), errors, rows=rows, digest=traffic.artefact_digest)
    report.source(traffic.left_out, labelled=options.recover is not None)
    report.out_of_domain(traffic.places.out_of_domain, rule)
    found = _calibrate(options, traffic, tiers, errors)
    if isinstance(found, shares.Calibration):
        boundaries = found.boundaries
        report.shares(found, tiers)
    else:
        boundaries = (found.boundary,)
        report.recovery(found, tiers, options.recover)
    if traffic.by_time:
        report.drift(drift.halves(traffic.places.values, boundaries[0]), tiers[0])
    if options.json is not None:
        common.write_json(options.json, _described(options, traffic, found))
    if policy is not None:
        _edit(options, policy.name, boundaries, report)


def _calibrate(
    options: argparse.Namespace, traffic: _Traffic, tiers: Sequence[str], errors: Console
) -> shares.Calibration | recovery.Recovery:
    resampling, places = common.resampling(options), traffic.places.values
    with errors.status("resampling"):
        if options.recover is None:
            return shares.calibrate(places, traffic.weights, _wanted(options.share, tiers), resampling)
        return recovery.calibrate(places, traffic.gains, options.recover, resampling)


def _policy(options: argparse.Namespace) -> Policy | None:
    if options.policy_file is None:
        return None
    path = options.policy_file
    catalogue = policy_edit.parse_either(policy_edit.read(path), path)
    policy = policy_edit.policy_of(catalogue, options.policy, path)
    if not policy.boundaries:
        raise DataError(f"{path}: policy {policy.name} has one tier, and no boundary to choose")
    return policy


def _wanted(given: Sequence[tuple[str, float]], tiers: Sequence[str]) -> tuple[float, ...]:
    """The share of each tier; one that is not given takes what the others leave."""
    named = dict(given)
    if unknown := [tier for tier in named if tier not in tiers]:
        raise DataError(f"--share names no tier {unknown[0]}; there are {', '.join(tiers)}")
    open_tiers = [tier for tier in tiers if tier not in named]
    left = 1.0 - sum(named.values())
    if len(open_tiers) > 1 or len(named) < len(given):
        raise DataError(f"--share must name all tiers but one, each once: {', '.join(tiers)}")
    if left < -1e-9 or (not open_tiers and left > 1e-9):  # noqa: PLR2004 - rounding
        raise DataError(f"the shares add up to {1.0 - left:g}; together they are 1")
    return tuple(named.get(tier, max(left, 0.0)) for tier in tiers)


def _check(options: argparse.Namespace, tiers: Sequence[str]) -> None:
    """Say what is missing before anything is read that takes time."""
    if options.recover is None:
        _wanted(options.share, tiers)
        return
    if options.log:
        raise DataError("--recover needs --prompts with the 'scores' of both models: a log knows no quality")
    if not (options.strong and options.weak):
        raise DataError("--recover needs --strong and --weak, the models' names in 'scores'")
    if len(tiers) != len(_TIERS):
        raise DataError(f"--recover is for two tiers; the policy has {len(tiers)}")


def _from_log(options: argparse.Namespace, rule: OutOfDomain | None, tiers: Sequence[str]) -> _Traffic:
    of_policy = decisions.of_policy(decisions.read(options.log), options.traffic or options.policy)
    rows = decisions.of_classifier(of_policy, options.classifier)
    scored = sorted((each for each in rows if each.scored), key=lambda each: each.id)  # ids sort by time
    return _Traffic(
        places=out_of_domain.of_decisions(scored, rule, tiers),
        weights=np.array([each.weight for each in scored]),
        artefact_digest=scored[0].artefact_digest,
        gains=np.empty(0),
        left_out=len(of_policy) - len(scored),
        by_time=True,
    )


def _from_prompts(options: argparse.Namespace, rule: OutOfDomain | None, errors: Console) -> _Traffic:
    models = Models(options.strong, options.weak) if options.recover is not None else None
    read = prompts.read(options.prompts, models)
    classifier = contenders.load(options.artefact)
    with errors.status("scoring") as status:
        scores = classifier.assess(read.texts, status.update)
    places, ones = out_of_domain.of_texts(read.texts, scores, rule), np.ones(len(read.texts))
    return _Traffic(places, ones, classifier.digest, read.gains, read.left_out, by_time=False)


def _edit(options: argparse.Namespace, policy: str, boundaries: Sequence[float], report: Report) -> None:
    before = policy_edit.read(options.policy_file)
    after = policy_edit.with_boundaries(before, options.policy_file, policy=policy, boundaries=boundaries)
    if options.write and after != before:
        policy_edit.replace(options.policy_file, after)
    report.edited(options.policy_file, before, after, written=options.write)


def _described(
    options: argparse.Namespace, traffic: _Traffic, found: shares.Calibration | recovery.Recovery
) -> dict[str, Any]:
    return {
        "artefact_digest": traffic.artefact_digest,
        "left_out": traffic.left_out,
        "out_of_domain": traffic.places.out_of_domain,
        "seed": options.seed,
        "resamples": options.resamples,
        "rows_to_halve": shares.rows_to_halve(found.rows),
        **dataclasses.asdict(found),
    }


def _tier_share(text: str) -> tuple[str, float]:
    tier, _, share = text.partition("=")
    try:
        return tier, numbers.part(share)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a tier and its share, as strong=0.3") from None


def _part(text: str) -> float:
    number = numbers.part(text)
    if not number:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number
