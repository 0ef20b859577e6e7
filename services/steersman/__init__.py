"""Steersman decides, query by query, which of several language models should answer."""

__version__ = "0.1.0"
