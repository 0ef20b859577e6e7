"""The policy file on disk: read at the start, and again whenever it changes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from steersman.router import catalogue
from steersman.router.model import Catalogue

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PolicyFile:
    """Watches one file, by its content: a mounted ConfigMap changes by a symbolic link, not by a write.

    Args:
        path: The file.
        apply: Puts a new catalogue to use.
        on_reload: Told whether a changed file was `taken` or `refused`.
        interval: Seconds between two looks.
    """

    path: Path
    apply: Callable[[Catalogue], Awaitable[None]]
    on_reload: Callable[[str], None]
    interval: float = 1.0
    _text: bytes = field(default=b"")

    async def load(self) -> None:
        """Read the file and put it to use.

        Raises:
            OSError: It cannot be read.
            CatalogueError: It is not valid.
        """
        self._text = await asyncio.to_thread(self.path.read_bytes)
        await self.apply(catalogue.parse(self._text, environment=os.environ))

    async def watch(self) -> None:
        """Look at the file again and again; what is not valid is refused as a whole, and the old one stays."""
        while True:
            await asyncio.sleep(self.interval)
            await self._look()

    async def _look(self) -> None:
        try:
            text = await asyncio.to_thread(self.path.read_bytes)
        except OSError as error:
            log.warning("policy file cannot be read", extra={"error": str(error)})
            return
        if text == self._text:
            return
        try:
            read = catalogue.parse(text, environment=os.environ)
        except catalogue.CatalogueError as error:
            self._text = text
            log.error("policy file refused, the old one stays", extra={"error": str(error)})  # noqa: TRY400 - no bug
            self.on_reload("refused")
            return
        await self.apply(read)
        self._text = text  # only now, so that what could not be put to use is tried again
        log.info("policy file taken", extra={"policies": sorted(read.policies)})
        self.on_reload("taken")
