from __future__ import annotations

import pytest
from pydantic import ValidationError

from steersman.backend.settings import BackendSettings

REQUIRED = {"STEERSMAN_TIER": "weak", "STEERSMAN_ENGINE__URL": "http://engine:8000"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)


def test_promised_defaults() -> None:
    settings = BackendSettings()
    assert settings.model_dump(include={"tier", "engine", "queue"}) == {
        "tier": "weak",
        "engine": {
            "url": "http://engine:8000",
            "api_key": None,
            "ca_file": None,
            "slots": None,
            "connect_timeout_seconds": 2.0,
            "first_byte_timeout_seconds": 60.0,
            "idle_timeout_seconds": 30.0,
            "unary_timeout_seconds": 600.0,
            "refresh_seconds": 5.0,
        },
        "queue": {"length": 64, "max_wait_seconds": 30.0},
    }


@pytest.mark.parametrize("name", REQUIRED)
def test_what_is_required_has_no_default(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(ValidationError):
        BackendSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STEERSMAN_TIER", "Weak Tier"),
        ("STEERSMAN_TIER", ""),
        ("STEERSMAN_ENGINE__URL", "engine:8000"),
        ("STEERSMAN_ENGINE__URL", "ftp://engine"),
        ("STEERSMAN_ENGINE__URL", "http://"),
        ("STEERSMAN_ENGINE__SLOTS", "0"),
        ("STEERSMAN_ENGINE__IDLE_TIMEOUT_SECONDS", "0"),
        ("STEERSMAN_ENGINE__TYPO", "1"),
        ("STEERSMAN_QUEUE__LENGTH", "-1"),
    ],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        BackendSettings()


def test_the_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERSMAN_ENGINE__API_KEY", "sk-secret")
    settings = BackendSettings()
    assert "sk-secret" not in repr(settings)
    assert settings.engine.api_key is not None
    assert settings.engine.api_key.get_secret_value() == "sk-secret"


def test_where_hops_are_private_an_engine_in_the_clear_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERSMAN_TLS__FOLDER", "/certificates")
    with pytest.raises(
        ValidationError, match="ENGINE__URL: with TLS on, engine:8000 would be asked in the clear"
    ):
        BackendSettings()
    monkeypatch.setenv("STEERSMAN_TLS__PLAINTEXT_TO", '["engine:8000"]')
    assert BackendSettings().engine.url == "http://engine:8000"


def test_an_engine_in_the_same_pod_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERSMAN_TLS__FOLDER", "/certificates")
    monkeypatch.setenv("STEERSMAN_ENGINE__URL", "http://127.0.0.1:8000")
    assert BackendSettings().engine.url == "http://127.0.0.1:8000"
