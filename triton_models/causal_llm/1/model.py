"""What Triton looks for; `steersman.classifier.triton_model` is the same for every method."""

# ruff: noqa: INP001  # Triton loads this file by its path

from steersman.classifier.triton_model import TritonPythonModel

__all__ = ["TritonPythonModel"]
