"""The log of a daemon: one line per event, whatever a target sends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.program import daemon
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.shop import Shop

HOSTILE: Final = (
    'v2"\n2026-01-01T00:00:00Z error   forged a=b\r\n\x1b[31m\u2028\u202e\x00{"event": "forged"}'
)
EVENTS: Final = set(
    re.findall(
        r"^\| `(\w+)` \|",
        (Path(__file__).parents[2] / "docs/log.md").read_text(),
        re.MULTILINE,
    )
)
CONFIG: Final = """
web: {{listen: "127.0.0.1:${{PORT}}"}}
defaults: {{every: 200ms, retry_every: 100ms, timeout: 150ms, failure_threshold: 1}}
notifiers: {{log: {{log: {{}}}}}}
services: {{shop: {{version: {{endpoint: shop, json: $.version}}}}}}
endpoints:
  shop:
    url: {url}/
    health: {{expect: [{{json: $.database.status, equals: connected}}]}}
    headers: {{expect: [{{header: x-hostile, equals: "1"}}]}}
"""


@pytest.mark.parametrize("form", ["text", "json"])
async def test_what_a_target_sends_makes_no_line_of_its_own(
    shop: Shop, tmp_path: Path, form: str
) -> None:
    shop.version, shop.database = HOSTILE, HOSTILE
    shop.headers = {"X-Hostile": "r\u202ee\u2028d"}
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    environ = {"MONITOR_LOG_FORMAT": form, "MONITOR_LOG_LEVEL": "debug"}
    async with daemon(tmp_path, environ=environ) as running:
        await running.until(lambda status: len(status["incidents"]) == 2)
        shop.database = "connected"
        await until(lambda: running.said().count("resolved") >= 1)
        assert await running.stop() == 0
        lines = running.log.read_bytes().decode().split("\n")

    assert lines.pop() == ""
    assert all(line.isprintable() for line in lines)
    if form == "json":
        events = [json.loads(line)["event"] for line in lines]
    else:
        events = [line.split()[2] for line in lines]
        assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z [a-z]+ ", line) for line in lines)
    assert set(events) <= EVENTS, "only what the page names"
    assert {"incident", "notice", "deploy"} <= set(events)
