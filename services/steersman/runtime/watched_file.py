"""A file that a process follows: read at the start, and again whenever it changes.

Followed by its content: a mounted ConfigMap or Secret changes by a symbolic link, not by a write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Readable(Protocol):
    """A file, or files that are one only together."""

    def read_bytes(self) -> bytes:
        """All of it."""
        ...


class NotUsable(Exception):
    """What a process was given at the start is there, and is not valid; says what, where and why."""


@dataclass(slots=True)
class WatchedFile(Generic[T]):
    """Watches one file.

    Args:
        name: What it is called in the log.
        path: Where it is.
        parse: Reads its content, or raises a ValueError that says what is wrong with it.
        apply: Puts what was read to use.
        on_reload: Told whether a changed file was `taken` or `refused`.
        interval: Seconds between two looks.
    """

    name: str
    path: Readable
    parse: Callable[[bytes], T]
    apply: Callable[[T], Awaitable[None]]
    on_reload: Callable[[str], None]
    interval: float = 1.0
    _text: bytes = field(default=b"")
    _unusable: bytes = field(default=b"")
    """What could not be put to use when it was last tried, and was told of."""

    async def load(self) -> None:
        """Read the file and put it to use.

        Raises:
            OSError: It cannot be read.
            NotUsable: It is not valid.
        """
        self._text = await asyncio.to_thread(self.path.read_bytes)
        try:
            read = self.parse(self._text)
        except ValueError as error:
            raise NotUsable(f"{self.name} {self.path}: {error}") from error
        await self.apply(read)

    async def watch(self) -> None:
        """Look at the file again and again; what is not valid is refused as a whole, and the old one stays."""
        while True:
            await asyncio.sleep(self.interval)
            await self._look()

    async def _look(self) -> None:
        try:
            text = await asyncio.to_thread(self.path.read_bytes)
        except OSError as error:
            log.warning("%s cannot be read", self.name, extra={"error": str(error)})
            return
        if text == self._text:
            return
        try:
            read = self.parse(text)
        except ValueError as error:
            self._text = text
            log.error("%s refused, the old one stays", self.name, extra={"error": str(error)})  # noqa: TRY400 - no bug
            self.on_reload("refused")
            return
        try:
            await self.apply(read)
        except OSError as error:  # something that it names, which may come yet
            if text != self._unusable:
                self._unusable = text
                log.warning("%s not put to use, the old one stays", self.name, extra={"error": str(error)})
                self.on_reload("refused")
            return
        self._text = text  # only now, so that what could not be put to use is tried again
        log.info("%s taken", self.name)
        self.on_reload("taken")
