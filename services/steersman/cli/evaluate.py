"""`steersman evaluate`: classifiers on benchmarks, beside random, oracle and prompt length."""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from steersman.classifier import benchmarks, whole_files
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation import evaluating, prices
from steersman.classifier.evaluation.evaluating import Evaluation, Settings
from steersman.classifier.evaluation.operating import Share, Threshold
from steersman.cli import contenders, numbers
from steersman.cli.contenders import Contender
from steersman.cli.evaluation import sets, tables
from steersman.cli.evaluation.document import Provenance, document, provenance

NAME = "evaluate"
HELP = "measure classifiers on MT Bench, MMLU, GSM8K, other pairs of models or any data"
DESCRIPTION = (
    "Measure how much quality a classifier keeps for how many strong calls, as the RouteLLM and RouterBench papers do: "
    "CPT(50), CPT(80), APGR, and AIQ where costs are known, with bootstrap 95 % intervals, beside random, oracle and "
    "prompt length; for all queries and by group."
)
_DEFAULT_SHARE = Share(0.3)
_PAGE = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    _add_what(parser.add_argument_group("what is measured"))
    _add_how(parser.add_argument_group("how it is measured"))
    results = parser.add_argument_group("results")
    results.add_argument("--json", type=Path, metavar="FILE", help="write every figure there as well")
    results.add_argument(
        "--plots",
        type=Path,
        metavar="DIR",
        help=f"write plots (PNG) and a page with all of it ({_PAGE}) there",
    )


def _add_what(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR|FILE",
        help=f"data folder that holds {benchmarks.FOLDER}, or a file of rows (.jsonl, .jsonl.gz)",
    )
    group.add_argument("--strong", metavar="MODEL", help="of a file: the strong model, by its name there")
    group.add_argument("--weak", metavar="MODEL", help="of a file: the weak model")
    group.add_argument(
        "--text", default="prompt", metavar="COLUMN", help="of a file: what is routed (default: %(default)s)"
    )
    group.add_argument(
        "--transfer", action="store_true", help="of a folder: other pairs of models on its questions as well"
    )
    group.add_argument(
        "--sample",
        type=numbers.count,
        metavar="N",
        help="measure on so many prompts of each set, drawn by --seed; for methods that take a second a prompt",
    )
    group.add_argument(
        "--artefact",
        type=Path,
        action="append",
        metavar="DIR",
        help="what `steersman train` wrote, or a model or a repository of them; may be repeated "
        f"(default: {contenders.DEFAULT})",
    )


def _add_how(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--share",
        dest="points",
        type=_share,
        action="append",
        metavar="S",
        help=f"tell what sending this part to strong does; may be repeated (default: {_DEFAULT_SHARE.share})",
    )
    group.add_argument(
        "--threshold",
        dest="points",
        type=_threshold,
        action="append",
        metavar="T",
        help="the same of sending scores from T on; may be repeated",
    )
    group.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="COLUMN",
        help="tell it by group as well: language, length, source or any column of the data; may be repeated",
    )
    group.add_argument(
        "--price-strong",
        type=numbers.positive,
        metavar="USD",
        help="a million tokens, where no cost is known",
    )
    group.add_argument(
        "--price-weak", type=numbers.positive, metavar="USD", help="the same of the weak model"
    )
    group.add_argument(
        "--answer-tokens",
        type=numbers.count,
        default=prices.ANSWER_TOKENS,
        metavar="N",
        help="tokens of an answer, where no cost is known (default: %(default)s)",
    )
    group.add_argument(
        "--seed", type=numbers.seed, default=0, metavar="N", help="seed of the bootstrap (default: 0)"
    )
    group.add_argument(
        "--resamples",
        type=numbers.count,
        default=1000,
        metavar="N",
        help="bootstrap resamples (default: %(default)s)",
    )


def run(options: argparse.Namespace, errors: Console) -> None:
    """Evaluate, write what is asked for, and print tables on standard output."""
    settings = Settings(
        points=tuple(dict.fromkeys(options.points or [_DEFAULT_SHARE])),
        columns=tuple(dict.fromkeys(options.group)),
        resamples=options.resamples,
        seed=options.seed,
    )
    if options.plots is not None and find_spec("matplotlib") is None:
        raise DataError("--plots needs matplotlib; install steersman[trainer]")
    data = sets.read(options)
    contending = contenders.load_all(options.artefact or [contenders.DEFAULT])
    evaluations = tuple(_evaluated(data, contending, settings, errors))
    _write(options, evaluations, provenance(contending, data.files, settings))
    tables.show(evaluations, tables.output())


def _evaluated(
    data: sets.Sets, contending: Sequence[Contender], settings: Settings, errors: Console
) -> Iterator[Evaluation]:
    with errors.status("evaluating") as status:
        methods = {each.name: functools.partial(each.rate, progress=status.update) for each in contending}
        for benchmark in data.benchmarks:
            yield evaluating.evaluate(benchmark, methods, settings)


def _write(options: argparse.Namespace, evaluations: Sequence[Evaluation], origin: Provenance) -> None:
    files: dict[Path, bytes] = {}
    if options.json is not None:
        files[options.json] = document(evaluations, origin)
    if options.plots is not None:
        files |= {options.plots / name: content for name, content in _report(evaluations, origin)}
    try:
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
        whole_files.replace_all(files)
    except OSError as error:
        raise DataError(f"cannot write {error.filename}: {error.strerror}") from error


def _report(evaluations: Sequence[Evaluation], origin: Provenance) -> Iterator[tuple[str, bytes]]:
    from steersman.cli.evaluation import page, plots  # noqa: PLC0415  # matplotlib takes a second to import

    drawn: dict[str, dict[str, bytes]] = {}
    for evaluation in evaluations:
        name = evaluation.benchmark.name
        drawn[name] = {"performance gap recovered by share of strong calls": plots.recovered(evaluation)}
        if evaluation.benchmark.costs:
            drawn[name]["quality by cost"] = plots.quality(evaluation)
        stem = re.sub(r"[^\w.-]+", "_", name)
        yield from zip((f"{stem}.png", f"{stem}_cost.png"), drawn[name].values(), strict=False)
    yield _PAGE, page.page(evaluations, origin, drawn)


def _share(text: str) -> Share:
    return Share(numbers.part(text))


def _threshold(text: str) -> Threshold:
    return Threshold(numbers.part(text))
