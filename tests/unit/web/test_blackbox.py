"""`/probe` finds an endpoint by its name, else by its URL however that is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.web.blackbox import find_endpoint, normalise
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
    found = find_endpoint(ENDPOINTS, target)

    assert (found.name if found else None) == name


@pytest.mark.parametrize("target", ["", "http://", "http://h:port/", "http://[::", "//"])
def test_what_is_no_url_is_none(target: str) -> None:
    assert normalise(target) is None
