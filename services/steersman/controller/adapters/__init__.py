"""One outside system each; only `app.py` knows them."""
