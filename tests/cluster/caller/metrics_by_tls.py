"""Reads metrics as Prometheus does: by HTTPS at a pod's address, with a certificate, for the name that all pods have.

Called with the folder of certificates, that name and HOST:PORTs; leaves the first metric of each, as JSON, as its
container's last message. Needs nothing but Python.
"""

import http.client
import json
import socket
import ssl
import sys
from pathlib import Path


def read(context: ssl.SSLContext, name: str, address: str) -> str:
    """The name of the first metric."""
    host, _, port = address.rpartition(":")
    opened = http.client.HTTPConnection(host, timeout=10)
    opened.sock = context.wrap_socket(socket.create_connection((host, int(port)), 10), server_hostname=name)
    opened.request("GET", "/metrics")
    response = opened.getresponse()
    text = response.read().decode()
    opened.close()
    if response.status != http.client.OK:
        raise OSError(f"{address}: {response.status} {text}")
    return next(line.split()[2] for line in text.splitlines() if line.startswith("# HELP "))


def main() -> None:
    """Read all of them."""
    folder, name, *addresses = sys.argv[1:]
    context = ssl.create_default_context(cafile=Path(folder) / "ca.crt")
    context.load_cert_chain(Path(folder) / "tls.crt", Path(folder) / "tls.key")
    told = {address: read(context, name, address) for address in addresses}
    Path("/dev/termination-log").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
