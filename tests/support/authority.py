"""Certificates for tests: a certificate authority, and chains with dates and numbers of choice."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


class Authority:
    """A certificate authority whose own certificate is in `file`."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def context(
        self,
        *names: str,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        demands: bool = False,
    ) -> ssl.SSLContext:
        """Give a server's context with a certificate for these names.

        With `demands`, a client has to present a certificate of this authority.
        """
        issued = self._ca.issue_cert(
            *(names or ("localhost", "127.0.0.1")), not_before=not_before, not_after=not_after
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        if demands:
            context.verify_mode = ssl.CERT_REQUIRED
            self._ca.configure_trust(context)

        return context

    def write_server(self, folder: Path) -> tuple[Path, Path]:
        """Issue a certificate of this machine; give the files of the chain and of its key."""
        issued = self._ca.issue_cert("localhost", "127.0.0.1")
        certificate, key = folder / "server.pem", folder / "server.key"
        certificate.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())

        return certificate, key

    def write_client(self, folder: Path, name: str = "monitor") -> tuple[Path, Path]:
        """Issue a client's certificate; give the files of the certificate and of its key."""
        issued = self._ca.issue_cert(f"{name}@example.org", common_name=name)
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())

        return certificate, key


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def issue(
    name: str,
    *,
    lasts: timedelta,
    serial: int | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
    issuer: Identity | None = None,
) -> Identity:
    """Issue a certificate from now on: self-signed and an authority without an issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer.key if issuer else key
    now = datetime.now(UTC).replace(microsecond=0)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )

    return Identity(key=key, certificate=certificate)


def context_of(folder: Path, leaf: Identity, *others: Identity) -> ssl.SSLContext:
    """Give a server's context that presents these certificates, leaf first."""
    chain = folder / "chain.pem"
    chain.write_bytes(b"".join(one.pem for one in (leaf, *others)))
    secret = folder / "key.pem"
    secret.write_bytes(
        leaf.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)

    return context
