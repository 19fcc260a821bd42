"""A request as the server receives it, byte by byte."""

from __future__ import annotations

import pytest
from yarl import URL

from monitor.core.model.observation import Code
from monitor.probes._http.request import Request
from monitor.probes._http.wire_request import write_request
from monitor.probes._net.faults import Faulted


def head(url: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> str:
    request = Request(method=method, url=URL(url), headers=headers, body=body)

    return write_request(request).head.decode()


def test_a_plain_request() -> None:
    assert head("http://shop.test:8080/a%20b?q=1+2#part", Accept="*/*") == (
        "GET /a%20b?q=1+2 HTTP/1.1\r\n"
        "Host: shop.test:8080\r\n"
        "Accept: */*\r\n"
        "Connection: close\r\n"
        "\r\n"
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        pytest.param("http://shop.test/", "shop.test", id="a usual port is left out"),
        pytest.param("https://shop.test:443/", "shop.test", id="that of https too"),
        pytest.param("https://shop.test:80/", "shop.test:80", id="an unusual one is not"),
        pytest.param("http://[::1]:81/", "[::1]:81", id="an IPv6 address keeps its brackets"),
        pytest.param("http://bücher.test/", "xn--bcher-kva.test", id="a name as DNS knows it"),
    ],
)
def test_the_host(url: str, host: str) -> None:
    assert f"\r\nHost: {host}\r\n" in head(url)


def test_a_configured_host_takes_its_place_in_front() -> None:
    lines = head("http://shop.test/", Accept="*/*", host="inner.test").split("\r\n")

    assert lines[1] == "Host: inner.test"
    assert sum(line.lower().startswith("host:") for line in lines) == 1


@pytest.mark.parametrize(
    ("method", "body", "declared"),
    [
        pytest.param("GET", None, None, id="GET without a body"),
        pytest.param("OPTIONS", None, None, id="OPTIONS without a body"),
        pytest.param("POST", None, "0", id="POST without a body"),
        pytest.param("DELETE", None, "0", id="DELETE without a body"),
        pytest.param("POST", b"", "0", id="an empty body"),
        pytest.param("GET", "ñ".encode(), "2", id="bytes are counted, not characters"),
    ],
)
def test_the_length_is_declared(method: str, body: bytes | None, declared: str | None) -> None:
    written = head("http://shop.test/", method=method, body=body)

    assert ("Content-Length" in written) is (declared is not None)
    if declared is not None:
        assert f"\r\nContent-Length: {declared}\r\n" in written


def test_connect_names_the_host_and_not_a_path() -> None:
    assert head("http://shop.test/", method="CONNECT").startswith("CONNECT shop.test:80 HTTP/1.1")


def test_a_header_may_hold_more_than_ascii() -> None:
    request = Request(
        method="GET", url=URL("http://shop.test/"), headers={"X-Name": "café"}, body=None
    )

    assert "X-Name: café\r\n".encode() in write_request(request).head


@pytest.mark.parametrize("breaks", ["\r\n", "\n", "\r", "\0"])
def test_a_value_cannot_become_a_line_of_its_own(breaks: str) -> None:
    headers = {"X-Key": f"secret{breaks}X-Other: b"}
    request = Request(method="GET", url=URL("http://shop.test/"), headers=headers, body=None)

    with pytest.raises(Faulted) as raised:
        write_request(request)

    assert raised.value.fault.own
    assert raised.value.fault.code is Code.INTERNAL
    assert raised.value.fault.message == "the value of the request header X-Key holds a line break"


@pytest.mark.parametrize(
    ("headers", "body", "held_back"),
    [
        pytest.param({"expect": "100-Continue"}, b"order", True, id="asked for"),
        pytest.param({"expect": "100-continue"}, None, False, id="without a body"),
        pytest.param({}, b"order", False, id="not asked for"),
    ],
)
def test_a_body_is_held_back_where_that_is_asked_for(
    headers: dict[str, str], body: bytes | None, held_back: bool
) -> None:
    request = Request(method="POST", url=URL("http://shop.test/"), headers=headers, body=body)

    assert write_request(request).held_back is held_back
