"""How much quality a classifier keeps, at what price, and for whom.

    evaluating -> measures, operating -> bootstrap
    rows, transfer -> benchmark

The arithmetic (`bootstrap`, `measures`, `hull`, `operating`, `groups`) reads no file; `rows` and `transfer` read them.
"""
