"""The words for what keeps a page from being shown: errors of Chromium as faults."""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from monitor.core.model.observation import Code, Fault
from monitor.probes._http.explain import clean

NO_CONTENT: Final = "ERR_HTTP_RESPONSE_CODE_FAILURE"
"""Said of an answer with an error status and an empty body, which is an answer all the same."""

_NET_ERROR: Final = re.compile(r"net::(ERR_[A-Z0-9_]+)")
_CODES: Final = {
    "ERR_NAME_NOT_RESOLVED": (Code.DNS, "{host} did not resolve"),
    "ERR_NAME_RESOLUTION_FAILED": (Code.DNS, "{host} did not resolve"),
    "ERR_CONNECTION_REFUSED": (Code.CONNECTION_REFUSED, "{peer} refused the connection"),
    "ERR_ADDRESS_UNREACHABLE": (Code.CONNECTION_REFUSED, "{peer} could not be reached"),
    "ERR_CONNECTION_RESET": (Code.CONNECTION_RESET, "{peer} reset the connection"),
    "ERR_CONNECTION_CLOSED": (Code.CONNECTION_RESET, "{peer} closed the connection"),
    "ERR_CONNECTION_ABORTED": (Code.CONNECTION_RESET, "{peer} broke off the connection"),
    "ERR_EMPTY_RESPONSE": (
        Code.CONNECTION_RESET,
        "{peer} closed the connection before it answered",
    ),
    "ERR_TIMED_OUT": (Code.TIMEOUT, "{peer} did not answer in time"),
    "ERR_CONNECTION_TIMED_OUT": (Code.TIMEOUT, "{peer} did not accept the connection in time"),
    "ERR_CERT_DATE_INVALID": (
        Code.TLS_CERT_EXPIRED,
        "the certificate of {host} expired, or is not valid yet",
    ),
    "ERR_CERT_COMMON_NAME_INVALID": (Code.TLS_CERT_HOSTNAME, "the certificate is not for {host}"),
    "ERR_TOO_MANY_REDIRECTS": (Code.TOO_MANY_REDIRECTS, "{peer} redirected in a circle"),
}
_FAMILIES: Final = (
    ("ERR_CERT_", Code.TLS_CERT_UNTRUSTED, "the certificate of {host} is not trusted"),
    ("ERR_SSL_", Code.TLS_HANDSHAKE, "the TLS handshake with {peer} failed"),
    ("ERR_BAD_SSL_", Code.TLS_HANDSHAKE, "{peer} wants a certificate of ours"),
)
_OURS: Final = {
    "ERR_INTERNET_DISCONNECTED": "this machine has no network",
    "ERR_NETWORK_CHANGED": "the network of this machine changed",
    "ERR_NETWORK_ACCESS_DENIED": "this machine does not let the browser use the network",
    "ERR_INSUFFICIENT_RESOURCES": "the browser ran out of memory",
    "ERR_OUT_OF_MEMORY": "the browser ran out of memory",
    "ERR_NO_BUFFER_SPACE": "this machine has no free network buffer",
    "ERR_ADDRESS_INVALID": "this machine has no address to come from",
}


def find_error(said: str) -> str:
    """Give Chromium's name for what went wrong; empty where it has none."""
    named = _NET_ERROR.search(said)

    return named[1] if named else ""


def explain_page(said: str, url: str, status: int | None) -> Fault:
    """Say why a page was not shown; `status` is that of its document, where one came."""
    asked = URL(url)
    peer, host = f"{asked.host}:{asked.port}", asked.host or ""
    if "Download is starting" in said:
        message = f"{peer} answered with a download, not with a page"
        return Fault(code=Code.BAD_RESPONSE, message=message)

    name = find_error(said)
    words = f"net::{name}"
    if not name or (name == "ERR_ABORTED" and status is None):
        # Whatever is no word of the network's is about the browser: it ends while it is used.
        shown = words if name else clean(said.partition("\n")[0])
        return explain_own(f"the browser gave up on the page: {shown}")
    if name in _OURS:
        return explain_own(f"{_OURS[name]} ({words})")
    if name in _CODES:
        code, message = _CODES[name]
        told = f"{message.format(peer=peer, host=host)} ({words})"
        # Chromium says the same of a name that is not there, and of a resolver that is silent.
        return Fault(code=code, message=told, unanswered=host if code is Code.DNS else "")
    for begin, code, message in _FAMILIES:
        if name.startswith(begin):
            told = f"{message.format(peer=peer, host=host)} ({words})"
            return Fault(code=code, message=told)
    if name == "ERR_ABORTED":
        message = f"{peer} answered {status} without a page ({words})"
        return Fault(code=Code.BAD_RESPONSE, message=message)

    return Fault(code=Code.BAD_RESPONSE, message=f"Chromium does not show the page: {words}")


def explain_own(message: str) -> Fault:
    """Say what went wrong with the browser, which is no fault of the page."""
    return Fault(code=Code.INTERNAL, message=message, own=True)
