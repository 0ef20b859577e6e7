"""Generated protocol stubs. `make generate` writes them; nobody edits them."""
