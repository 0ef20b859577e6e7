from __future__ import annotations

import pytest
from pydantic import ValidationError

from steersman.controller.settings import ControllerSettings


def test_defaults_are_as_promised() -> None:
    assert ControllerSettings().model_dump() == {
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
        "kubernetes": {"namespace": "default", "kubeconfig": None},
        "election": {
            "lease": "steersman-controller",
            "duration_seconds": 12,
            "deadline_seconds": 8.0,
            "retry_seconds": 2.0,
        },
        "routers": {
            "target": "dns:///router:9000",
            "interval_seconds": 5.0,
            "timeout_seconds": 2.0,
            "concurrency": 32,
            "hold_seconds": 30.0,
        },
        "reporting": {"window_seconds": 300.0, "numbers_seconds": 30.0, "refresh_seconds": 600.0},
    }


def test_variables_are_read_by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERSMAN_KUBERNETES__NAMESPACE", "models")
    monkeypatch.setenv("STEERSMAN_ELECTION__DURATION_SECONDS", "30")
    settings = ControllerSettings()
    assert (settings.kubernetes.namespace, settings.election.duration_seconds) == ("models", 30)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("ELECTION__DEADLINE_SECONDS", "12", "must ascend"),
        ("ELECTION__RETRY_SECONDS", "8", "must ascend"),
        ("ROUTERS__HOLD_SECONDS", "7", "must be longer"),
        ("ROUTERS__CONCURRENCY", "0", "greater than 0"),
        ("ELECTION__NAME", "x", "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(f"STEERSMAN_{name}", value)
    with pytest.raises(ValidationError, match=why):
        ControllerSettings()
