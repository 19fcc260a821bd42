"""TLS as a client: contexts that are shared, and what a peer presented, verified or not."""

from __future__ import annotations

import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.observation import Certificate, Code, Fault
from monitor.probes._net.faults import Faulted, explain_shortage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

handshakes: ContextVar[list[ssl.SSLObject] | None] = ContextVar("handshakes", default=None)
"""Where the contexts of this module leave each TLS object they make, also of a failed handshake."""

_VERSION_NAMES: Final = {
    "TLSv1": "TLS 1.0",
    "TLSv1.1": "TLS 1.1",
    "TLSv1.2": "TLS 1.2",
    "TLSv1.3": "TLS 1.3",
}
_DER: Final = 2  # _ssl.ENCODING_DER, which the standard library does not export


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsTerms:
    """On which terms a handshake is accepted: what makes two contexts the same.

    `alpn` are the protocols that are offered, none where none is spoken of.
    """

    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    min_version: ssl.TLSVersion | None = None
    max_version: ssl.TLSVersion | None = None
    alpn: tuple[str, ...] = ()

    def files(self) -> list[tuple[str, str]]:
        """Give the files that are read for a handshake, by the names of their options."""
        given = (
            ("ca_file", self.ca_file),
            ("cert_file", self.cert_file),
            ("key_file", self.key_file),
        )

        return [(name, path) for name, path in given if path is not None]


class _RecordingContext(ssl.SSLContext):
    """Leaves each TLS object in `handshakes`: the event loop hides the one that failed."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        made = super().wrap_bio(*args, **kwargs)
        if (recorded := handshakes.get()) is not None:
            recorded.append(made)

        return made


def client_context(terms: TlsTerms) -> ssl.SSLContext:
    """Give the shared context for these terms; a file that changed is read again.

    Raises Faulted where one of the files cannot be used, which is no fault of the peer's.
    """
    try:
        return _make_context(terms, tuple([_stamp(*file) for file in terms.files()]))
    except OSError as error:
        raise Faulted(Fault(code=Code.INTERNAL, message=str(error), own=True)) from error


def load_client_certificate(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    """Let a context present a certificate of ours; raises OSError that says why it cannot."""
    files = f"cert_file {cert_file} and key_file {key_file}"
    try:
        # without an answer of ours, OpenSSL would ask the terminal for the password of a key
        context.load_cert_chain(cert_file, key_file, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise OSError(f"{files} do not belong together") from error
        wanted = "expected a certificate and its key in PEM, without a password"
        raise OSError(f"{files} cannot be used: {wanted}") from error
    except PermissionError as error:
        raise PermissionError(f"{files} cannot be read: permission denied") from error
    except OSError as error:
        raise OSError(f"{files} cannot be read: {error.strerror or error}") from error


def _stamp(name: str, path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError as error:
        raise OSError(f"{name} {path} cannot be read: {error.strerror}") from error

    return found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=64)
def _make_context(terms: TlsTerms, _stamps: tuple[tuple[int, int], ...]) -> ssl.SSLContext:
    """Build a context: the trust store takes milliseconds to load, so it is done once."""
    context = _RecordingContext(ssl.PROTOCOL_TLS_CLIENT)
    if terms.alpn:
        context.set_alpn_protocols(list(terms.alpn))
    if not terms.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif terms.ca_file is not None:
        _load_authorities(context, terms.ca_file)
    else:
        context.load_default_certs()
        if shortage := explain_shortage():
            raise Faulted(shortage)  # a store that could not be opened is silently left out
    if terms.cert_file is not None and terms.key_file is not None:
        load_client_certificate(context, terms.cert_file, terms.key_file)

    _set_versions(context, terms)

    return context


def _load_authorities(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        why = error.strerror or str(error)
        raise OSError(f"ca_file {ca_file} cannot be read: {why}") from error


def _set_versions(context: ssl.SSLContext, terms: TlsTerms) -> None:
    lowest = terms.min_version
    if terms.max_version is not None and lowest is None:
        lowest = min(terms.max_version, ssl.TLSVersion.TLSv1_2)
    if lowest is not None:
        context.minimum_version = lowest
        if lowest < ssl.TLSVersion.TLSv1_2:
            # OpenSSL 3 speaks the old versions at no other level
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if terms.max_version is not None:
        context.maximum_version = terms.max_version


def version_name(tls: ssl.SSLObject) -> str | None:
    """Give the agreed version as blackbox_exporter labels it, such as `TLS 1.3`."""
    version = tls.version()

    return _VERSION_NAMES.get(version, version) if version else None


def presented_certificate(tls: ssl.SSLObject, *, verified: bool) -> Certificate | None:
    """Give the facts of the chain that the peer presented; None where it presented none.

    Works after a handshake that failed verification too, so that no second connection is needed.
    """
    chain = _chain(tls, "get_unverified_chain")
    if not chain:
        return None

    return read_certificates(chain, _chain(tls, "get_verified_chain") if verified else ())


def _chain(tls: ssl.SSLObject, method: str) -> tuple[bytes, ...]:
    """Give the presented or the verified chain in DER, leaf first."""
    if hasattr(tls, method):  # public from Python 3.13 on
        return tuple(getattr(tls, method)() or ())

    # Any: the C object below has had the methods since 3.10, without a place in the type stubs
    inner: Any = getattr(tls, "_sslobj", None)
    found: Sequence[Any] = getattr(inner, method)() or () if inner is not None else ()

    return tuple(certificate.public_bytes(_DER) for certificate in found)


@lru_cache(maxsize=1024)
def read_certificates(
    chain: tuple[bytes, ...], trusted: tuple[bytes, ...] = ()
) -> Certificate | None:
    """Read a presented chain in DER, leaf first; None where the leaf is no certificate.

    `trusted` is the chain that was verified, empty where none was.
    The library takes as long to import as a small run lasts, so it is, once there is something.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        leaf, *others = [x509.load_der_x509_certificate(der) for der in chain]
        verified = [x509.load_der_x509_certificate(der) for der in trusted]
    except ValueError:
        return None

    return Certificate(
        subject=_write_name(leaf.subject),
        issuer=_write_name(leaf.issuer),
        subject_alternative_names=_read_names(leaf),
        serial_number=_write_serial(leaf.serial_number),
        fingerprint_sha256=leaf.fingerprint(hashes.SHA256()).hex(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        earliest_not_after=min(one.not_valid_after_utc for one in (leaf, *others)),
        verified=bool(verified),
        trusted_not_after=min((one.not_valid_after_utc for one in verified), default=None),
    )


def _write_name(name: x509.Name) -> str:
    try:
        return name.rfc4514_string()
    except ValueError:
        return "(unreadable)"


def _read_names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()

    return tuple(
        str(name.value)
        for name in extension.value
        if isinstance(name, x509.DNSName | x509.IPAddress)
    )


def _write_serial(number: int) -> str:
    """Write a serial number as its bytes in hexadecimal: a leading zero is kept, none is added."""
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big").hex()
