"""Becomes another program, tied to the life of its parent: when the parent dies, the kernel kills this process.

Started by path, isolated, before every program of the local system; standard library only. The tie is made here and
not between fork and exec of the parent, where Python code may deadlock.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h."""


def main(parent: int, argv: list[str]) -> None:
    """Tie this process to its parent, then become `argv`."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() == parent:  # it may have died before the tie was made
        os.execvp(argv[0], argv)  # noqa: S606  # becoming the program is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
