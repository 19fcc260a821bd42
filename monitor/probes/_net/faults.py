"""The words for what goes wrong below HTTP: system, resolver and TLS errors as faults."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault
from monitor.names import is_answer, require_descriptor

if TYPE_CHECKING:
    from monitor.core.model.observation import Certificate

_OURS: Final = {
    errno.EMFILE: "the monitor has no free file descriptor",
    errno.ENFILE: "this machine has no free file descriptor",
    errno.ENOMEM: "this machine has no free memory",
    errno.ENOBUFS: "this machine has no free network buffer",
    errno.EADDRNOTAVAIL: "this machine has no free local port or address",
    errno.ENETDOWN: "the network interface of this machine is down",
}
_GONE: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ESHUTDOWN})
_ABOUT_OUR_CERTIFICATE: Final = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of ours, and got none",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know who issued our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it does not accept a certificate such as ours",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate has expired, it says",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "our certificate was revoked, it says",
    "TLSV1_ALERT_ACCESS_DENIED": "it does not let in who has our certificate",
}
"""What a server says of a client's certificate, in words; under TLS 1.3 after the handshake."""

_OUR_RESOLVER: Final = frozenset({socket.EAI_MEMORY})

# results of X509_verify_cert, as OpenSSL numbers them
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_NAME_MISMATCH: Final = frozenset({62, 64})


class Faulted(Exception):
    """A fault on its way up from the place where it was understood."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def explain_own(error: OSError) -> Fault | None:
    """Give the fault where an error is this machine's own; None where it is not."""
    if error.errno not in _OURS:
        return None

    return Fault(code=Code.INTERNAL, message=_OURS[error.errno], own=True)


def explain_shortage() -> Fault | None:
    """Give the fault where no file can be opened any more, asked at once when something failed.

    What opens files of its own (a database, a trust store) does not always say that this was why.
    """
    try:
        require_descriptor()
    except OSError as error:
        return explain_own(error)

    return None


def explain_no_memory() -> Fault:
    """Give the fault where this machine has no memory left."""
    return Fault(code=Code.INTERNAL, message=_OURS[errno.ENOMEM], own=True)


def explain_lookup(error: OSError | UnicodeError, host: str) -> Fault:
    """Say why a name has no address."""
    if isinstance(error, UnicodeError):
        return Fault(code=Code.DNS, message=f"{host} is not a valid host name")
    if own := explain_own(error):
        return own
    if isinstance(error, socket.gaierror) and error.errno in _OUR_RESOLVER:
        return explain_no_memory()

    said = (error.strerror or str(error)).rstrip(".")
    if not isinstance(error, socket.gaierror):
        # no resolver was asked: a file could not be read, a socket not be opened
        message = f"this machine could not look up {host}: {said[:1].lower()}{said[1:]}"
        return Fault(code=Code.INTERNAL, message=message, own=True)

    return Fault(
        code=Code.DNS,
        message=f"{host} did not resolve: {said[:1].lower()}{said[1:]}",
        unanswered="" if is_answer(error) else host,
    )


def explain_connect(error: OSError, peer: str, *, only_ipv6: bool = False) -> Fault:
    """Say why there is no connection; `peer` is host and port.

    Where it has addresses of IPv6 alone, that this machine has none to come from is no lack of
    ours: the target, or whoever redirected there, chose them.
    """
    chosen = only_ipv6 and error.errno == errno.EADDRNOTAVAIL
    if not chosen and (own := explain_own(error)):
        return own

    match error.errno:
        case errno.EPERM | errno.EACCES:
            message = f"this machine does not permit a connection to {peer}"
            return Fault(code=Code.INTERNAL, message=message, own=True)
        case errno.ECONNREFUSED:
            return Fault(code=Code.CONNECTION_REFUSED, message=f"{peer} refused the connection")
        case errno.ETIMEDOUT:
            return Fault(
                code=Code.TIMEOUT,
                message=f"{peer} did not accept the connection: the system gave up waiting",
            )
        case number if number in _GONE:
            return Fault(code=Code.CONNECTION_RESET, message=f"{peer} reset the connection at once")
        case None:
            return Fault(
                code=Code.CONNECTION_REFUSED,
                message=f"none of the addresses of {peer} could be reached",
            )
        case number:
            return Fault(
                code=Code.CONNECTION_REFUSED,
                message=f"{peer} could not be reached: {os.strerror(number).lower()}",
            )


