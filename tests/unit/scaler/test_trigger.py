"""What the metadata of a ScaledObject's trigger may say."""

from __future__ import annotations

import pytest

from steersman.runtime.errors import InvalidRequest
from steersman.scaler.model import Trigger
from steersman.scaler.trigger import trigger_of


@pytest.mark.parametrize(
    ("metadata", "trigger"),
    [
        pytest.param({"part": "tier/strong"}, Trigger("tier/strong", 8.0, 0.0), id="a tier"),
        pytest.param({"part": "classifier"}, Trigger("classifier", 8.0, 0.0), id="the classifier"),
        pytest.param({"part": "router"}, Trigger("router", 64.0, 0.0), id="the router"),
        pytest.param(
            {"part": "tier/v1.2_x", "targetPerReplica": "2.5", "activation": "3"},
            Trigger("tier/v1.2_x", 2.5, 3.0),
            id="with numbers",
        ),
        pytest.param(
            {"part": "router", "scalerAddress": "scaler:9000", "enableTLS": "true", "unsafeSsl": "false"},
            Trigger("router", 64.0, 0.0),
            id="with what is meant for KEDA",
        ),
    ],
)
def test_metadata_that_makes_sense_is_taken(metadata: dict[str, str], trigger: Trigger) -> None:
    assert trigger_of(metadata) == trigger


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({}, "scalerMetadata.part: must be tier/NAME, classifier or router, not ''"),
        ({"part": "strong"}, "scalerMetadata.part: must be tier/NAME, classifier or router, not 'strong'"),
        ({"part": "tier/"}, "scalerMetadata.part: must be tier/NAME, classifier or router, not 'tier/'"),
        ({"part": "router/"}, "scalerMetadata.part: must be tier/NAME, classifier or router, not 'router/'"),
        ({"part": "Router"}, "scalerMetadata.part: must be tier/NAME, classifier or router, not 'Router'"),
        (
            {"part": "router", "targetPerReplica": "many"},
            "scalerMetadata.targetPerReplica: must be a number, not 'many'",
        ),
        (
            {"part": "router", "targetPerReplica": "nan"},
            "scalerMetadata.targetPerReplica: must be a number, not 'nan'",
        ),
        (
            {"part": "router", "targetPerReplica": "inf"},
            "scalerMetadata.targetPerReplica: must be a number, not 'inf'",
        ),
        (
            {"part": "router", "targetPerReplica": "1e300"},
            "scalerMetadata.targetPerReplica: must be at most 1000000000, not '1e300'",
        ),
        ({"part": "router", "targetPerReplica": "0"}, "scalerMetadata.targetPerReplica: must be above 0"),
        ({"part": "router", "activation": "-1"}, "scalerMetadata.activation: must not be below 0"),
        ({"part": "router", "activation": ""}, "scalerMetadata.activation: must be a number, not ''"),
        (
            {"part": "router", "targetPerReplcia": "3"},
            "scalerMetadata.targetPerReplcia: is not known; known are part, targetPerReplica, activation",
        ),
    ],
)
def test_metadata_that_makes_no_sense_is_refused_with_a_sentence(
    metadata: dict[str, str], sentence: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        trigger_of(metadata)
    assert refusal.value.message == sentence


def test_a_long_value_is_not_repeated_as_a_whole() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        trigger_of({"part": "x" * 10_000})
    assert len(refusal.value.message) < 200


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("tier/strong", "steersman-tier-strong"),
        ("tier/v1.2_x", "steersman-tier-v1-2-x"),
        ("classifier", "steersman-classifier"),
    ],
)
def test_the_metric_is_named_after_the_part_in_letters_that_kubernetes_takes(part: str, name: str) -> None:
    assert trigger_of({"part": part}).metric_name == name
