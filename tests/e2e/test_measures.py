"""What is measured over time, by the installed program: it goes on over runs that end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.program import run

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
