"""The collector of the local system, listening where pods can reach it; by TLS where it is given a folder for it."""

from __future__ import annotations

import sys
from pathlib import Path

from steersman.local.collector import serve

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    serve(host="0.0.0.0", port=4318, certificates=folder)  # noqa: S104 - a pod
