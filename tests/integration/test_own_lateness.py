"""A clock that is wrong, and a loop that stands still, cost neither history nor targets."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from monitor.clock import SteadyClock
from monitor.core.model.verdict import Outcome
from tests.support.running import running
from tests.support.shop import open_shop
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

TEN_YEARS = timedelta(days=3_650)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def test_a_clock_that_is_ten_years_ahead_deletes_no_history(tmp_path: Path) -> None:
    off = 0.0
    clock = SteadyClock(wall=lambda: time.time() + off)
    async with open_shop() as shop:
        text = f"endpoints: {{up: {{url: '{shop.url}/up', every: 250ms, timeout: 250ms}}}}\n"
        async with running(tmp_path, text, clock=clock) as monitor:
            await until(lambda: monitor.ready)
            await monitor.journal.flush()
            off = TEN_YEARS.total_seconds()
            monitor.clock_watch.look()
            await monitor.chores.prune()
            kept = await monitor._store.results("up", EPOCH, 100)

    assert clock() - datetime.now(UTC) > TEN_YEARS - timedelta(minutes=1)
    assert kept[0].at < datetime.now(UTC)


async def test_a_plug_in_that_blocks_the_loop_makes_no_target_fail(tmp_path: Path) -> None:
    async with open_shop() as shop:
        shop.delays["/up"] = 0.2
        text = f"""
defaults: {{every: 500ms, timeout: 500ms}}
endpoints:
  up: {{url: "{shop.url}/up", health: {{failure_threshold: 1}}}}
  idle: {{url: "{shop.url}/idle", health: {{failure_threshold: 1}}}}
"""
        async with running(tmp_path, text) as monitor:
            await until(lambda: monitor.ready)
            before = len(shop.times["/up"])
            await until(lambda: len(shop.times["/up"]) > before)
            time.sleep(3)  # what a plug-in must not do, and this one does
            asked = len(shop.times["/up"])
            await until(lambda: len(shop.times["/up"]) >= asked + 2)
            lag = monitor.metrics.registry.get_sample_value(
                "production_monitor_schedule_lag_seconds_bucket", {"le": "1.0"}
            )
            count = monitor.metrics.registry.get_sample_value(
                "production_monitor_schedule_lag_seconds_count"
            )
            state = monitor.engine.situation.states["up.health"]
            results = await monitor._store.results(
                "up", datetime.now(UTC) - timedelta(seconds=20), 100
            )

    assert lag is not None
    assert count is not None
    assert count - lag >= 1, "the start that had to wait"
    assert state.consecutive_failures == 0
    assert {outcome for one in results for _, outcome in one.outcomes} == {
        Outcome.PASS,
        Outcome.UNKNOWN,
    }
