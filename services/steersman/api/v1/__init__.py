"""Stubs of the package steersman.api.v1."""
