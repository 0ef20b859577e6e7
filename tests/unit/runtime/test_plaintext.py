"""Which URLs a process with TLS may ask in the clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from steersman.runtime.plaintext import refusal
from steersman.runtime.settings import Tls


def private(*allowed: str) -> Tls:
    return Tls(folder=Path("/certificates"), plaintext_to=allowed)


@pytest.mark.parametrize(
    "url",
    [
        "https://engine:8000/v1",
        "http://127.0.0.1:8000",
        "http://127.8.0.9",
        "http://[::1]:1",
        "http://LocalHost",
    ],
)
def test_tls_and_the_loopback_are_always_right(url: str) -> None:
    assert refusal(url, private()) is None


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://engine:8000/v1", "engine:8000"),
        ("http://engine", "engine:80"),
        ("HTTP://Engine.models.svc.:8000", "engine.models.svc:8000"),
        ("http://localhost.example.com:1", "localhost.example.com:1"),
        ("http://10.0.0.1:1", "10.0.0.1:1"),
        ("http://user:secret@engine:1", "engine:1"),
        ("engine:4317", "engine:4317"),
        ("ftp://engine", "engine"),
    ],
)
def test_anything_else_is_refused_with_its_host_and_no_secret(url: str, named: str) -> None:
    reason = refusal(url, private("other", "engine:9", "ngine"))
    assert reason is not None
    assert f" {named} would be asked in the clear" in reason
    assert "secret" not in reason


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://engine:8000/v1", "engine:8000"),
        ("http://engine:8000/v1", "engine"),
        ("http://engine", "ENGINE:80"),
        ("http://[fd00::1]:8000", "[fd00::1]:8000"),
        ("http://engine.models.:8000", "engine.models"),
    ],
)
def test_a_host_that_an_operator_has_named_may_be_asked(url: str, allowed: str) -> None:
    assert refusal(url, private(allowed)) is None


def test_without_tls_nothing_is_refused() -> None:
    assert refusal("http://engine:8000", Tls()) is None
