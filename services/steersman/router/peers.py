"""Whose certificate a connection was opened with, as gRPC and as HTTP tell it; both must tell the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import grpc
from aiohttp import web

from steersman.identity.shown import Peer

_NAMES: Final = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "street",
    "userId": "UID",
}
"""Attributes by the names that OpenSSL has for them, with those that RFC 4514 has."""
_SPECIAL: Final = ',+"\\<>;'


def of_rpc(context: grpc.aio.ServicerContext[Any, Any]) -> Peer | None:
    """The peer of a gRPC call; None where it has shown no certificate."""
    shown: Mapping[str, Iterable[bytes]] = context.auth_context()
    if "x509_pem_cert" not in shown:
        return None
    subject = b"".join(shown.get("x509_subject", ())).decode()
    return Peer(tuple(uri.decode() for uri in shown.get("peer_uri", ())), subject)


def of_request(http: web.Request) -> Peer | None:
    """The peer of an HTTP request; None where it has shown no certificate."""
    shown = http.get_extra_info("peercert")
    if not shown:
        return None
    uris = (value for kind, value in shown.get("subjectAltName", ()) if kind == "URI")
    return Peer(tuple(uris), _subject(shown.get("subject", ())))


def _subject(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    """A subject in the form of RFC 4514: the last part first."""
    said = ["+".join(f"{_NAMES.get(name, name)}={_escaped(value)}" for name, value in part) for part in parts]
    return ",".join(reversed(said))


def _escaped(value: str) -> str:
    last = len(value) - 1
    return "".join(
        _escaped_character(character, at_edge=index in {0, last}, first=index == 0)
        for index, character in enumerate(value)
    )


def _escaped_character(character: str, *, at_edge: bool, first: bool) -> str:
    if character in _SPECIAL or (character == " " and at_edge) or (character == "#" and first):
        return f"\\{character}"
    if character.isascii() and character.isprintable():
        return character
    return "".join(f"\\{byte:02X}" for byte in character.encode())
