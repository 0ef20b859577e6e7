from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from steersman.runtime.settings import Group, ProcessSettings


def groups(of: type[BaseModel]) -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = [of]
    for field in of.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            found += groups(field.annotation)
    return found


def test_promised_defaults() -> None:
    assert ProcessSettings().model_dump() == {
        "grpc": {
            "address": "0.0.0.0:9000",
            "max_message_bytes": 8 * 1024 * 1024,
            "max_connection_age_seconds": 60.0,
            "max_connection_age_grace_seconds": 600.0,
            "drain_seconds": 60.0,
            "max_concurrent_rpcs": 4096,
            "max_waiting_rpcs": 256,
        },
        "metrics": {"address": "0.0.0.0:9090"},
        "health": {"address": None},
        "log": {"level": "INFO", "format": "json"},
        "tls": {"folder": None, "verify_clients": True, "client_names": (), "plaintext_to": ()},
    }


def test_names_are_nested_with_two_underscores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERSMAN_GRPC__ADDRESS", "127.0.0.1:0")
    monkeypatch.setenv("STEERSMAN_LOG__LEVEL", "DEBUG")
    settings = ProcessSettings()
    assert settings.grpc.address == "127.0.0.1:0"
    assert settings.log.level == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STEERSMAN_GRPC__ADRESS", "127.0.0.1:0"),
        ("STEERSMAN_GRPC__ADDRESS", "9000"),
        ("STEERSMAN_GRPC__ADDRESS", ":9000"),
        ("STEERSMAN_GRPC__DRAIN_SECONDS", "0"),
        ("STEERSMAN_GRPC__DRAIN_SECONDS", "soon"),
        ("STEERSMAN_LOG__LEVEL", "LOUD"),
        ("STEERSMAN_TLS__PLAINTEXT_TO", '["http://collector:4318"]'),
        ("STEERSMAN_TLS__PLAINTEXT_TO", '["*"]'),
    ],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        ProcessSettings()


def test_where_hops_speak_tls_no_port_for_health_is_opened_in_the_clear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STEERSMAN_HEALTH__ADDRESS", "127.0.0.1:0")
    assert ProcessSettings().health.address == "127.0.0.1:0"
    monkeypatch.setenv("STEERSMAN_TLS__FOLDER", "/etc/steersman-tls")
    with pytest.raises(ValidationError, match="HEALTH__ADDRESS cannot be set"):
        ProcessSettings()


def test_settings_do_not_change() -> None:
    settings = ProcessSettings()
    with pytest.raises(ValidationError):
        settings.grpc.address = "127.0.0.1:1"  # type: ignore[misc]  # the point
    with pytest.raises(ValidationError):
        settings.log = settings.log  # type: ignore[misc]  # the point


@pytest.mark.parametrize("group", groups(ProcessSettings))
def test_every_setting_is_documented(group: type[BaseModel]) -> None:
    for name, field in group.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, Group)
        assert nested or field.description, name
