"""Real certificates, by an authority that lives as long as whoever made it, in the layout of cert-manager."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LOCAL: Final = "127.0.0.1"
_AUTHORITY_VALID: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, as PEM, with what its holder trusts."""

    certificate: bytes
    key: bytes
    trusted: bytes

    def write(self, folder: Path) -> Path:
        """Put it where a process looks for it; in place of another one, by a link as kubelet does."""
        folder.mkdir(exist_ok=True)
        version = folder / f"..{datetime.now(UTC).timestamp()}"
        version.mkdir()
        files = {"tls.crt": self.certificate, "tls.key": self.key, "ca.crt": self.trusted}
        for name, content in files.items():
            (version / name).write_bytes(content)
        (folder / "..data_tmp").symlink_to(version.name)
        (folder / "..data_tmp").rename(folder / "..data")
        for name in files:
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        return folder

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        """What a gRPC client with it shows."""
        return grpc.ssl_channel_credentials(self.trusted, self.key, self.certificate)

    def context(self, folder: Path) -> ssl.SSLContext:
        """What any other client with it shows."""
        context = ssl.create_default_context(cadata=self.trusted.decode())
        self.write(folder)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        return context


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority of one's own."""

    name: str = "Steersman's own"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        built = _built(_subject(self.name), _subject(self.name), self.key.public_key(), _AUTHORITY_VALID)
        constrained = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return constrained.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def issue(
        self,
        *names: str,
        uris: Sequence[str] = (),
        common_name: str = "somebody",
        organisation: str | None = None,
        trusted: bytes = b"",
        valid: timedelta = timedelta(hours=1),
    ) -> Issued:
        """A certificate for DNS names or IP addresses, and URIs; its holder trusts this authority if no other."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(common_name, organisation)
        built = _built(subject, _subject(self.name), key.public_key(), valid)
        general = [_name(name) for name in names] + [x509.UniformResourceIdentifier(uri) for uri in uris]
        if general:
            built = built.add_extension(x509.SubjectAlternativeName(general), critical=False)
        certificate = built.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Issued(certificate, private, trusted or self.pem)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subject(common_name: str, organisation: str | None = None) -> x509.Name:
    parts = [] if organisation is None else [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _built(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + valid)
    )
