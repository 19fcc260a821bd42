"""The examples of figures, against an app with a page of metrics and a real Prometheus over it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.support.program import run
from tests.support.prometheus import serve_prometheus
from tests.support.servers import serve_pages, unused_port

if TYPE_CHECKING:
    from tests.support.program import Ended

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
SLACK = {"SLACK_WEBHOOK_URL": "http://127.0.0.1:9/none"}
SCRAPES = """
global: {{scrape_interval: 100ms, scrape_timeout: 90ms}}
scrape_configs:
  - job_name: app
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
DURATIONS = (0.1, 0.4, 1.0)


class App:
    """An app that is asked by somebody all the time; `well` says how it goes."""

    def __init__(self) -> None:
        self.well = True
        self.counts: Counter[str] = Counter()
        self._latest = time.monotonic()

    async def metrics(self, _request: web.Request) -> web.Response:
        self._go_on()
        gauges = {
            'request_seconds{quantile="0.95"}': 0.2 if self.well else 0.9,
            'request_seconds{quantile="0.99"}': 0.4 if self.well else 3,
            "process_resident_memory_bytes": 3e8,
            'db_pool_in_use{pool="main"}': 10 if self.well else 39,
            'db_pool_size{pool="main"}': 40,
        }
        lines = [f"{series} {value}\n" for series, value in {**gauges, **self.counts}.items()]

        return web.Response(text="".join(lines), content_type="text/plain")

    def _go_on(self) -> None:
        """Let happen what happens in the time that has passed."""
        now = time.monotonic()
        passed, self._latest = now - self._latest, now
        idle, took = (0.8, 0.08) if self.well else (0.1, 0.9)
        for code, share in (
            {"200": 0.999, "429": 0.001} if self.well else {"200": 0.5, "500": 0.3, "429": 0.2}
        ).items():
            self._count(f'http_requests_total{{code="{code}"}}', share * 1000 * passed)
        for limit in (*DURATIONS, float("inf")):
            bound = "+Inf" if limit == float("inf") else str(limit)
            self._count(
                f'http_request_duration_seconds_bucket{{le="{bound}"}}',
                1000 * passed if took <= limit else 0,
            )
        self._count('cache_requests_total{result="hit"}', (900 if self.well else 100) * passed)
        self._count('cache_requests_total{result="miss"}', (100 if self.well else 900) * passed)
        self._count('node_cpu_seconds_total{cpu="0",mode="idle"}', idle * passed)
        self._count("process_cpu_seconds_total", (1 - idle) * passed)
        self._count("orders_total", 20 * passed if self.well else 0)

    def _count(self, series: str, amount: float) -> None:
        self.counts[series] += amount  # type: ignore[assignment]  # a counter of fractions


def outcomes(ended: Ended) -> dict[str, Any]:
    return {one["check"]: one["verdict"] for one in ended.json()["checks"]}


def reasons(ended: Ended) -> dict[str, str]:
    return {
        one["check"]: one["reasons"][0]["message"]
        for one in ended.json()["checks"]
        if one["reasons"]
    }


@pytest.mark.needs("prometheus")
async def test_figures_of_a_prometheus_are_judged_and_its_silence_blames_nobody(
    tmp_path: Path,
) -> None:
    app = App()
    chosen = ("--config", str(EXAMPLES / "runbook-001-metrics.yml"), "--no-notify", "--no-state")
    once = (*chosen, "--cycles", "1", "--output", "json")
    async with (
        serve_pages({"/metrics": app.metrics}) as server,
        serve_prometheus(tmp_path, SCRAPES.format(port=server.port)) as prometheus,
    ):
        environ = {**SLACK, "PROMETHEUS_URL": prometheus.url, "WINDOW": "1s"}
        await prometheus("count_over_time(up[1m]) > 7")
        good = await run(*once, cwd=tmp_path, environ=environ)
        app.well = False
        share = (
            'sum(rate(http_requests_total{code="500"}[1s])) / sum(rate(http_requests_total[1s]))'
        )
        await prometheus(f"{share} > 0.29")
        bad = await run(*once, cwd=tmp_path, environ=environ)

    gone = await run(
        *once,
        cwd=tmp_path,
        environ={**environ, "PROMETHEUS_URL": f"http://127.0.0.1:{unused_port()}"},
    )

    assert good.code == 0, good.out
    assert set(outcomes(good).values()) == {"pass"}
    assert bad.code == 1
    assert set(outcomes(bad).values()) == {"fail"}
    said = reasons(bad)
    assert said["p95.value"].startswith("value is 0.9")
    assert said["p95.value"].endswith("expected less than 0.4")
    assert said["cpu.value"].startswith("value is 0.")
    assert f'for instance "127.0.0.1:{server.port}" (1 of 1 row)' in said["cpu.value"]
    assert (
        said["pool.value"] == 'value is 0.975 for pool "main" (1 of 1 row), expected less than 0.9'
    )
    assert gone.code == 3
    assert set(outcomes(gone).values()) == {"unknown"}


async def test_figures_of_a_page_are_judged_without_a_prometheus(tmp_path: Path) -> None:
    app = App()
    config = str(EXAMPLES / "runbook-004-metrics.yml")
    chosen = ("--config", config, "--no-notify", "--no-state", "--every", "300ms")
    async with serve_pages({"/metrics": app.metrics}) as server:
        environ = {**SLACK, "METRICS_URL": server.url("/metrics")}
        once = await run(
            *chosen, "--cycles", "1", "--output", "json", cwd=tmp_path, environ=environ
        )
        twice = await run(
            *chosen, "--cycles", "2", "--output", "json", cwd=tmp_path, environ=environ
        )
        app.well = False
        await asyncio.sleep(0.05)
        bad = await run(*chosen, "--cycles", "2", "--output", "json", cwd=tmp_path, environ=environ)

    waiting = {name for name, verdict in outcomes(once).items() if verdict == "waiting"}
    assert once.code == 0, once.out
    assert waiting == {
        *("error-rate.value", "server-errors.value", "cpu.value", "orders.value", "memory.value")
    }
    assert twice.code == 0, twice.out
    assert outcomes(twice) == {
        name: "waiting" if name == "memory.value" else "pass" for name in outcomes(once)
    }
    assert bad.code == 1
    failing = {name for name, verdict in outcomes(bad).items() if verdict == "fail"}
    assert failing == set(outcomes(once)) - {"memory.value", "page.health"}
    assert reasons(bad)["orders.value"] == "value is 0, expected more than 0"
