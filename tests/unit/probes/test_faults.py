"""The words for errors of the system, of the resolver and of TLS, and whose fault each is."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from monitor.core.model.observation import Code
from monitor.probes._net.faults import (
    Faulted,
    explain_connect,
    explain_lookup,
    explain_own,
    explain_tls,
)
from monitor.probes._net.tls import TlsTerms, client_context
from tests.support.shortage import descriptors_left

PEER = "shop.test:443"


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=errno.errorcode[number])
        for number in (
            errno.EMFILE,
            errno.ENFILE,
            errno.ENOMEM,
            errno.ENOBUFS,
            errno.EADDRNOTAVAIL,
            errno.ENETDOWN,
        )
    ],
)
def test_what_this_machine_lacks_is_never_the_target_s_fault(number: int) -> None:
    error = OSError(number, os.strerror(number))

    for fault in (
        explain_own(error),
        explain_connect(error, PEER),
        explain_lookup(error, "shop.test"),
        explain_tls(error, PEER, "shop.test", None),
    ):
        assert fault is not None
        assert fault.own
        assert fault.code is Code.INTERNAL


def test_that_this_machine_has_no_address_to_come_from_is_our_own_fault_unless_it_is_ipv6() -> None:
    """An answer may redirect to any address: that there is no IPv6 here must not excuse it."""
    none_left = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    assert explain_connect(none_left, PEER).own
    assert not explain_connect(none_left, PEER, only_ipv6=True).own


def test_a_resolver_without_memory_is_our_own_fault() -> None:
    fault = explain_lookup(socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"), "x")

    assert fault.own


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES], ids=["a filter", "a route"])
def test_what_this_machine_forbids_is_our_own_fault(number: int) -> None:
    fault = explain_connect(PermissionError(number, "not permitted"), PEER)

    assert fault.own
    assert fault.message == "this machine does not permit a connection to shop.test:443"


def test_a_name_that_the_system_could_not_ask_for_is_our_own_fault() -> None:
    fault = explain_lookup(OSError(errno.EBUSY, "Device or resource busy"), "shop.test")

    assert fault.own
    assert fault.message == "this machine could not look up shop.test: device or resource busy"


@pytest.mark.parametrize(
    ("error", "unanswered"),
    [
        pytest.param(
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "x.test", id="silence"
        ),
        pytest.param(
            socket.gaierror(socket.EAI_FAIL, "Failure"), "x.test", id="a server that fails"
        ),
        pytest.param(socket.gaierror(socket.EAI_NONAME, "Unknown"), "", id="no such name"),
        pytest.param(socket.gaierror(socket.EAI_NODATA, "No address"), "", id="no address"),
        pytest.param(UnicodeError("empty label"), "", id="no name at all"),
    ],
)
def test_a_resolver_that_said_nothing_is_told_from_one_that_said_no(
    error: OSError | UnicodeError, unanswered: str
) -> None:
    fault = explain_lookup(error, "x.test")

    assert fault.code is Code.DNS
    assert fault.unanswered == unanswered


def test_a_name_that_is_none() -> None:
    fault = explain_lookup(UnicodeError("label too long"), "x" * 70)

    assert fault.code is Code.DNS
    assert fault.message.endswith("is not a valid host name")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        pytest.param(
            OSError(errno.ECONNREFUSED, ""),
            Code.CONNECTION_REFUSED,
            "refused the connection",
            id="refused",
        ),
        pytest.param(
            OSError(errno.ETIMEDOUT, ""), Code.TIMEOUT, "the system gave up waiting", id="timeout"
        ),
        pytest.param(
            OSError(errno.ECONNRESET, ""),
            Code.CONNECTION_RESET,
            "reset the connection at once",
            id="reset",
        ),
        pytest.param(
            OSError("several"), Code.CONNECTION_REFUSED, "none of the addresses of", id="several"
        ),
        pytest.param(
            OSError(errno.EHOSTUNREACH, ""),
            Code.CONNECTION_REFUSED,
            "could not be reached: no route to host",
            id="unreachable",
        ),
    ],
)
def test_why_there_is_no_connection(error: OSError, code: Code, words: str) -> None:
    fault = explain_connect(error, PEER)

    assert fault.code is code
    assert words in fault.message
    assert not fault.own


def verification(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    error.verify_message = "as OpenSSL says it"

    return error


def handshake(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason

    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        pytest.param(verification(10), Code.TLS_CERT_EXPIRED, "shop.test expired", id="expired"),
        pytest.param(
            verification(9), Code.TLS_CERT_NOT_YET_VALID, "is not valid yet", id="not yet"
        ),
        pytest.param(
            verification(62), Code.TLS_CERT_HOSTNAME, "is not for shop.test", id="another name"
        ),
        pytest.param(
            verification(64), Code.TLS_CERT_HOSTNAME, "is not for shop.test", id="another address"
        ),
        pytest.param(
            verification(20), Code.TLS_CERT_UNTRUSTED, "as OpenSSL says it", id="untrusted"
        ),
        pytest.param(
            ssl.SSLEOFError(8, "eof"), Code.CONNECTION_RESET, "during the TLS handshake", id="EOF"
        ),
        pytest.param(
            handshake("WRONG_VERSION_NUMBER"), Code.TLS_HANDSHAKE, "does not speak TLS", id="plain"
        ),
        pytest.param(
            handshake("TLSV1_ALERT_PROTOCOL_VERSION"),
            Code.TLS_HANDSHAKE,
            "no version of TLS in common",
            id="versions, says the server",
        ),
        pytest.param(
            handshake("UNSUPPORTED_PROTOCOL"),
            Code.TLS_HANDSHAKE,
            "no version of TLS in common",
            id="versions, say we",
        ),
        pytest.param(
            handshake("SSLV3_ALERT_HANDSHAKE_FAILURE"),
            Code.TLS_HANDSHAKE,
            "nothing in common that both would speak, or it wants a certificate of ours",
            id="ciphers",
        ),
        pytest.param(
            handshake("TLSV1_ALERT_INTERNAL_ERROR"),
            Code.TLS_HANDSHAKE,
            "failed: tlsv1 alert internal error",
            id="anything else",
        ),
    ],
)
def test_why_there_is_no_tls(error: OSError, code: Code, words: str) -> None:
    fault = explain_tls(error, PEER, "shop.test", None)

    assert fault.code is code
    assert words in fault.message
    assert not fault.own


def test_no_certificate_is_distrusted_because_the_trust_store_could_not_be_opened() -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = 20, "unable to get local issuer certificate"
    with descriptors_left(0):
        without = explain_tls(error, PEER, "shop.test", None)
        with pytest.raises(Faulted) as caught:
            client_context(TlsTerms(alpn=("of-this-test",)))

    assert without.own
    assert caught.value.fault.own
    assert explain_tls(error, PEER, "shop.test", None).code is Code.TLS_CERT_UNTRUSTED
    assert client_context(TlsTerms(alpn=("of-this-test",))).verify_mode is ssl.CERT_REQUIRED
