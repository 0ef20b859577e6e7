"""A machine that cannot run the local system is told why in one sentence."""

from __future__ import annotations

import sys

import pytest

from steersman.local import machine


def test_this_machine_passes() -> None:
    machine.check()


@pytest.mark.parametrize(
    ("system", "architecture", "glibc", "said"),
    [
        pytest.param("Darwin", "arm64", None, "needs Linux on x86-64; this is Darwin on arm64", id="mac"),
        pytest.param("Linux", "aarch64", "2.39", "this is Linux on aarch64", id="arm"),
        pytest.param("Linux", "x86_64", None, "another C library", id="musl"),
        pytest.param("Linux", "x86_64", "2.34", "glibc 2.35 or newer; this machine has 2.34", id="old glibc"),
    ],
)
def test_another_system_is_refused(system: str, architecture: str, glibc: str | None, said: str) -> None:
    with pytest.raises(machine.Refused, match=said) as refusal:
        machine.check_system(system=system, machine=architecture, glibc=glibc)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("glibc", ["2.35", "2.36", "3.0", "2.40.9000"])
def test_a_young_enough_glibc_passes(glibc: str) -> None:
    machine.check_system(system="Linux", machine="x86_64", glibc=glibc)


@pytest.mark.parametrize("version", [(3, 11), (3, 12)])
def test_cpython_of_a_version_that_the_wheels_know_passes(version: tuple[int, int]) -> None:
    machine.check_python(implementation="CPython", version=version)


@pytest.mark.parametrize(
    ("implementation", "version"), [("CPython", (3, 10)), ("CPython", (3, 13)), ("PyPy", (3, 11))]
)
def test_another_python_is_refused_with_a_way_out(implementation: str, version: tuple[int, int]) -> None:
    with pytest.raises(machine.Refused, match="make PYTHON="):
        machine.check_python(implementation=implementation, version=version)


def test_a_python_without_shared_library_is_refused_with_what_to_install() -> None:
    with pytest.raises(machine.Refused, match=r"apt install libpython9\.99"):
        machine.shared_library((9, 99), libdir=None)


def test_the_shared_library_beside_the_interpreter_comes_before_the_linkers() -> None:
    library = machine.own_shared_library()
    assert f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0" in library


def test_a_python_that_makes_no_environments_is_refused_unless_uv_is_there() -> None:
    machine.check_environments((3, 12), pip=False, uv=True)
    with pytest.raises(machine.Refused, match=r"apt install python3\.12-venv"):
        machine.check_environments((3, 12), pip=False, uv=False)
