"""What the router wrote into its decision log, read back; see `steersman.router.decision_log`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from steersman.classifier import json_lines
from steersman.classifier.errors import DataError
from steersman.classifier.json_lines import Line
from steersman.router.decision_log import FEEDBACK_SCHEMA, SCHEMA

_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Logged:
    """One decision."""

    id: str
    policy: str
    wanted_tier: str
    tier: str
    wanted_for: str
    """Why that tier was wanted; empty where another has answered and a line of an earlier version does not say."""
    own_boundaries: bool
    """Whether the caller brought a threshold of its own."""
    boundaries: tuple[float, ...]
    """Those that decided."""
    score: float
    """NaN where there is none."""
    novelty: float
    """NaN where there is no score."""
    out_of_domain: str
    """The policy's rule for queries out of domain, where it decided in place of the score; else empty."""
    artefact_digest: str
    """Of the classifier; empty where it was not asked, or is not known."""
    prompt_tokens: int
    completion_tokens: int
    usd: float
    weight: float
    """Decisions of the traffic that it stands for."""

    @property
    def scored(self) -> bool:
        """Whether there is a score."""
        return not math.isnan(self.score)

    @property
    def answered(self) -> bool:
        """Whether an engine has counted tokens for it."""
        return self.prompt_tokens + self.completion_tokens > 0


def read(paths: Iterable[Path]) -> list[Logged]:
    """All decisions of some files. The router's other log lines may stand among them, and are passed over.

    Raises:
        DataError: A file or a line cannot be read, or there is no decision.
    """
    paths = tuple(paths)
    found = list(_decisions(paths))
    if not found:
        raise DataError(f"{', '.join(map(str, paths))}: no decision in it")
    return found


def of_policy(decisions: Sequence[Logged], policy: str | None) -> list[Logged]:
    """The decisions of one policy: of that name, or of the only one that there is.

    Raises:
        DataError: There is none of that name, or none was named and there are several.
    """
    counts = Counter(each.policy for each in decisions if each.policy)
    if policy is None and len(counts) == 1:
        policy = next(iter(counts))
    if policy is None:
        raise DataError(f"the log holds decisions of {_listed(counts)}; say which with --traffic")
    if policy not in counts:
        raise DataError(f"the log holds no decision of policy {policy}; it has {_listed(counts)}")
    return [each for each in decisions if each.policy == policy]


def of_classifier(decisions: Sequence[Logged], digest: str | None) -> list[Logged]:
    """The decisions without those that another artefact scored: scores of two are no one distribution.

    Args:
        decisions: Scored and other ones; those without a score stay.
        digest: The beginning of the artefact's digest; None when there is but one.

    Raises:
        DataError: No score is of that artefact, or none was named and there are several.
    """
    counts = Counter(each.artefact_digest for each in decisions if each.scored)
    if not counts:
        raise DataError("no decision of the log has a score")
    if digest is None and len(counts) > 1:
        raise DataError(
            f"the scores are of several artefacts: {_listed(counts)}; say which with --classifier"
        )
    matching = {each for each in counts if digest is None or each.startswith(digest)}
    if not matching:
        raise DataError(f"no score is of an artefact {digest}; the log has {_listed(counts)}")
    if len(matching) > 1:
        raise DataError(f"{digest} is the beginning of several digests: {_listed(counts)}")
    return [each for each in decisions if not each.scored or each.artefact_digest in matching]


def _decisions(paths: Iterable[Path]) -> Iterator[Logged]:
    for line in json_lines.stream(paths):
        schema = line.row.get("schema")
        if schema == FEEDBACK_SCHEMA or (schema is None and {"level", "logger"} <= line.row.keys()):
            continue
        if schema != SCHEMA:
            raise line.wrong(f"no decision: its schema is not {SCHEMA}")
        yield _decision(line)


def _decision(line: Line) -> Logged:
    classifier = line.row.get("classifier") or {}
    if not isinstance(classifier, dict):
        raise line.wrong("'classifier' is no object")
    return Logged(
        id=line.text("id"),
        policy=line.text("policy"),
        wanted_tier=line.text("wanted_tier"),
        tier=line.text("tier"),
        wanted_for=_wanted_for(line),
        own_boundaries=line.text("boundaries_from") == "caller",
        boundaries=_boundaries(line),
        score=_percentile(line, "score"),
        novelty=_percentile(line, "novelty"),
        out_of_domain=str(line.row.get("out_of_domain") or ""),  # lines of earlier versions have none
        artefact_digest=str(classifier.get("artefact_digest") or ""),
        prompt_tokens=int(line.number_of("prompt_tokens", least=0)),
        completion_tokens=int(line.number_of("completion_tokens", least=0)),
        usd=line.number_of("usd", least=0.0),
        weight=1 / line.number_of("sample_rate", least=1e-9, most=1.0),
    )


def _wanted_for(line: Line) -> str:
    """What the line says, or else its reason, which tells of the tier that has answered."""
    reason, as_wanted = line.text("reason"), line.text("tier") == line.text("wanted_tier")
    return str(line.row.get("wanted_for") or (reason if as_wanted else ""))


def _percentile(line: Line, name: str) -> float:
    if name in line.row and line.row[name] is None:
        return math.nan
    return line.number_of(name, least=0.0, most=1.0)


def _boundaries(line: Line) -> tuple[float, ...]:
    found = line.column("boundaries")
    if not isinstance(found, list):
        raise line.wrong("'boundaries' is no list")
    return tuple(line.checked("boundaries", each, least=0.0, most=1.0) for each in found)


def _listed(counts: Counter[str]) -> str:
    if not counts:
        return "none of any policy"
    named = [f"{name or 'an unknown one'} ({number})" for name, number in counts.most_common(_MOST_NAMED)]
    return ", ".join(named) + (", ..." if len(counts) > _MOST_NAMED else "")
