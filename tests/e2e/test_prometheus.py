"""Prometheus reads us: promtool finds nothing to say, and a real server scrapes both ways."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.program import daemon, run
from tests.support.prometheus import serve_prometheus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop

CONFIG = """
web: {{listen: "127.0.0.1:${{PORT}}"}}
defaults: {{every: 500ms, retry_every: 200ms, timeout: 400ms}}
endpoints:
  shop: {url}/
"""

SCRAPES = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
  - job_name: monitor
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: blackbox
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: ["{url}"]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "127.0.0.1:{port}"}}
"""

DROP_IN = {
    "probe_success",
    "probe_duration_seconds",
    "probe_timeout_seconds",
    "probe_dns_lookup_time_seconds",
    "probe_ip_protocol",
    "probe_http_status_code",
    "probe_http_version",
    "probe_http_ssl",
    "probe_http_redirects",
    "probe_http_content_length",
    "probe_http_duration_seconds",
    "probe_failed_due_to_regex",
}


@pytest.mark.needs("promtool")
async def test_promtool_finds_nothing_to_say(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    async with daemon(tmp_path) as running:
        _, page = await running.get("/metrics")
        _, probe = await running.get("/probe?target=shop")

    assert await check_metrics(page) == ""
    assert await check_metrics(probe) == ""


@pytest.mark.needs("prometheus")
async def test_a_job_written_for_blackbox_exporter_needs_only_another_address(
    shop: Shop, tmp_path: Path
) -> None:
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    async with daemon(tmp_path) as running:
        scrapes = SCRAPES.format(port=running.port, url=shop.url)
        async with serve_prometheus(tmp_path, scrapes) as ask:
            up = await ask('probe_success{job="blackbox"} == 1')
            own = await ask('production_monitor_probes_total{job="monitor"} > 0')
            shop.status = 500
            down = await ask('probe_success{job="blackbox"} == 0')
            series = await ask('{job="blackbox", __name__=~"probe_.*"}')
            scraped = await ask('up{job="blackbox"} == 1')

    assert up[0]["metric"] == {"__name__": "probe_success", "instance": shop.url, "job": "blackbox"}
    assert own
    assert down
    assert scraped
    assert {one["metric"]["__name__"] for one in series} >= DROP_IN


async def test_probe_answers_as_documented(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    async with daemon(tmp_path) as running:
        answers = {
            target: (await running.get("/probe", params=params))[0]
            for target, params in {
                "name": {"target": "shop"},
                "url": {"target": f"{shop.url}/"},
                "url in other words": {"target": f"HTTP://127.0.0.1:{shop.port}"},
                "no scheme": {"target": f"127.0.0.1:{shop.port}"},
                "with a module": {"target": "shop", "module": "http_2xx"},
                "unknown": {"target": "http://elsewhere.example/"},
                "foreign module": {"target": "shop", "module": "icmp"},
                "none": {},
            }.items()
        }
        asked = shop.asked
        for _ in range(20):
            await running.get("/probe", params={"target": "shop"})

        assert answers == {
            "name": 200,
            "url": 200,
            "url in other words": 200,
            "no scheme": 200,
            "with a module": 200,
            "unknown": 404,
            "foreign module": 400,
            "none": 400,
        }
        assert shop.asked - asked < 20, "a scrape makes no request of its own"


async def test_a_result_that_is_too_old_is_none(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    ended = await run("--cycles", "1", cwd=tmp_path, environ={"PORT": "1"})
    assert ended.code == 0

    (tmp_path / "monitor.yml").write_text(
        CONFIG.format(url=shop.url) + "  late: {url: 'http://127.0.0.1:9/', every: 1d}\n"
    )
    async with daemon(tmp_path, "--endpoint", "shop") as running:
        code, body = await running.get("/probe?target=late")

    assert code == 503
    assert "no result" in body


async def test_openmetrics_is_given_to_whom_asks_for_it(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(CONFIG.format(url=shop.url))
    async with daemon(tmp_path) as running:
        _, page = await running.get(
            "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        )

    assert page.endswith("# EOF\n")
    assert page.count("# EOF") == 1
    assert re.search(r"^production_monitor_probes_total \d", page, re.MULTILINE)


async def check_metrics(page: str) -> str:
    """Give what promtool complains of."""
    process = await asyncio.create_subprocess_exec(
        "promtool",
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(page.encode())

    return said.decode()
