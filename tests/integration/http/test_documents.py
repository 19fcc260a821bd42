"""Pages and documents of real servers: selectors, schemas, redirects; and nobody else is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from monitor.core.expectations import Evidence, ExpectationError, check, compile_expectation
from tests.support.http_probe import observe
from tests.support.servers import page, redirect, serve_pages

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

HTML = b"<!doctype html><main><h1> Welcome\n back </h1><div id=live-stream></div></main>"


def unmet(seen: Observation, *raw: object, schema: object = None) -> list[str]:
    """Give the words for all that an answer does not meet."""
    reasons = [
        check(one, Evidence(seen))
        for item in raw
        for one in compile_expectation(item, "", read_file=lambda _: json.dumps(schema))
    ]

    return [reason.message for reason in reasons if reason is not None]


async def test_a_page_is_what_stands_at_the_end_of_its_redirects() -> None:
    async with serve_pages({"/": redirect("/home"), "/home": page(HTML)}) as server:
        seen = await observe(server.url("/"))

    assert not unmet(
        seen,
        {"redirect": {"to": server.url("/home"), "hops": {"lte": 1}}},
        {"html": "div#live-stream", "exists": True},
        {"html": "main > h1", "equals": "Welcome back"},
        {"response_size": {"equals": len(HTML)}},
    )
    assert unmet(
        seen,
        {"redirect": {"to": server.url("/"), "hops": 0}},
        {"html": "div#login", "exists": True},
    ) == [
        f'final URL is "{server.url("/home")}", expected "{server.url("/")}"',
        "number of redirects is 1, expected 0",
        "html div#login is absent, expected to exist",
    ]


async def test_what_was_cut_is_judged_as_what_it_is() -> None:
    async with serve_pages({"/": page(HTML + b" " * 5000)}) as server:
        seen = await observe(server.url("/"), body_limit="1KiB")

    assert not unmet(seen, {"html": "h1", "exists": True}, {"response_size": {"gt": 1000}})
    assert unmet(seen, {"html": ".error", "exists": False}, {"response_size": {"lt": "2KiB"}}) == [
        "html .error is not known: the body was cut after 1024 bytes (raise request.body_limit), "
        "expected to be absent",
        "response size is more than 1KiB, where it was cut (raise request.body_limit), "
        "expected less than 2KiB",
    ]


async def test_a_schema_asks_no_network_for_anything() -> None:
    async with serve_pages({"/schema.json": page(b'{"type": "string"}')}) as server:
        url = server.url("/schema.json")
        for schema in ({"$ref": url}, {"$schema": url}, {"$id": url, "$ref": "other.json"}):
            with pytest.raises(ExpectationError):
                unmet(await observe(server.url("/")), {"json_schema": "s.json"}, schema=schema)
        asked_for_itself = server.connections

    assert asked_for_itself == 3  # the three observations, and nothing for a schema
