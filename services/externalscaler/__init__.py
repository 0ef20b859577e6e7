"""Stubs of KEDA's protocol for external scalers. `make generate` writes them; nobody edits them."""
