"""Habits: a key that is known from another tool is told with its place here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.configuring import mistakes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("asked", "key", "said"),
    [
        ("url: http://x.example/", "frequency: 10s", "unknown key frequency; did you mean every?"),
        ("url: http://x.example/", "scrape_timeout: 5s", "did you mean timeout?"),
        ("url: http://x.example/", "group: shop", "did you mean service?"),
        (
            "url: http://x.example/",
            "failure_threshold: 2",
            "failure_threshold belongs below health, as in health: {failure_threshold: 3}",
        ),
        (
            "url: http://x.example/",
            "follow_redirects: false",
            "follow_redirects belongs below request, as in request: {follow_redirects: …}",
        ),
        ("url: http://x.example/", "auth: {}", "as in request: {auth: …}"),
        ("sql: {url: 'sqlite:///x', query: SELECT 1}", "query: SELECT 2", "as in sql: {query: …}"),
        ("url: http://x.example/", "response_time: 3s", "{expect: [{response_time: {lt: 3s}}]}"),
        ("url: http://x.example/", "retries: 3", "as in health: {failure_threshold: 3}"),
        ("url: http://x.example/", "type: http", "the kind of probe is a key itself"),
        ("dns: {server: 192.0.2.1, name: x.example}", "type: MX", "as in dns: {type: …}"),
        ("url: http://x.example/", "alerts: []", "notifiers stand at the top"),
        ("url: http://x.example/", "colour: red", "unknown key colour, expected one of browser,"),
    ],
)
def test_a_key_of_another_tool_is_told_with_what_to_write(
    tmp_path: Path, asked: str, key: str, said: str
) -> None:
    told = mistakes(tmp_path, f"endpoints: {{api: {{{asked}, {key}}}}}")

    (about,) = [one for one in told if f"endpoints.api.{key.partition(':')[0]}: " in one]
    assert said in about
