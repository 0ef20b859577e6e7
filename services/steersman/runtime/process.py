"""The life of a process: start, serve, drain on SIGTERM, end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, NoReturn, TypeVar

import uvloop
from prometheus_client import disable_created_metrics
from pydantic import ValidationError

from steersman.runtime import logs
from steersman.runtime.settings import ProcessSettings
from steersman.runtime.watched_file import NotUsable

log = logging.getLogger(__name__)

_COLLECTIONS: Final = (10_000, 20, 100)
"""How much comes before each generation is gone through; by default 700, 10 and 10, by which a process with hundreds of
requests in progress spends a quarter of its time on what is still needed."""

S = TypeVar("S", bound=ProcessSettings)


def main(
    service: str, settings: type[S], app: Callable[[S], AbstractAsyncContextManager[object]]
) -> NoReturn:
    """Run a service until SIGTERM or SIGINT, then drain it.

    Args:
        service: Its name in logs and traces.
        settings: Its settings; read from the environment here and nowhere else.
        app: The service, running while its context lasts.
    """
    try:
        configured = settings()
    except ValidationError as error:
        sys.exit(f"steersman {service}: bad settings\n{_readable(error)}")
    disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each one tells nobody anything
    logs.configure(configured.log, service=service)
    try:
        uvloop.run(_serve(service, app(configured)))
    except (OSError, NotUsable) as error:
        sys.exit(f"steersman {service}: {error}")
    sys.exit(0)


async def _serve(service: str, app: AbstractAsyncContextManager[object]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with app:
        gc.collect()
        gc.freeze()  # what is there now stays: no collection need go through it again
        gc.set_threshold(*_COLLECTIONS)
        log.info("serving", extra={"pid": os.getpid()})
        await stop.wait()
        log.info("stopping")
    log.info("stopped", extra={"stopped": service})


def _readable(error: ValidationError) -> str:
    """Names and reasons only: a value may be a secret."""
    lines = []
    for each in error.errors(include_input=False, include_url=False):
        name = "STEERSMAN_" + "__".join(str(part) for part in each["loc"]).upper()
        lines.append(f"  {name}: {each['msg']}")
    return "\n".join(lines)
