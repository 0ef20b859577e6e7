"""Replicas over time: recorded by a watch, kept as a table, drawn as a picture."""

from __future__ import annotations

import csv
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cluster.kubectl import Namespace
from cluster.picture import Step, drawn
from cluster.release import NAME

_COLUMNS: Final = "custom-columns=N:.metadata.name,W:.spec.replicas,R:.status.readyReplicas"


@dataclass(frozen=True, slots=True)
class Point:
    """A Deployment at one moment.

    Attributes:
        at: Seconds since the recording began.
        workload: Its name without the release's.
        wanted: Replicas that it is to have.
        ready: Replicas that it has.
    """

    at: float
    workload: str
    wanted: int
    ready: int


@dataclass(slots=True)
class Recording:
    """What has been seen so far; each wait for something says what there was instead."""

    begun: float = field(default_factory=time.monotonic)
    begun_at: float = field(default_factory=time.time)
    points: list[Point] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, line: str) -> None:
        """Take a line of the watch."""
        name, *numbers = line.split()
        wanted, ready = (0 if number == "<none>" else int(number) for number in numbers)
        with self._changed:
            at = self.now()
            self.points.append(Point(at, name.removeprefix(f"{NAME}-"), wanted, ready))
            self._changed.notify_all()

    def mark(self, what: str) -> float:
        """Note that something happens now; gives the moment."""
        at = self.now()
        self.marks.append((at, what))
        return at

    def latest(self, workload: str) -> Point | None:
        """A Deployment as it is now; None as long as nothing is known of it."""
        return next((point for point in reversed(self.points) if point.workload == workload), None)

    def at(self, unix: float) -> float:
        """Seconds since the recording began, at a time that a clock told."""
        return unix - self.begun_at

    def first(self, workload: str, holds: Callable[[Point], bool], *, since: float) -> Point:
        """When something held of a Deployment for the first time from a moment on."""
        return next(
            point
            for point in self.points
            if point.workload == workload and point.at >= since and holds(point)
        )

    def now(self) -> float:
        """Seconds since the recording began."""
        return time.monotonic() - self.begun

    def most(self, workload: str, *, since: float = 0.0) -> int:
        """Most replicas that a Deployment was to have, from a moment on."""
        points = [point for point in self.points if point.workload == workload]
        before = [point for point in points if point.at < since][-1:]
        return max(point.wanted for point in before + [point for point in points if point.at >= since])

    def wait(self, workload: str, holds: Callable[[Point], bool], *, seconds: float) -> float:
        """Until something holds of a Deployment; gives the moment."""
        end = time.monotonic() + seconds
        with self._changed:
            while (point := self.latest(workload)) is None or not holds(point):
                left = end - time.monotonic()
                assert left > 0, f"not within {seconds} s: {workload} is {point}"
                self._changed.wait(left)
            return point.at

    def write(self, path: Path) -> None:
        """Write the table and, beside it, the picture."""
        with path.with_suffix(".csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(("seconds", "workload", "wanted", "ready"))
            table.writerows(
                (f"{each.at:.1f}", each.workload, each.wanted, each.ready) for each in self.points
            )
            table.writerows((f"{at:.1f}", what, "", "") for at, what in self.marks)
        path.with_suffix(".svg").write_text(self._drawn())

    def _drawn(self) -> str:
        bands: dict[str, list[Step]] = {}
        for point in self.points:
            bands.setdefault(point.workload, []).append(Step(point.at, point.wanted, point.ready))
        return drawn(bands, self.marks)


@contextmanager
def recording(namespace: Namespace, path: Path) -> Iterator[Recording]:
    """Record the Deployments of a namespace while the context lasts; written at the end, whatever happened."""
    record = Recording()
    command = ("get", "deployments", "--watch", "--no-headers", f"--output={_COLUMNS}")
    with subprocess.Popen(
        [  # noqa: S607 - the kubectl that the caller's PATH names is the one that is meant
            "kubectl",
            f"--namespace={namespace.name}",
            *command,
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as watch:
        reader = threading.Thread(target=_read, args=(watch, record), daemon=True)
        reader.start()
        try:
            yield record
        finally:
            watch.terminate()
            reader.join(timeout=5)
            record.write(path)


def _read(watch: subprocess.Popen[str], record: Recording) -> None:
    assert watch.stdout is not None
    for line in watch.stdout:
        record.add(line)
