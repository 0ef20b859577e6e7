from __future__ import annotations

import pytest
from pydantic import ValidationError

from steersman.scaler.settings import ScalerSettings


def test_defaults_are_as_promised() -> None:
    assert ScalerSettings().model_dump() == {
        "grpc": {
            "address": "0.0.0.0:9000",
            "max_message_bytes": 8 * 1024 * 1024,
            "max_connection_age_seconds": 3600.0,
            "max_connection_age_grace_seconds": 3600.0,
            "drain_seconds": 10.0,
            "max_concurrent_rpcs": 4096,
            "max_waiting_rpcs": 256,
        },
        "metrics": {"address": "0.0.0.0:9090"},
        "health": {"address": None},
        "log": {"level": "INFO", "format": "json"},
        "tls": {"folder": None, "verify_clients": True, "client_names": (), "plaintext_to": ()},
        "routers": {
            "target": "dns:///router:9000",
            "refresh_seconds": 2.0,
            "interval_seconds": 1.0,
            "stall_seconds": 5.0,
            "longest_pause_seconds": 2.0,
        },
        "counting": {"hold_seconds": 60.0, "unmet_seconds": 20.0, "settle_seconds": 5.0},
        "kubernetes": {
            "endpoint_slices": False,
            "namespace": "default",
            "kubeconfig": None,
            "start_seconds": 3.0,
        },
        "resend_seconds": 30.0,
    }


def test_variables_are_read_by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERSMAN_ROUTERS__TARGET", "dns:///router-headless:9000")
    monkeypatch.setenv("STEERSMAN_COUNTING__HOLD_SECONDS", "90")
    settings = ScalerSettings()
    assert settings.routers.target == "dns:///router-headless:9000"
    assert (settings.counting.hold_seconds, settings.counting.unmet_seconds) == (90.0, 20.0)


def test_a_misspelt_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERSMAN_COUNTING__HOLD_SECOND", "90")
    with pytest.raises(ValidationError, match="extra_forbidden"):
        ScalerSettings()


def test_a_stream_may_not_count_as_stalled_before_its_next_report_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STEERSMAN_ROUTERS__INTERVAL_SECONDS", "5")
    with pytest.raises(ValidationError, match="stall_seconds must be longer than interval_seconds"):
        ScalerSettings()


@pytest.mark.parametrize("value", ["0", "-1", "soon"])
def test_times_are_above_zero(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("STEERSMAN_COUNTING__HOLD_SECONDS", value)
    with pytest.raises(ValidationError):
        ScalerSettings()
