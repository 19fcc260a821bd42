"""The status page and the manners of the HTTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.web.blackbox import normalise
from tests.support.program import daemon

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop

CONFIG = """
environment: production
web: {{listen: "127.0.0.1:${{PORT}}"}}
defaults: {{every: 200ms, retry_every: 100ms, timeout: 150ms, failure_threshold: 2}}
services:
  shop:
    runbook: https://wiki.example/shop
    contacts: {{on_call: "@web-oncall"}}
    version: {{endpoint: shop, json: $.version}}
endpoints:
  shop:
    url: {url}/?<script>alert(1)</script>
    health: {{expect: [{{json: $.version, equals: "1.0"}}]}}
"""


async def test_the_page_lists_checks_and_incidents_and_escapes_what_targets_say(
    shop: Shop, tmp_path: Path
) -> None:
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    async with daemon(tmp_path) as running:
        _, quiet = await running.get("/")
        shop.version = "<img src=x onerror=alert(1)>"
        await running.until(lambda status: status["incidents"])
        _, loud = await running.get("/")
        shop.version = "1.0"
        await running.until(lambda status: status["incidents"][0]["resolved_at"])
        _, after = await running.get("/")

    assert "Everything that is watched passes" in quiet
    assert "No open incident" in quiet
    assert '<a href="https://wiki.example/shop">runbook</a> · on call: @web-oncall' in quiet
    assert "version 1.0 (finished) since" in quiet
    assert "1 check is failing" in loud
    assert "shop.health" in loud
    assert "&lt;img src=x" in loud
    assert "<img" not in loud + after
    assert "<script" not in quiet + loud + after
    assert "Resolved incidents" in after


async def test_the_page_says_that_rollbacks_are_switched_off(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    async with daemon(tmp_path) as running:
        _, before = await running.get("/")
        switch = tmp_path / ".production-monitor/rollbacks-off"
        switch.touch()
        await running.until(lambda status: status["rollbacks_off"])
        _, after = await running.get("/")

    assert "Rollbacks are off" not in before
    assert f"<strong>Rollbacks are off</strong> ({switch})" in after


async def test_the_page_has_the_headers_that_we_ask_of_others(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    async with (
        daemon(tmp_path) as running,
        running.session.get(running.url) as page,
        running.session.get(running.url + "/static/monitor.css") as style,
        running.session.get(running.url + "/static/..%2fserver.py") as outside,
        running.session.get(running.url + "/nowhere") as nowhere,
        running.session.put(running.url + "/metrics") as wrong,
    ):
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert style.content_type == "text/css"
        assert (outside.status, nowhere.status, wrong.status) == (404, 404, 405)
        assert "there is nothing at" in await nowhere.text()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({"Host": "localhost:1"}, 200, id="a local name"),
        pytest.param({"Host": "[::1]:1"}, 200, id="a local address"),
        pytest.param({"Host": "rebound.example"}, 403, id="a name that was made to point here"),
        pytest.param({"Origin": "https://evil.example"}, 403, id="a page of another site"),
    ],
)
async def test_strangers_hosts_and_origins_are_refused(
    shop: Shop, tmp_path: Path, headers: dict[str, str], code: int
) -> None:
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    async with daemon(tmp_path) as running:
        answered, _ = await running.get("/", headers=headers)

    assert answered == code


async def test_other_addresses_ask_for_a_token_except_where_it_is_open(
    shop: Shop, tmp_path: Path
) -> None:
    (tmp_path / "monitor.yml").write_text(
        CONFIG.format(url=shop.url).replace(
            'web: {listen: "127.0.0.1:${PORT}"}',
            'web: {listen: "0.0.0.0:${PORT}", open: [health, metrics], '
            "tokens: [{name: us, scope: read, token: a-token-to-read}]}",
        )
    )
    token = {"Authorization": "Bearer a-token-to-read"}
    async with daemon(tmp_path) as running:
        metrics, _ = await running.get("/metrics")
        page, _ = await running.get("/")
        with_token, _ = await running.get("/", headers=token)
        long, _ = await running.get("/", headers={"Authorization": "Bearer " + "x" * 4000})
        odd, _ = await running.get("/", headers={"Authorization": "Bearer schlüssel"})
        change, _ = await running.post("/-/reload", headers=token)

    assert (metrics, page, with_token, long, odd, change) == (200, 401, 200, 401, 401, 403)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        pytest.param(b"{", 400, "no valid JSON", id="broken"),
        pytest.param(b"[" * 40_000, 400, "no valid JSON", id="deep"),
        pytest.param(b"[]", 400, "found list", id="no object"),
        pytest.param(b"{}", 422, "expected a service and a version", id="empty"),
        pytest.param(b'{"servic": 1}', 422, "servic: unknown key", id="unknown key"),
        pytest.param(
            b'{"service": "shop", "version": "1\\n2"}', 422, "printable", id="control characters"
        ),
        pytest.param(b"x" * 70_000, 413, "", id="too large"),
        pytest.param(b"\xff\xfe", 400, "", id="no text"),
    ],
)
async def test_what_is_no_deploy_is_refused_with_words(
    shop: Shop, tmp_path: Path, body: bytes, code: int, said: str
) -> None:
    (tmp_path / "monitor.yml").write_text(
        CONFIG.format(url=shop.url).replace(
            'web: {listen: "127.0.0.1:${PORT}"}',
            'web: {listen: "127.0.0.1:${PORT}", '
            "tokens: [{name: us, scope: operate, token: a-token-to-act}]}",
        )
    )
    headers = {"Authorization": "Bearer a-token-to-act", "Content-Type": "application/json"}
    async with daemon(tmp_path) as running:
        answered, text = await running.post("/api/v1/deploys", data=body, headers=headers)

        assert answered == code, text
        assert said in text
        assert "Traceback" not in running.said()


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("HTTPS://Shop.Example:443", "https://shop.example:443/"),
        ("shop.example/x?y=1#z", "http://shop.example:80/x?y=1"),
        ("https://user:secret@shop.example./", "https://shop.example:443/"),
        ("http://[::1]:8080", "http://::1:8080/"),
        ("http://", None),
        ("http://shop:notaport/", None),
    ],
)
def test_all_spellings_of_a_url_are_one(written: str, same: str | None) -> None:
    assert normalise(written) == same
