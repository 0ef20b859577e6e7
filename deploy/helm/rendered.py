"""Writes k8s/crd/ and k8s/rendered/: the chart as plain manifests, for people who do not use Helm.

The cache's key and callers' keys are Secrets that they make themselves, and the pod of `helm test` is left out, so that
two renders of one chart are alike. `--check` only says whether the files are fresh.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import helm_python
import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "deploy" / "helm" / "steersman"
K8S: Final = ROOT / "k8s"
VARIANTS: Final = {"default": None, "gpu": "values-gpu.yaml"}
"""Names of the files, and of their values in the chart."""
_BANNER: Final = "# Written by deploy/helm/rendered.py; change the chart instead.\n"


def rendered(values_file: str | None) -> str:
    """The chart with these values as one YAML text."""
    values: dict[str, Any] = yaml.safe_load((CHART / values_file).read_text()) if values_file else {}
    values.setdefault("cache", {})["hmacKey"] = {"existingSecret": "steersman-cache-key"}
    values.setdefault("router", {}).setdefault("identity", {})["keysSecret"] = "steersman-keys"
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(values, name="steersman", namespace="steersman")
    documents = [
        document
        for path, text in sorted(files.items())
        if path.endswith(".yaml") and "/tests/" not in path
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader)
        if document
    ]
    for document in documents:
        document["metadata"]["labels"].pop("app.kubernetes.io/managed-by")
        document["metadata"]["labels"].pop("helm.sh/chart")
    return _BANNER + yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=False, width=120)


def _wanted() -> Iterator[tuple[Path, str]]:
    """Every file, and what it should say."""
    for source in sorted((CHART / "crds").glob("*.yaml")):
        yield K8S / "crd" / source.name, _BANNER + source.read_text()
    for name, values_file in VARIANTS.items():
        yield K8S / "rendered" / f"{name}.yaml", rendered(values_file)


def main() -> int:
    """Write the files, or with --check say whether they are fresh."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a file is not fresh")
    check = parser.parse_args().check
    stale = []
    for path, text in _wanted():
        if check and (not path.exists() or path.read_text() != text):
            stale.append(path)
        elif not check:
            path.write_text(text)
    for path in stale:
        sys.stderr.write(f"{path.relative_to(ROOT)} is older than the chart: run deploy/helm/rendered.py.\n")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
