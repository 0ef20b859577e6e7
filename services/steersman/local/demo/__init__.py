"""`make demo`: the whole system shown at work on a dozen queries."""
