"""Server-sent events as engines send them: bytes in, payloads of `data:` out.

On the path of every token, so it works on whole reads with `split` and looks at single lines only where an event is
more than one `data:` line. Names and ids of events are ignored, since no OpenAI-compatible engine means anything by
them. The grammar is the HTML standard's, section 9.2.6.
"""

from __future__ import annotations

from typing import Final

DONE: Final = b"[DONE]"
"""The payload by which an engine says that the answer is complete."""

_FIELD: Final = b"data:"
_USUAL: Final = b"data: "


class OversizedEventError(ValueError):
    """An event grew past the bound; the stream is not worth reading on."""


class EventParser:
    """Parses one stream, read by read; any split of the stream gives the same payloads.

    Args:
        max_event_bytes: Size of one event, line ends apart, above which the stream is given up.
    """

    def __init__(self, *, max_event_bytes: int) -> None:
        self._max = max_event_bytes
        self._tail = b""
        self._held_cr = False
        self.done = False
        """Whether `[DONE]` has come; what follows it is ignored."""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that `data` completes, without `[DONE]`.

        Raises:
            OversizedEventError: An event is too large.
        """
        if self._held_cr or b"\r" in data:
            data = self._with_plain_line_ends(data)
        events = (self._tail + data).split(b"\n\n")
        self._tail = events.pop()
        if len(self._tail) > self._max + 1:  # the first of the two line ends may be in it
            raise OversizedEventError(f"an event is larger than {self._max} bytes")
        payloads = []
        for event in events:
            if len(event) > self._max:
                raise OversizedEventError(f"an event is larger than {self._max} bytes")
            if event.startswith(_USUAL) and b"\n" not in event:
                payloads.append(event[len(_USUAL) :])
            elif (payload := _payload(event)) is not None:
                payloads.append(payload)
        return self._up_to_done(payloads)

    def end(self) -> None:
        """The stream has ended. An event without its blank line is dropped, but a `[DONE]` counts."""
        if not self.done:
            self.done = _payload(self._tail) == DONE

    def _up_to_done(self, payloads: list[bytes]) -> list[bytes]:
        if self.done:
            return []
        if DONE in payloads:
            self.done = True
            del payloads[payloads.index(DONE) :]
        return payloads

    def _with_plain_line_ends(self, data: bytes) -> bytes:
        """`data` with LF alone; a CR at its end is kept back until it is known whether LF follows."""
        if self._held_cr:
            data = b"\r" + data
        self._held_cr = data.endswith(b"\r")
        if self._held_cr:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _payload(event: bytes) -> bytes | None:
    """The `data:` lines of an event, joined; None where it has none, as a comment has."""
    lines = [line[len(_FIELD) :].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(_FIELD)]
    return b"\n".join(lines) if lines else None
