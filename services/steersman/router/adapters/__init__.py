"""One module for each outside system that the router speaks to."""