def explain_unix(error: OSError, path: str) -> Fault:
    """Say why there is no connection to a Unix socket: its file is the target's, as its owner."""
    if own := explain_own(error):
        return own

    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            message = f"there is no socket at {path}"
        case errno.EACCES | errno.EPERM:
            message = f"{path} may not be opened: permission denied"
        case errno.ECONNREFUSED:
            message = f"{path} refused the connection: nobody listens there"
        case number:
            message = f"{path} could not be reached: {os.strerror(number or 0).lower()}"

    return Fault(code=Code.CONNECTION_REFUSED, message=message)


def explain_tls(error: OSError, peer: str, name: str, certificate: Certificate | None) -> Fault:
    """Say why the TLS handshake failed; `name` is the name that was checked."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_verification(error, name, certificate)
    if own := explain_own(error):
        return own
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):
        return Fault(
            code=Code.CONNECTION_RESET,
            message=f"{peer} closed the connection during the TLS handshake",
        )

    return Fault(
        code=Code.TLS_HANDSHAKE,
        message=f"the TLS handshake with {peer} failed: {_say_tls(error)}",
    )


def explain_refused_certificate(error: Exception, peer: str) -> Fault | None:
    """Give the fault where an error is a server's word about our certificate.

    Under TLS 1.3 it comes once the handshake is over for us.
    """
    if getattr(error, "reason", None) not in _ABOUT_OUR_CERTIFICATE:
        return None

    assert isinstance(error, OSError)
    message = f"the TLS handshake with {peer} failed: {_say_tls(error)}"

    return Fault(code=Code.TLS_HANDSHAKE, message=message)


def _explain_verification(
    error: ssl.SSLCertVerificationError, name: str, certificate: Certificate | None
) -> Fault:
    match error.verify_code:
        case code if code == _EXPIRED:
            when = ""
            if certificate is not None:
                when = f" on {certificate.earliest_not_after:%Y-%m-%d %H:%M} UTC"
            return Fault(
                code=Code.TLS_CERT_EXPIRED, message=f"the certificate of {name} expired{when}"
            )
        case code if code == _NOT_YET_VALID:
            when = ""
            if certificate is not None:
                when = f" before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
            return Fault(
                code=Code.TLS_CERT_NOT_YET_VALID,
                message=f"the certificate of {name} is not valid{when or ' yet'}",
            )
        case code if code in _NAME_MISMATCH:
            names = ", ".join(certificate.subject_alternative_names[:5]) if certificate else ""
            return Fault(
                code=Code.TLS_CERT_HOSTNAME,
                message=f"the certificate is not for {name}"
                + (f", but for {names}" if names else ""),
            )
        case _:
            # of a trust store that cannot be opened, OpenSSL says no more than that it knows nobody
            if shortage := explain_shortage():
                return shortage
            return Fault(
                code=Code.TLS_CERT_UNTRUSTED,
                message=f"the certificate of {name} is not trusted: {error.verify_message}",
            )


def _say_tls(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    match reason:
        case (
            "WRONG_VERSION_NUMBER"
            | "HTTP_REQUEST"
            | "PACKET_LENGTH_TOO_LONG"
            | "RECORD_LAYER_FAILURE"
        ):
            return "it does not speak TLS"
        case "UNSUPPORTED_PROTOCOL" | "TLSV1_ALERT_PROTOCOL_VERSION" | "NO_PROTOCOLS_AVAILABLE":
            return "no version of TLS in common"
        case "SSLV3_ALERT_HANDSHAKE_FAILURE" | "NO_SHARED_CIPHER":
            return "nothing in common that both would speak, or it wants a certificate of ours"
        case str() if reason in _ABOUT_OUR_CERTIFICATE:
            return _ABOUT_OUR_CERTIFICATE[reason]
        case _:
            return str(reason).replace("_", " ").lower()
