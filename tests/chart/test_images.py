"""The images: how their recipes are written, what the script asks the builders for, what a release publishes.

No builder is needed: programs that write down what they are asked stand in for docker, podman, buildah and kind. That
the images can be built, and what is in them, is for `make test-cluster`.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from chart.rendering import CHART, Release

ROOT: Final = CHART.parents[2]
RECIPES: Final = (
    "services/Dockerfile",
    "services/Dockerfile.engine",
    "triton_models/Dockerfile",
    "triton_models/Dockerfile.cpu",
)
BUILT: Final = ("router", "backend", "scaler", "controller", "cli", "engine", "classifier")
STAND_IN: Final = """#!/bin/sh
echo "$(basename "$0") $*" >>"$ASKED"
case "$*" in
  *--digestfile*) echo sha256:0123 >"$3" ;;
  inspect*) echo name@sha256:0123 ;;
esac
"""


def _instructions(recipe: str) -> list[str]:
    text = (ROOT / recipe).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_image_is_made_in_two_stages_on_a_base_that_can_be_pinned(recipe: str) -> None:
    instructions = _instructions(recipe)

    assert instructions[0].startswith("ARG BASE=")
    stages = [line for line in instructions if line.startswith("FROM ")]
    assert stages == ["FROM ${BASE} AS build", "FROM ${BASE}"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_image_holds_what_is_locked_by_hash_and_nothing_that_installs(recipe: str) -> None:
    instructions = _instructions(recipe)
    last = instructions[instructions.index("FROM ${BASE}") :]
    installs = re.findall(r"pip (?:--python \S+ )?install [^&]*", "\n".join(instructions))

    assert installs
    assert all("--require-hashes" in each and "--no-deps" in each for each in installs)
    assert not any(re.search(r"apt-get|pip install|curl|wget", line) for line in last)
    assert any(line.startswith("RUN") and "ensurepip" in line and "rm -rf" in line for line in last)


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_image_runs_as_nobody_by_a_number_and_without_a_shell(recipe: str) -> None:
    last = _instructions(recipe)[-4:]

    assert "USER 65532:65532" in last  # a number: Kubernetes can tell that it is not root
    assert any(re.match(r'ENTRYPOINT \["', line) for line in last)


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_image_says_what_it_is(recipe: str) -> None:
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", (ROOT / recipe).read_text()))

    assert labels >= {"title", "description", "source", "licenses", "version", "revision"}


def test_the_classifier_for_gpu_nodes_is_made_from_nvidias_image() -> None:
    base = re.match(r"ARG BASE=nvcr\.io/nvidia/tritonserver:(\d+)\.(\d+)-py3", _instructions(RECIPES[2])[0])

    assert base is not None
    assert (int(base[1]), int(base[2])) >= (24, 12)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the programs on the PATH were asked, once `deploy/images.sh` has run; they do nothing."""
    for program in ("docker", "podman", "buildah", "kind"):
        (tmp_path / program).write_text(STAND_IN)
        (tmp_path / program).chmod(0o755)
    for name in ("BASE", "GPU_BASE", "BUILDER", "REGISTRY", "VERSION", "KIND_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return tmp_path / "asked"


def _script(*arguments: str) -> str:
    said = subprocess.run(
        [ROOT / "deploy" / "images.sh", *arguments], check=True, capture_output=True, text=True
    )
    return said.stdout


@pytest.mark.parametrize("builder", ["docker", "podman", "buildah"])
def test_each_builder_makes_every_image(asked: Path, monkeypatch: pytest.MonkeyPatch, builder: str) -> None:
    monkeypatch.setenv("BUILDER", builder)

    _script("build")

    builds = [line for line in asked.read_text().splitlines() if " build " in line]
    assert [line.split("--tag ")[1] for line in builds] == [
        f"ghcr.io/steersman/steersman-{name}:0.1.0 ." for name in BUILT
    ]
    assert all(line.startswith(f"{builder} build ") for line in builds)
    assert all("SOURCE_DATE_EPOCH=1700000000" in line for line in builds)
    assert all(("--timestamp 1700000000" in line) is (builder != "docker") for line in builds)


def test_bases_are_pinned_from_outside(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE", "python@sha256:01")
    monkeypatch.setenv("GPU_BASE", "tritonserver@sha256:02")

    _script("build", "router", "classifier-gpu")

    router, classifier = (line for line in asked.read_text().splitlines() if " build " in line)
    assert "BASE=python@sha256:01" in router
    assert "BASE=tritonserver@sha256:02" in classifier
    assert "python@" not in classifier


@pytest.mark.parametrize("builder", ["docker", "podman", "buildah"])
def test_images_get_into_kind(asked: Path, monkeypatch: pytest.MonkeyPatch, builder: str) -> None:
    monkeypatch.setenv("BUILDER", builder)

    _script("load", "router")

    *_, saved, loaded = asked.read_text().splitlines()
    archive = loaded.rpartition(" ")[2]
    assert saved.startswith(f"{builder} push" if builder == "buildah" else f"{builder} save")
    assert archive in saved
    assert loaded == f"kind load image-archive --name steersman {archive}"


@pytest.mark.parametrize("builder", ["docker", "podman"])
def test_what_is_pushed_is_told_by_its_digest(
    asked: Path, monkeypatch: pytest.MonkeyPatch, builder: str
) -> None:
    monkeypatch.setenv("BUILDER", builder)

    said = _script("push", "router")

    assert said.endswith("@sha256:0123\n")
    assert said.count("\n") == 1
    assert f"{builder} push" in asked.read_text()


def test_every_image_that_the_chart_names_is_built_by_the_script(releases: dict[str, Release]) -> None:
    named = {
        container["image"]
        for release in releases.values()
        for _, pod in release.pods()
        for container in [*pod.get("initContainers", []), *pod["containers"]]
    }

    ours = {image for image in named if "/steersman/" in image}
    assert ours <= set(_script("names", *BUILT, "classifier-gpu").split())
    assert {image.partition("/")[0] for image in named - ours} == {"docker.io"}


def _workflow() -> Any:
    return yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())


def test_a_release_publishes_every_image_and_then_the_chart() -> None:
    jobs = _workflow()["jobs"]

    assert jobs["image"]["strategy"]["matrix"]["name"] == [*BUILT, "classifier-gpu"]
    assert jobs["chart"]["needs"] == "image"
    for name in ("image", "chart"):
        steps = jobs[name]["steps"]
        assert any("cosign sign" in step.get("run", "") for step in steps)
        assert any(step.get("uses", "").startswith("actions/attest-build-provenance@") for step in steps)


def test_the_chart_looks_for_images_where_a_release_puts_them() -> None:
    chart, values = (yaml.safe_load((CHART / file).read_text()) for file in ("Chart.yaml", "values.yaml"))
    owner = chart["sources"][0].split("/")[3]

    registry = _workflow()["env"]["REGISTRY"].replace("${{ github.repository_owner }}", owner)
    assert registry == values["image"]["registry"]


def test_a_release_runs_only_actions_that_are_pinned_and_with_no_right_that_is_not_named() -> None:
    workflow = _workflow()
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]

    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used)
    assert workflow["permissions"] == {}
