"""The JSON that other people's programs read: its names and their meaning stay."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import DigestLine, NoticeEvent, Task
from monitor.notifiers._payload import payload
from monitor.webhooks import sign
from tests.support.notices import NOON, make_delivery, make_notice, make_rollback


def test_the_payload_is_exactly_what_is_promised() -> None:
    delivery = make_delivery(make_notice(rollback=make_rollback("executing")))

    assert payload(delivery) == {
        "text": "shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)\n"
        "Since 2026-07-01 12:00:00 UTC (2 min), severity high. "
        "Rollback from v42 to v41 under way. Take it on: production-monitor incident ack shop. "
        "Asked: https://shop.example/health. "
        "Runbook: https://wiki.example/shop",
        "timestamp": "2026-07-01T12:02:00.000Z",
        "service": "shop",
        "environment": "production",
        "event": "opened",
        "incident": "shop-1",
        "class": "outage",
        "severity": "high",
        "phase": "investigating",
        "checks": [
            {
                "check": "api.health",
                "target": "https://shop.example/health",
                "severity": "high",
                "since": "2026-07-01T12:00:00.000Z",
                "closed_at": None,
                "failures": 5,
                "flapping": None,
            }
        ],
        "reasons": [
            {
                "check": "api.health",
                "code": "status",
                "message": "status is 500, expected 2xx",
                "expected": "2xx",
                "found": "500",
                "at": "monitor.yml:4:9",
            }
        ],
        "since": "2026-07-01T12:00:00.000Z",
        "resolved_at": None,
        "contacts": {"on_call": "@web-oncall"},
        "links": {"runbook": "https://wiki.example/shop"},
        "rollback": {
            "id": "rb-1",
            "kind": "rollback",
            "state": "executing",
            "from": "v42",
            "to": "v41",
            "reason": "api.health passes",
            "approvable": False,
            "vetoable": False,
            "due_at": None,
        },
        "acknowledged": None,
        "checklist": [],
        "evidence": [],
        "affected": [],
        "common_cause": "",
        "digest": [],
        "idempotency_key": delivery.key,
        "may_repeat": False,
    }


def test_without_a_rollback_it_is_null() -> None:
    assert payload(make_delivery())["rollback"] is None


def test_it_says_who_has_taken_it_on_what_to_do_and_what_was_seen() -> None:
    notice = make_notice(
        acknowledged_by="ana",
        acknowledged_at=NOON,
        checklist=(Task(text="Tell support"), Task(text="Roll back", done=True)),
        evidence=(("last logs", "out of memory"),),
        affected=("api", "page"),
        common_cause="3 of 5 services fail",
    )
    sent = payload(make_delivery(notice))

    assert sent["acknowledged"] == {"by": "ana", "at": "2026-07-01T12:00:00.000Z"}
    assert sent["checklist"] == [
        {"text": "Tell support", "done": None},
        {"text": "Roll back", "done": True},
    ]
    assert sent["evidence"] == [{"name": "last logs", "text": "out of memory"}]
    assert sent["affected"] == ["api", "page"]
    assert sent["common_cause"] == "3 of 5 services fail"


def test_a_digest_has_a_line_for_each_notice() -> None:
    line = DigestLine(
        incident="shop-1",
        event=NoticeEvent.OPENED,
        service="shop",
        severity=Severity.HIGH,
        headline="shop answers 500",
        since=NOON,
        at=NOON,
    )
    sent = payload(make_delivery(make_notice(NoticeEvent.DIGEST, lines=(line,))))

    assert sent["digest"] == [
        {
            "incident": "shop-1",
            "event": "opened",
            "service": "shop",
            "severity": "high",
            "text": "shop answers 500",
            "since": "2026-07-01T12:00:00.000Z",
            "timestamp": "2026-07-01T12:00:00.000Z",
            "resolved_at": None,
        }
    ]


def test_the_end_carries_when_it_was() -> None:
    sent = payload(make_delivery(make_notice(NoticeEvent.RESOLVED)))

    assert (sent["event"], sent["resolved_at"]) == ("resolved", "2026-07-01T12:03:00.000Z")
    assert sent["checks"][0]["closed_at"] == "2026-07-01T12:03:00.000Z"


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(payload(make_delivery()))) == payload(make_delivery())


def test_a_signature_is_that_of_standard_webhooks() -> None:
    key = base64.b64encode(b"secret key").decode()
    digest = hmac.new(b"secret key", b"id-1.1700000000.{}", hashlib.sha256).digest()

    signature = sign(f"whsec_{key}", "id-1", "1700000000", b"{}")

    assert signature == f"v1,{base64.b64encode(digest).decode()}"
    assert signature == sign("secret key", "id-1", "1700000000", b"{}")
