"""What a namespace looked like when something went wrong in it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from cluster.commands import Failed
from cluster.kubectl import Namespace

_SHOWN: Final = 6000
_QUESTIONS: Final = (
    ("get", "pods,deployments,hpa", "--output=wide"),
    ("get", "events", "--sort-by=.lastTimestamp"),
    ("describe", "pods"),
    ("describe", "deployments,hpa"),
)


def state_of(namespace: Namespace, folder: Path) -> str:
    """Pods, events, and logs of a namespace: the beginning of it, and the name of a file with all of it."""
    told = [_answer(namespace, *question) for question in _QUESTIONS]
    names = _answer(namespace, "get", "pods", "--output=name").splitlines()[1:]
    told += [_answer(namespace, "logs", name, "--all-containers", "--prefix", "--tail=200") for name in names]
    text = "\n".join(told)
    file = folder / f"failure-{namespace.name}-{time.strftime('%H%M%S')}.txt"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return f"{text[:_SHOWN]}\n... the rest is in {file}"


def _answer(namespace: Namespace, *question: str) -> str:
    try:
        return f"$ kubectl {' '.join(question)}\n{namespace.kubectl(*question)}"
    except Failed as failed:
        return str(failed)
