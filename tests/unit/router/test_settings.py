from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from steersman.router.settings import RouterSettings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own environment counts."""
    monkeypatch.setenv("STEERSMAN_CACHE__HMAC_KEY", "hush")


def test_defaults_are_as_promised() -> None:
    assert RouterSettings().model_dump() == {
        "grpc": {
            "address": "0.0.0.0:9000",
            "max_message_bytes": 8 * 1024 * 1024,
            "max_connection_age_seconds": 10.0,
            "max_connection_age_grace_seconds": 600.0,
            "drain_seconds": 60.0,
            "max_concurrent_rpcs": 4096,
            "max_waiting_rpcs": 256,
        },
        "metrics": {"address": "0.0.0.0:9090"},
        "health": {"address": None},
        "log": {"level": "INFO", "format": "json"},
        "tls": {"folder": None, "verify_clients": True, "client_names": (), "plaintext_to": ()},
        "policy_file": Path("/etc/steersman/policies.yaml"),
        "http": {"address": "0.0.0.0:8080", "max_connection_age_seconds": 10.0},
        "requests": {
            "max_messages": 2048,
            "max_in_flight": 4096,
            "default_timeout_seconds": 300.0,
            "text_characters": 7500,
            "context_characters": 512,
        },
        "classifier": {
            "target": "dns:///triton:8001",
            "model": "static_head",
            "version": "1",
            "timeout_seconds": 0.1,
            "queue": 2048,
            "lanes": 4,
            "breaker_failures": 5,
            "breaker_cooldown_seconds": 2.0,
        },
        "cache": {
            "url": "redis://redis:6379/0",
            "hmac_key": SecretStr("hush"),
            "timeout_seconds": 0.05,
            "ttl_seconds": 86_400,
            "local_entries": 100_000,
            "local_ttl_seconds": 3600.0,
            "read_queue": 4096,
            "write_queue": 4096,
            "breaker_failures": 3,
            "breaker_cooldown_seconds": 2.0,
        },
        "capture": {
            "key_file": None,
            "ttl_seconds": 604_800,
            "entries": 10_000,
            "max_bytes": 16 * 1024 * 1024,
            "longest_bytes": 64 * 1024,
            "queue": 256,
        },
        "dispatch": {
            "first_byte_timeout_seconds": 30.0,
            "whole_timeout_seconds": 120.0,
            "idle_timeout_seconds": 30.0,
            "attempts": 3,
            "retry_ratio": 0.2,
            "retries_per_second": 3.0,
            "breaker_failures": 5,
            "breaker_cooldown_seconds": 2.0,
            "refresh_seconds": 5.0,
        },
        "kubernetes": {
            "policies": False,
            "endpoint_slices": False,
            "namespace": "default",
            "kubeconfig": None,
            "start_seconds": 3.0,
        },
        "waiting_room": {
            "max_requests": 256,
            "max_bytes": 32 * 1024 * 1024,
            "longest_seconds": 60.0,
            "at_once": 16,
        },
        "identity": {
            "key_file": None,
            "certificate_file": None,
            "keys_secret": "",
            "keys_entry": "keys.yaml",
            "service_accounts": {
                "rules": (),
                "audience": "steersman",
                "fresh_seconds": 60.0,
                "stale_seconds": 600.0,
                "timeout_seconds": 1.0,
                "issuer": {
                    "name": "",
                    "keys_url": "",
                    "ca_file": None,
                    "token_file": None,
                    "fresh_seconds": 300.0,
                    "stale_seconds": 86_400.0,
                },
                "entries": 10_000,
            },
        },
        "tenant_metrics": {"largest": 20},
        "sessions": {"ttl_seconds": 3600, "local_entries": 50_000},
        "decisions": {"ttl_seconds": 3600, "local_entries": 10_000},
        "decision_log": {
            "path": "",
            "sample_rate": 1.0,
            "max_bytes": 64 * 1024 * 1024,
            "files": 5,
            "queue": 8192,
        },
    }


def test_without_a_key_each_replica_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEERSMAN_CACHE__HMAC_KEY")
    one, other = (RouterSettings().cache.hmac_key.get_secret_value() for _ in range(2))
    assert one != other
    assert len(one) == 64


def test_the_key_is_not_shown() -> None:
    assert "hush" not in repr(RouterSettings())


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("POLICY_FILE", "/policies.yaml", Path("/policies.yaml")),
        ("CLASSIFIER__TARGET", "triton-0:8001,triton-1:8001", "triton-0:8001,triton-1:8001"),
        ("DISPATCH__ATTEMPTS", "5", 5),
        ("GRPC__ADDRESS", "[::]:9000", "[::]:9000"),
    ],
)
def test_the_environment_sets_them(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, found: object
) -> None:
    monkeypatch.setenv(f"STEERSMAN_{name}", value)
    group: Any = RouterSettings()
    for part in name.lower().split("__"):
        group = getattr(group, part)
    assert group == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("DISPATCH__ATEMPTS", "5", id="misspelt"),
        pytest.param("DISPATCH__ATTEMPTS", "0", id="none"),
        pytest.param("DISPATCH__RETRY_RATIO", "1.5", id="over the range"),
        pytest.param("CACHE__TIMEOUT_SECONDS", "0", id="no time"),
        pytest.param("CLASSIFIER__TIMEOUT_SECONDS", "nan", id="no number"),
        pytest.param("HTTP__ADDRESS", "8080", id="no host"),
        pytest.param("REQUESTS__MAX_MESSAGES", "many", id="a word"),
    ],
)
def test_what_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"STEERSMAN_{name}", value)
    with pytest.raises(ValidationError):
        RouterSettings()


def test_settings_cannot_be_changed() -> None:
    settings = RouterSettings()
    with pytest.raises(ValidationError):
        settings.policy_file = Path("other")  # type: ignore[misc]  # it is frozen


def test_every_setting_says_what_it_means() -> None:
    for name, group in RouterSettings.model_fields.items():
        fields = getattr(group.annotation, "model_fields", {name: group})
        assert all(field.description for field in fields.values()), name


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"TLS__FOLDER": "/tls", "CACHE__URL": "redis://redis:6379/0"}, "rediss://"),
        ({"TLS__FOLDER": "/tls", "CACHE__URL": "rediss://redis:6379/0"}, ""),
        ({"IDENTITY__CERTIFICATE_FILE": "/rules.yaml"}, "TLS__FOLDER"),
        (
            {
                "TLS__FOLDER": "/tls",
                "TLS__VERIFY_CLIENTS": "false",
                "CACHE__URL": "rediss://redis:6379/0",
                "IDENTITY__CERTIFICATE_FILE": "/rules.yaml",
            },
            "clients verified",
        ),
    ],
)
def test_with_tls_nothing_is_left_in_the_clear_and_rules_about_certificates_need_it(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], complaint: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"STEERSMAN_{name}", value)
    if not complaint:
        assert RouterSettings().tls.folder == Path("/tls")
        return
    with pytest.raises(ValidationError, match=complaint):
        RouterSettings()
