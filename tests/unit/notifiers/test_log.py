"""The log as a receiver: one line for each notice, and it always arrives."""

from __future__ import annotations

from monitor.core.model.notice import Delivered, Earlier
from monitor.notifiers.log import LogNotifier, LogOptions
from tests.support.logs import capture_logs
from tests.support.notices import make_context, make_delivery


async def test_a_notice_is_one_line_with_its_facts() -> None:
    notifier = LogNotifier(LogOptions(), make_context())

    with capture_logs() as lines:
        receipt = await notifier.deliver(make_delivery(), Earlier())
    await notifier.close()

    assert receipt == Delivered()
    assert lines == [
        {
            "log_level": "warning",
            "event": "notice",
            "notice": "opened",
            "headline": "shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)",
            "incident": "shop-1",
            "class": "outage",
            "service": "shop",
            "environment": "production",
            "severity": "high",
            "phase": "investigating",
            "since": "2026-07-01T12:00:00+00:00",
            "checks": ["api.health"],
            "rollback": None,
            "key": "key-shop-1/1/oncall",
        }
    ]
