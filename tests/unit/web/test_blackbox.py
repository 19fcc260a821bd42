"""`/probe` finds an endpoint by its name, else by its URL however that is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.web.blackbox import choose, find_endpoints, normalise
from tests.support.watching import make_endpoint

ENDPOINTS = {
    name: replace(make_endpoint(name=name), target=target)
    for name, target in {
        "api": "https://API.shop.example:443/health?deep=1",
        "homepage": "http://shop.example",
        "http://odd.example/": "http://elsewhere.example/",
        "mail": "not a url at all: [",
    }.items()
}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("api", "api"),
        ("https://api.shop.example/health?deep=1", "api"),
        ("HTTPS://api.shop.example./health?deep=1#part", "api"),
        ("http://api.shop.example/health?deep=1", None),
        ("https://api.shop.example/health", None),
        ("shop.example", "homepage"),
        ("http://somebody:secret@shop.example:80/", "homepage"),
        ("http://odd.example/", "http://odd.example/"),
        ("http://[", None),
        ("nobody", None),
    ],
)
def test_a_target_means_one_endpoint_or_none(target: str, name: str | None) -> None:
    found = find_endpoints(ENDPOINTS, target)

    assert [one.name for one in found] == ([name] if name else [])


@pytest.mark.parametrize("target", ["", "http://", "http://h:port/", "http://[::", "//"])
def test_what_is_no_url_is_none(target: str) -> None:
    assert normalise(target) is None


OTHERS = {
    name: replace(make_endpoint(name=name), target=target, kind=kind, tags=frozenset(tags))
    for name, target, kind, tags in [
        ("banner", "mail.example:25", "tcp", []),
        ("starttls", "mail.example:25", "tcp", ["smtp_starttls"]),
        ("mail", "http://mail.example:25/", "url", []),
        ("socket", "unix:/run/app.sock", "tcp", []),
        ("gateway", "gateway.example", "icmp", []),
        ("names", "dns://192.0.2.53/shop.example?type=A", "dns", []),
        ("serial", "dns://192.0.2.53/shop.example?type=SOA", "dns", ["dns_soa"]),
        ("live", "wss://live.example/feed", "websocket", []),
        ("orders", "orders.example:50051", "grpc", []),
    ]
}


@pytest.mark.parametrize(
    ("target", "module", "name"),
    [
        ("mail.example:25", None, "banner"),
        ("mail.example:25", "tcp_connect", "banner"),
        ("MAIL.example:25", "smtp_starttls", "starttls"),
        ("mail.example:25", "http_2xx", "mail"),
        ("mail.example:25", "icmp", None),
        ("/run/app.sock", "tcp_local", "socket"),
        ("gateway.example", "icmp", "gateway"),
        ("192.0.2.53", "dns_udp", "names"),
        ("192.0.2.53:53", "dns_soa", "serial"),
        ("wss://live.example/feed", "websocket", "live"),
        ("orders.example:50051", "grpc_plain", "orders"),
        ("serial", "dns_udp", "serial"),
    ],
)
def test_a_module_says_which_of_those_that_ask_the_same(
    target: str, module: str | None, name: str | None
) -> None:
    found = choose(find_endpoints(OTHERS, target), module)

    assert (found.name if found else None) == name
