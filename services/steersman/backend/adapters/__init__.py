"""One module for each outside system that the backend speaks to."""
