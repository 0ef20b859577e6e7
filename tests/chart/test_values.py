"""The values: documented, closed, used; and what makes no sense is refused with a sentence that says why."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chart.rendering import CHART, Release, nested, refused, render

_VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
_SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def _resolved(schema: Any) -> Any:
    return _SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _objects(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    schema = _resolved(schema)
    if "properties" in schema:
        yield path, schema
        for key, child in schema["properties"].items():
            yield from _objects(child, f"{path}.{key}")
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict):
            yield from _objects(schema[key], f"{path}.*")


def _leaves(values: Any, path: str = "") -> Iterator[str]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path


def test_the_schema_is_closed_everywhere_that_has_named_keys() -> None:
    open_objects = [
        path for path, schema in _objects(_SCHEMA) if schema.get("additionalProperties") is not False
    ]

    assert open_objects == []


def test_every_value_of_the_defaults_is_in_the_schema_and_documented() -> None:
    readme = (CHART / "README.md").read_text()
    documented = set(re.findall(r"^\| `([\w.]+)` \|", readme, re.MULTILINE))
    inherited = set(_VALUES["defaults"])

    def covered(path: str) -> bool:
        keys = path.split(".")
        named = any(".".join(keys[:end]) in documented for end in range(1, len(keys) + 1))
        return named or keys[1] in inherited

    assert [path for path in _leaves(_VALUES) if not covered(path)] == []


def test_every_documented_value_is_read_by_a_template() -> None:
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    readme = (CHART / "README.md").read_text()
    documented = re.findall(r"^\| `[\w.]*?(\w+)` \|", readme, re.MULTILINE)

    assert len(documented) > 100
    assert [name for name in documented if not re.search(rf'(\.|"){name}\b', templates)] == []


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("typo", 1, "additional properties 'typo' not allowed"),
        ("router.autoscaling.keda.enable", True, "additional properties 'enable' not allowed"),
        ("tiers.weak.engine.gpu", 1, "additional properties 'gpu' not allowed"),
        ("redis.autoscaling.maxReplicas", 3, "additional properties 'autoscaling' not allowed"),
        ("tiers.weak.engine.kind", "vllm", "must be one of 'container', 'external', 'hosted'"),
        ("policies.auto.fallback", "cheap", "must be one of 'proportional', 'strong', 'weak'"),
        ("policies.auto.threshold", 70, "maximum"),
        ("policies.auto.outOfDomain.novelty", 0, "exclusiveMinimum"),
        (
            "policies.auto.outOfDomain.rule",
            "cheap",
            "must be one of 'proportional', 'strong', 'weak', 'score'",
        ),
        ("policies.auto.sticky.moves", "down", "must be one of 'upward', 'both', 'free'"),
        ("policies.auto.sticky.hysteresis", -0.1, "minimum"),
        ("router.drain.seconds", -1, "minimum"),
        ("router.image.digest", "latest", "does not match pattern"),
        ("classifier.sharedMemory", "1 GB", "does not match pattern"),
        ("otel.endpoint", "collector:4317", "does not match pattern"),
        ("runAsUser", 0, "minimum"),
    ],
)
def test_a_value_that_is_none_is_refused(path: str, value: object, sentence: str) -> None:
    with refused(sentence):
        render(nested(path, value))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"tiers": {"Weak": {}}}, "tiers.Weak: a tier's name becomes part of names in Kubernetes"),
        ({"tiers": {"a-tier-of-21-letters-": {}}}, "it has at most 20 lower-case letters"),
        (
            {"tiers": {"weak": {"enabled": False}, "strong": {"enabled": False}}},
            "tiers: none is enabled, so nobody could answer",
        ),
        (
            nested("tiers.strong.engine.kind", "hosted"),
            "tiers.strong.engine: kind hosted needs the url of a server that speaks OpenAI's API",
        ),
        (
            nested("tiers.strong.engine.url", "https://api.openai.com/v1"),
            "tiers.strong.engine: a container in the pod has no url",
        ),
        (
            nested(
                "tiers.strong",
                {
                    "engine": {"kind": "hosted", "url": "https://x.example/v1"},
                    "autoscaling": {"keda": {"enabled": True}},
                },
            ),
            "tiers.strong.autoscaling: a hosted tier has no pods to scale",
        ),
        (
            nested("policies.strong", {"tiers": ["weak"]}),
            "policies.strong: a tier has this name too, so a caller could not say which is meant",
        ),
        (nested("policies.Auto", {"tiers": ["weak"]}), "policies.Auto: a policy's name has at most 63"),
        (
            nested("policies.auto.tiers", ["weak", "weak"]),
            "policies.auto: tier weak is there twice, so nobody could say from which score on it answers",
        ),
        (
            nested("tiers.strong.enabled", value=False),
            "policies.auto: tier strong does not exist or is not enabled",
        ),
        (nested("policies.auto.boundaries", [0.5]), "policies.auto: threshold is short for boundaries"),
        (
            nested("policies.other", {"tiers": ["weak", "strong"]}),
            "policies.other: 2 tiers need 1 boundaries between them, not 0",
        ),
        (
            {
                "tiers": {"mid": {}},
                "policies": {"o": {"tiers": ["weak", "mid", "strong"], "boundaries": [0.9, 0.5]}},
            },
            "policies.o: boundaries must ascend",
        ),
        ({"defaultPolicy": "other"}, "defaultPolicy: there is no policy other"),
        (nested("classifier.target", "triton:8001"), "classifier: either enabled is true, or target names"),
        (nested("classifier.enabled", value=False), "classifier: either enabled is true, or target names"),
        (
            nested("redis.enabled", value=False),
            "redis: either enabled is true, or cache.external names another one",
        ),
        (
            nested("cache.external.url", "redis://x:6379"),
            "redis: either enabled is true, or cache.external names",
        ),
        (
            {"redis": {"enabled": False}, "cache": {"external": {"url": "redis://x", "existingSecret": "y"}}},
            "cache.external: give url or existingSecret, not both",
        ),
        (nested("redis.replicas", 2), "redis.replicas: a second Redis of this chart would be another cache"),
        (nested("httpRoute.enabled", value=True), "httpRoute: a route belongs to a gateway"),
        (nested("router.settings.GRPC__ADDRESS", "x"), "router.settings: GRPC__ADDRESS belongs to the chart"),
        (
            nested("defaults.settings.HEALTH__ADDRESS", "x"),
            "defaults.settings: HEALTH__ADDRESS belongs to the chart",
        ),
        (nested("router.settings.log", "x"), "router.settings: log is no name of a setting"),
    ],
)
def test_values_that_make_no_sense_together_are_refused(values: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        render(values)


def test_what_is_set_to_false_or_nothing_wins_over_the_defaults() -> None:
    release = render(
        {
            "defaults": {"podDisruptionBudget": {"enabled": True}},
            "router": {"podDisruptionBudget": {"enabled": False}, "drain": {"preStopSeconds": 0}},
        }
    )

    assert "steersman-router" not in release.names("PodDisruptionBudget")
    assert "lifecycle" not in release.container("steersman-router")


def test_names_follow_the_release() -> None:
    assert "steersman-router" in render(name="steersman").names("Deployment")
    assert "prod-steersman-router" in render(name="prod").names("Deployment")
    assert "sm-router" in render({"fullnameOverride": "sm"}).names("Deployment")


def test_the_cache_key_is_made_once_for_all_routers(default: Release) -> None:
    secret = default.one("Secret", "steersman-cache")
    reference = default.environment("steersman-router")["STEERSMAN_CACHE__HMAC_KEY"]

    assert len(secret["data"]["hmac-key"]) >= 64
    assert reference == {"secretKeyRef": {"name": "steersman-cache", "key": "hmac-key"}}


def test_a_cache_key_of_ones_own_is_used() -> None:
    release = render(nested("cache.hmacKey", {"existingSecret": "mine", "key": "k"}))

    assert "steersman-cache" not in release.names("Secret")
    reference = release.environment("steersman-router")["STEERSMAN_CACHE__HMAC_KEY"]
    assert reference == {"secretKeyRef": {"name": "mine", "key": "k"}}


def test_the_url_of_an_outside_cache_can_be_a_secret(gpu: Release) -> None:
    reference = gpu.environment("steersman-router")["STEERSMAN_CACHE__URL"]

    assert reference == {"secretKeyRef": {"name": "redis-url", "key": "url"}}


def test_no_secret_that_the_user_brings_has_the_name_of_one_that_the_chart_makes(gpu: Release) -> None:
    brought = {
        value["secretKeyRef"]["name"]
        for name, value in gpu.environment("steersman-router").items()
        if isinstance(value, dict) and name != "STEERSMAN_CACHE__HMAC_KEY" and "secretKeyRef" in value
    }

    assert brought == {"redis-url", "strongest-api-key"}
    assert brought.isdisjoint(gpu.names("Secret"))
