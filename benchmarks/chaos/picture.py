"""Success and waiting times over the whole run, with the faults marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.chaos.asking import Asked
from benchmarks.chaos.findings import Finding

_COLOURS: Final = {
    "answered": "tab:blue",
    "broken": "tab:orange",
    "refused": "tab:purple",
    "deadline": "tab:brown",
    "failed": "tab:red",
}


def draw(path: Path, asked: Sequence[Asked], findings: Sequence[Finding]) -> None:
    """Write a PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - a second that only a picture should cost

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, (top, bottom) = plt.subplots(
        2, 1, sharex=True, figsize=(22, 9), height_ratios=[3, 2], layout="constrained"
    )
    for outcome, colour in _COLOURS.items():
        some = [each for each in asked if each.outcome == outcome]
        plain = [each for each in some if not each.fell_back]
        other = [each for each in some if each.fell_back]
        for group, marker in ((plain, "."), (other, "x")):
            if group:
                label = f"{outcome}{' by a fallback' if marker == 'x' else ''} ({len(group)})"
                top.scatter(
                    [each.due for each in group],
                    [max(each.seconds, 1e-4) for each in group],
                    s=18,
                    marker=marker,
                    color=colour,
                    label=label,
                )
    top.set_yscale("log")
    top.set_ylabel("seconds to the last byte")
    top.legend(loc="upper right", ncols=3)
    _draw_success(bottom, asked)
    for each in findings:
        for axes in (top, bottom):
            axes.axvspan(each.phase.began, each.phase.lifted, color="tab:red", alpha=0.12)
        bottom.text(each.phase.began, 0.02, each.phase.fault, rotation=90, fontsize=8, va="bottom")
    bottom.set_xlabel("seconds since the load began")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _draw_success(axes: object, asked: Sequence[Asked]) -> None:
    """Parts of the requests of each second that were answered, and that were so without a fallback."""
    seconds = sorted({int(each.due) for each in asked})
    by_second = {second: [each for each in asked if int(each.due) == second] for second in seconds}
    good = [sum(each.outcome == "answered" for each in by_second[at]) / len(by_second[at]) for at in seconds]
    plain = [
        sum(each.outcome == "answered" and not each.fell_back for each in by_second[at]) / len(by_second[at])
        for at in seconds
    ]
    axes.plot(seconds, good, color="tab:blue", label="answered")  # type: ignore[attr-defined]  # matplotlib's own
    axes.plot(seconds, plain, color="tab:green", alpha=0.6, label="answered without a fallback")  # type: ignore[attr-defined]  # as above
    axes.set_ylim(0, 1.03)  # type: ignore[attr-defined]  # as above
    axes.set_ylabel("part of the requests")  # type: ignore[attr-defined]  # as above
    axes.legend(loc="lower right")  # type: ignore[attr-defined]  # as above
