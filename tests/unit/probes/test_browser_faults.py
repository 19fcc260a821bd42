"""What Chromium says of a page that it does not show, as the faults that all kinds have."""

from __future__ import annotations

import pytest

from monitor.core.model.observation import Code
from monitor.probes._browser.faults import explain_page

URL = "https://shop.example/cart"


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ("ERR_NAME_NOT_RESOLVED", Code.DNS, "shop.example did not resolve"),
        ("ERR_CONNECTION_REFUSED", Code.CONNECTION_REFUSED, "shop.example:443 refused"),
        ("ERR_EMPTY_RESPONSE", Code.CONNECTION_RESET, "before it answered"),
        ("ERR_CONNECTION_TIMED_OUT", Code.TIMEOUT, "shop.example:443 did not accept"),
        ("ERR_CERT_DATE_INVALID", Code.TLS_CERT_EXPIRED, "expired, or is not valid yet"),
        ("ERR_CERT_COMMON_NAME_INVALID", Code.TLS_CERT_HOSTNAME, "is not for shop.example"),
        ("ERR_CERT_REVOKED", Code.TLS_CERT_UNTRUSTED, "is not trusted"),
        ("ERR_SSL_PROTOCOL_ERROR", Code.TLS_HANDSHAKE, "the TLS handshake with shop.example:443"),
        ("ERR_TOO_MANY_REDIRECTS", Code.TOO_MANY_REDIRECTS, "in a circle"),
        ("ERR_HTTP2_PROTOCOL_ERROR", Code.BAD_RESPONSE, "net::ERR_HTTP2_PROTOCOL_ERROR"),
    ],
)
def test_what_the_network_did_has_its_usual_code(said: str, code: Code, message: str) -> None:
    fault = explain_page(f"Page.goto: net::{said} at {URL}\nCall log:\n", URL, None)

    assert (fault.code, fault.own) == (code, False)
    assert message in fault.message
    assert said in fault.message


@pytest.mark.parametrize(
    "said",
    [
        "Page.goto: net::ERR_INTERNET_DISCONNECTED at https://shop.example/",
        "Page.goto: net::ERR_INSUFFICIENT_RESOURCES at https://shop.example/",
        "Page.goto: net::ERR_ABORTED at https://shop.example/",  # its network process ended
        "Page.goto: Target page, context or browser has been closed",
        "Page.wait_for_selector: Target crashed",
        "",
    ],
)
def test_what_is_about_the_browser_is_never_the_fault_of_the_page(said: str) -> None:
    fault = explain_page(said, URL, None)

    assert (fault.code, fault.own) == (Code.INTERNAL, True)


def test_an_answer_without_a_page_is_one_of_the_page() -> None:
    aborted = explain_page("Page.goto: net::ERR_ABORTED at https://shop.example/", URL, 204)
    download = explain_page("Page.goto: Download is starting", URL, 200)

    assert (aborted.code, aborted.own) == (Code.BAD_RESPONSE, False)
    assert (download.code, download.own) == (Code.BAD_RESPONSE, False)
