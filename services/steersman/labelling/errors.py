"""What goes wrong in labelling beside unreadable data: whoever answers does not."""

from __future__ import annotations

from steersman.classifier.errors import ClassifierError


class LabellingError(ClassifierError):
    """A step of labelling cannot go on; what it has stored is kept."""
