"""`down` returns when what it stops has ended, and not before."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from steersman.local import supervisor, up
from steersman.local.parts import Parts

SUPERVISOR = """
import fcntl, os, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), file=file, flush=True)
print("locked", flush=True)
signal.sigwait([signal.SIGTERM])
file.close()
time.sleep(0.5)
"""
"""Takes the lock and lets go of it when it is told to end, as the real one does, half a second before it has ended."""


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    parts = Parts(tmp_path)
    parts.local.mkdir()
    return parts


def test_a_supervisor_that_has_let_go_of_its_lock_has_to_end_before_the_system_is_down(parts: Parts) -> None:
    program = [sys.executable, "-c", SUPERVISOR, str(supervisor.pid_file(parts))]
    said = io.StringIO()
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        assert up.down(parts, Console(file=said)) == 0
        assert process.poll() == 0
    assert "The local system is down." in said.getvalue()


def test_a_pid_file_that_nobody_locks_is_of_nothing_that_runs(parts: Parts) -> None:
    supervisor.pid_file(parts).write_text("1\n")
    said = io.StringIO()
    assert up.down(parts, Console(file=said)) == 0
    assert said.getvalue() == "Nothing is up.\n"
