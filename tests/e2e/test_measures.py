"""What is measured over time, by the installed program: it goes on over runs that end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.program import run
from tests.support.servers import page, serve_pages

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop


async def test_a_failure_rate_goes_on_over_runs(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(
        f"endpoints:\n  shop:\n    url: {shop.url}/\n"
        "    failure_rate: {lt: 50%, over: 5m, min_samples: 3}\n"
    )

    verdicts = []
    for status in (200, 503, 503):
        shop.status = status
        ended = await run("--cycles", "1", "--output", "json", cwd=tmp_path)
        checks = {one["check"]: one for one in ended.json()["checks"]}
        verdicts.append(checks["shop.failure_rate"])

    assert [one["verdict"] for one in verdicts] == ["waiting", "waiting", "fail"]
    assert verdicts[1]["waiting"] == {"samples": 2, "needed": 3}
    assert verdicts[2]["state"] == "fail"
    assert [one["message"] for one in verdicts[2]["reasons"]] == [
        "2 of 3 probes in 5m failed (66.7%), expected less than 50%"
    ]


async def test_a_window_of_values_goes_on_over_runs(tmp_path: Path) -> None:
    async with serve_pages({"/health": page(b'{"queue": 12}')}) as server:
        (tmp_path / "monitor.yml").write_text(
            f"endpoints:\n  shop:\n    url: {server.url('/health')}\n    every: 100ms\n"
            "    value: {json: $.queue, lt: 10, window: 2s, statistic: min, min_samples: 2,"
            " failure_threshold: 1}\n"
        )

        for _ in range(20):
            ended = await run("--cycles", "1", "--output", "json", cwd=tmp_path)
            (check,) = [one for one in ended.json()["checks"] if one["check"] == "shop.value"]
            if check["state"] == "fail":
                break

    assert check["state"] == "fail"
    message = check["reasons"][0]["message"]
    assert message.startswith("the minimum of ")
    assert message.endswith(" values in 2s is 12, expected less than 10")
