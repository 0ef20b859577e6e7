"""Asks a router over HTTPS for some seconds, with a client certificate and a new connection each time.

Called with HOST:PORT, the folder of certificates and the seconds; leaves what it was told, as JSON, as its container's
last message, which has room for 4 KiB. Needs nothing but Python.
"""

import http.client
import json
import ssl
import sys
import time
from pathlib import Path

LAST_MESSAGE = Path("/dev/termination-log")
FAILURES = 10
"""So many are told word by word."""
LENGTH = 200
"""So much of each."""


def ask(address: str, folder: Path, number: int) -> tuple[str, str]:
    """Reason and cache state of one decision, whose prompt nobody has asked before."""
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    opened = http.client.HTTPSConnection(address, timeout=60, context=context)
    messages = [{"role": "user", "content": f"What is {number} times {time.time_ns()}?"}]
    body = json.dumps({"model": "auto", "max_tokens": 2, "messages": messages})
    opened.request("POST", "/v1/chat/completions", body, headers={"content-type": "application/json"})
    response = opened.getresponse()
    text = response.read().decode()
    opened.close()
    if response.status != http.client.OK:
        raise OSError(f"{response.status} {text}")
    return response.headers["x-steersman-reason"], response.headers["x-steersman-cache"]


def main() -> None:
    """Ask until the time is over."""
    address, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    answered, failed, reasons, caches = 0, [], set(), set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            reason, cache = ask(address, folder, answered)
        except OSError as error:
            failed.append(f"{type(error).__name__}: {error}"[:LENGTH])
            continue
        answered += 1
        reasons.add(reason)
        caches.add(cache)
    told = {
        "answered": answered,
        "failed": len(failed),
        "failures": failed[:FAILURES],
        "reasons": sorted(reasons),
        "caches": sorted(caches),
    }
    LAST_MESSAGE.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
