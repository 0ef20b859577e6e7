"""Data sets by name: where their public homes are, how they are fetched, and whether what is there is right."""
