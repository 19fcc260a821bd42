"""What is shown of what an endpoint asks: in alerts the question stands beside the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.configuring import configure

if TYPE_CHECKING:
    from pathlib import Path

JOURNEY = "journey: [{name: login, url: http://shop.test/login}]"


@pytest.mark.parametrize(
    ("options", "target", "asked"),
    [
        ("url: https://a.test/x", "https://a.test/x", "https://a.test/x"),
        (
            "redis: {address: cache.test:6379, command: [LLEN, jobs]}",
            "cache.test:6379",
            "cache.test:6379 LLEN jobs",
        ),
        (
            "metrics: {url: http://app.test/metrics, series: 'used{pool=\"main\"}'}",
            "http://app.test/metrics",
            'http://app.test/metrics used{pool="main"}',
        ),
        (
            "metrics: {url: http://app.test/metrics, series: errors, divided_by: requests}",
            "http://app.test/metrics",
            "http://app.test/metrics errors / requests",
        ),
        (
            f"metrics: {{prometheus: http://p.test/, query: 'up  == 0 {' or up' * 40}'}}",
            "http://p.test/",
            f"http://p.test/ up == 0{' or up' * 15} o…",
        ),
        (
            "sql: {url: 'postgresql://me:secret@db.test/shop', query: SELECT 1}",
            "postgresql://db.test:5432/shop",
            "postgresql://db.test:5432/shop",
        ),
        ("grpc: {address: api.test:50051, service: shop.Cart}", "api.test:50051", None),
        (JOURNEY, "http://shop.test/login", "http://shop.test/login"),
    ],
)
def test_an_alert_names_the_question_beside_the_place(
    tmp_path: Path, options: str, target: str, asked: str | None
) -> None:
    text = f"endpoints:\n  it:\n    {options}\n    health: {{severity: low}}\n"
    endpoint = configure(tmp_path, text).endpoints[0]

    assert endpoint.target == target
    assert {check.target for check in endpoint.checks} == {asked or f"{target} shop.Cart"}
