"""Can this machine run the real parts? Answers before anything is installed.

Started by path with whatever Python the machine has, so it uses nothing but the standard library and no syntax
younger than Python 3.8. What it refuses, it refuses in one sentence. The limits are those of the wheels: Triton's
needs glibc 2.35, and its Python stub loads the shared library of the Python that it serves.
"""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import shutil
import sys
import sysconfig
from pathlib import Path

OLDEST_GLIBC = (2, 35)
PYTHONS = ((3, 11), (3, 12))


class Refused(Exception):
    """The machine lacks something; the message is the sentence for the user."""


def check_system(*, system: str, machine: str, glibc: str | None) -> None:
    """Refuse all but x86-64 Linux with a young enough glibc.

    Args:
        system: As `platform.system` tells it.
        machine: As `platform.machine` tells it.
        glibc: Its version, None for another C library.
    """
    if system != "Linux" or machine != "x86_64":
        raise Refused(f"Steersman's local system needs Linux on x86-64; this is {system} on {machine}.")
    if glibc is None:
        raise Refused(
            "Steersman's local system needs glibc 2.35 or newer; this machine has another C library."
        )
    if tuple(int(part) for part in glibc.split(".")[:2]) < OLDEST_GLIBC:
        raise Refused(f"Steersman's local system needs glibc 2.35 or newer; this machine has {glibc}.")


def check_python(*, implementation: str, version: tuple[int, int]) -> None:
    """Refuse all but CPython 3.11 and 3.12."""
    if implementation == "CPython" and version in PYTHONS:
        return
    raise Refused(
        "Steersman's local system needs CPython 3.11 or 3.12; "
        f"this is {implementation} {version[0]}.{version[1]} (choose another with make PYTHON=python3.12)."
    )


def shared_library(version: tuple[int, int], *, libdir: str | None) -> str:
    """Path or name under which Python's shared library loads: beside this interpreter, or where the linker looks."""
    name = f"libpython{version[0]}.{version[1]}.so.1.0"
    beside = [str(Path(libdir) / name)] if libdir else []
    for candidate in [*beside, name]:
        if _loads(candidate):
            return candidate
    raise Refused(
        f"Triton's Python backend needs {name}, which this machine lacks: install it "
        f"(Debian, Ubuntu: apt install libpython{version[0]}.{version[1]}) or use a Python that brings it "
        f"(uv python install {version[0]}.{version[1]})."
    )


def check_environments(version: tuple[int, int], *, pip: bool, uv: bool) -> None:
    """Refuse a Python that can make no virtual environment, as Debian's cannot without one more package."""
    if pip or uv:
        return
    name = f"python{version[0]}.{version[1]}-venv"
    raise Refused(
        f"This Python cannot make virtual environments: install {name} "
        f"(Debian, Ubuntu: apt install {name}) or put uv on the PATH."
    )


def own_shared_library() -> str:
    """Path or name of the shared library of the Python that runs this."""
    return shared_library(sys.version_info[:2], libdir=sysconfig.get_config_var("LIBDIR"))


def check() -> None:
    """Refuse this machine if it cannot run the local system."""
    kind, version = platform.libc_ver()
    check_system(
        system=platform.system(),
        machine=platform.machine(),
        glibc=version if kind == "glibc" else None,
    )
    check_python(implementation=platform.python_implementation(), version=sys.version_info[:2])
    check_environments(
        sys.version_info[:2],
        pip=importlib.util.find_spec("ensurepip") is not None,
        uv=shutil.which("uv") is not None,
    )
    own_shared_library()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def main() -> int:
    """Say nothing and return 0, or say the one sentence and return 1."""
    try:
        check()
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
