"""PagerDuty over real sockets: one alert for each incident, and each way it can say no."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import (
    Delivered,
    DigestLine,
    Earlier,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.core.situation import Situation
from monitor.dispatch import Dispatch
from monitor.notifiers.pagerduty import PagerDutyNotifier, PagerDutyOptions
from tests.support.logs import capture_logs
from tests.support.notices import (
    NOON,
    USER_AGENT,
    an_incident,
    make_context,
    make_delivery,
    make_member,
    make_notice,
    make_pair,
    make_rollback,
)
from tests.support.pagerduty import ROUTING_KEY, FakePagerDuty, serve_pagerduty
from tests.support.receiver import answers, drops, hangs, redirects
from tests.support.servers import unused_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from monitor.core.model.notice import Delivery, Receipt


@pytest.fixture
async def pagerduty() -> AsyncIterator[FakePagerDuty]:
    async with serve_pagerduty() as fake:
        yield fake


def make(pagerduty: FakePagerDuty, **options: Any) -> PagerDutyNotifier:
    wanted = {
        "routing_key": ROUTING_KEY,
        "base_url": pagerduty.base_url,
        "timeout": "2s",
        **options,
    }

    return PagerDutyNotifier(PagerDutyOptions.model_validate(wanted), make_context())


async def tell(notifier: PagerDutyNotifier, *deliveries: Delivery) -> Receipt:
    """Tell one after the other, each with what the one before left."""
    earlier = Earlier()
    receipt: Receipt = Delivered()
    for delivery in deliveries:
        receipt = await notifier.deliver(delivery, earlier)
        if isinstance(receipt, Delivered):
            earlier = Earlier(reference=receipt.reference)

    return receipt


OPENED = make_delivery()
UPDATED = make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2))
RESOLVED = make_delivery(make_notice(NoticeEvent.RESOLVED))


def acted(event: NoticeEvent, **parts: Any) -> Delivery:
    return make_delivery(make_notice(event, sequence=3, **parts))


async def test_an_incident_is_one_alert_from_its_first_failing_sample_to_its_end(
    pagerduty: FakePagerDuty,
) -> None:
    taken = acted(NoticeEvent.ACKNOWLEDGED)
    reminded, escalated = (acted(one) for one in (NoticeEvent.REMINDER, NoticeEvent.ESCALATED))

    receipt = await tell(make(pagerduty), OPENED, UPDATED, reminded, escalated, taken, RESOLVED)

    [alert] = pagerduty.alerts
    assert receipt == Delivered(reference="shop-1")
    assert pagerduty.acts == ["trigger"] * 4 + ["acknowledge", "resolve"]
    assert (alert.dedup_key, alert.status, len(alert.triggers)) == ("shop-1", "resolved", 4)
    assert alert.payload["timestamp"] == NOON.isoformat(timespec="milliseconds")
    assert alert.payload["summary"].startswith("shop answers 500, expected 2xx")
    assert alert.payload["severity"] == "error"
    assert (alert.payload["source"], alert.payload["component"]) == ("shop", "api.health")
    assert (alert.payload["group"], alert.payload["class"]) == ("production", "outage")
    assert pagerduty.user_agents == {USER_AGENT}


async def test_the_details_say_what_fails_why_and_whom_to_call(pagerduty: FakePagerDuty) -> None:
    await make(pagerduty).deliver(OPENED, Earlier())

    [event] = pagerduty.events
    details = event["payload"]["custom_details"]
    assert details["checks"][0]["check"] == "api.health"
    assert details["reasons"][0]["message"] == "status is 500, expected 2xx"
    assert details["contacts"] == {"on_call": "@web-oncall"}
    assert details["idempotency_key"] == OPENED.key
    assert event["links"] == [{"href": "https://wiki.example/shop", "text": "runbook"}]


@pytest.mark.parametrize(
    ("severity", "there"),
    [("critical", "critical"), ("high", "error"), ("medium", "warning"), ("low", "info")],
)
async def test_each_severity_has_its_own_there(
    pagerduty: FakePagerDuty, severity: str, there: str
) -> None:
    notice = make_notice(severity=Severity(severity))

    await make(pagerduty).deliver(make_delivery(notice), Earlier())

    assert pagerduty.alerts[0].payload["severity"] == there


async def test_a_repeat_pages_nobody_twice(pagerduty: FakePagerDuty) -> None:
    pagerduty.next.append(drops())
    notifier = make(pagerduty)

    first = await notifier.deliver(OPENED, Earlier())
    for _ in "12":
        again = replace(OPENED, maybe_sent=True)
        assert isinstance(await notifier.deliver(again, Earlier()), Delivered)

    assert isinstance(first, TryAgain)
    assert len(pagerduty.alerts) == 1


async def test_what_was_over_before_anybody_was_told_is_on_record_and_not_open(
    pagerduty: FakePagerDuty,
) -> None:
    await make(pagerduty).deliver(RESOLVED, Earlier())

    [alert] = pagerduty.alerts
    assert pagerduty.acts == ["trigger", "resolve"]
    assert (alert.status, alert.payload["severity"]) == ("resolved", "info")


async def test_a_digest_is_one_alert_that_ends_with_the_last_of_its_incidents(
    pagerduty: FakePagerDuty,
) -> None:
    line = DigestLine(
        incident="shop-1",
        event=NoticeEvent.OPENED,
        service="shop",
        severity=Severity.CRITICAL,
        headline="shop is down",
        since=NOON,
        at=NOON,
    )
    digest = make_delivery(
        make_notice(
            NoticeEvent.DIGEST,
            incident="digest-7",
            headline="12 incidents: shop, cart and 10 more",
            members=(),
            lines=(line,) * 12,
        )
    )
    notifier = make(pagerduty)
    receipt = await notifier.deliver(digest, Earlier())

    first = Earlier(digest=digest.key, others=1)
    assert await notifier.deliver(RESOLVED, first) == Delivered()
    assert await notifier.deliver(acted(NoticeEvent.ACKNOWLEDGED), first) == Delivered()
    assert await notifier.deliver(UPDATED, first) == Delivered()
    assert [alert.status for alert in pagerduty.alerts] == ["triggered"]

    last = Earlier(digest=digest.key, others=0)
    assert await notifier.deliver(acted(NoticeEvent.ACKNOWLEDGED), last) == Delivered()
    assert pagerduty.alerts[0].status == "acknowledged"
    assert await notifier.deliver(RESOLVED, last) == Delivered()

    [alert] = pagerduty.alerts
    assert receipt == Delivered()
    assert (alert.dedup_key, alert.status) == (digest.key, "resolved")
    assert len(alert.payload["custom_details"]["digest"]) == 12


async def test_a_storm_is_one_alert_through_the_outbox_until_the_last_incident_is_over(
    pagerduty: FakePagerDuty,
) -> None:
    notifier = make(pagerduty)
    notifier.manner = replace(notifier.manner, every=timedelta())
    pairs = [make_pair(f"i-{number}", notifier="pager") for number in range(12)]
    incidents = [an_incident(opened.notice) for opened, _ in pairs]
    situation = Situation()

    async def record(_changes: Changes) -> None: ...

    dispatch = Dispatch(
        notifiers={"pager": notifier},
        situation=situation,
        record=record,
        clock=lambda: datetime.now(UTC),
        on_receipt=lambda _delivery, _receipt: None,
        rng=lambda: 0.001,
    )
    situation.apply(
        Changes(incidents=tuple(incidents), deliveries=tuple(opened for opened, _ in pairs))
    )
    dispatch.start()
    try:
        await dispatch.drain(timedelta(seconds=10))
        [alert] = pagerduty.alerts
        ends = [resolved for _, resolved in pairs]
        over = [replace(one, resolved_at=ends[0].notice.resolved_at) for one in incidents]
        situation.apply(Changes(incidents=(over[0],), deliveries=(ends[0],)))
        await dispatch.drain(timedelta(seconds=10))
        assert alert.status == "triggered"
        situation.apply(Changes(incidents=tuple(over[1:]), deliveries=tuple(ends[1:])))
        await dispatch.drain(timedelta(seconds=10))
    finally:
        await dispatch.stop()

    assert len(alert.payload["custom_details"]["digest"]) == 12
    assert [one.status for one in pagerduty.alerts] == ["resolved"]
    assert pagerduty.acts[0] == "trigger"
    assert set(pagerduty.acts[1:]) == {"resolve"}


def rolled_back(state: str, *, over: bool = False, **parts: Any) -> Delivery:
    end = {"resolved_at": NOON + timedelta(minutes=3)} if over else {}
    summary = replace(make_rollback(state), **parts)

    return acted(NoticeEvent.ROLLBACK, rollback=summary, headline=f"rollback {state}", **end)


async def test_a_rollback_is_told_in_the_alert_and_its_end_as_a_change(
    pagerduty: FakePagerDuty,
) -> None:
    begun, ended = rolled_back("executing"), rolled_back("recovered")

    await tell(make(pagerduty), OPENED, begun, ended)

    [change] = pagerduty.changes
    assert [len(alert.triggers) for alert in pagerduty.alerts] == [3]
    assert change["payload"]["summary"] == "rollback recovered"
    assert change["payload"]["custom_details"]["rollback"]["to"] == "v41"


async def test_the_deploy_before_an_outage_is_a_change_of_its_own_time(
    pagerduty: FakePagerDuty,
) -> None:
    deployed = NOON - timedelta(minutes=4)
    opened = make_delivery(make_notice(deploy="v42@noon", deployed_at=deployed))
    notifier = make(pagerduty)

    receipt = await notifier.deliver(opened, Earlier())
    updated = make_notice(NoticeEvent.UPDATED, deploy="v42@noon", deployed_at=deployed)
    await notifier.deliver(make_delivery(updated), Earlier(reference="shop-1"))

    [change] = pagerduty.changes
    assert receipt == Delivered(reference="shop-1")
    assert change["payload"]["summary"] == "deploy of shop: v42@noon"
    assert change["payload"]["timestamp"] == deployed.isoformat(timespec="milliseconds")


@pytest.mark.parametrize(
    ("state", "alerts"), [("recovered", []), ("cancelled", []), ("failed", ["shop-1/rb-1"])]
)
async def test_after_the_incident_only_a_rollback_that_needs_a_person_pages(
    pagerduty: FakePagerDuty, state: str, alerts: list[str]
) -> None:
    await tell(make(pagerduty), OPENED, RESOLVED, rolled_back(state, over=True))

    assert [one.dedup_key for one in pagerduty.alerts if one.status != "resolved"] == alerts


async def test_a_rollback_that_needs_approval_pages_whoever_was_not_told_before(
    pagerduty: FakePagerDuty,
) -> None:
    receipt = await tell(make(pagerduty), rolled_back("executing", approvable=True))

    assert receipt == Delivered(reference="shop-1")
    assert [alert.status for alert in pagerduty.alerts] == ["triggered"]


async def test_a_change_that_is_not_taken_takes_nothing_from_the_alert(
    pagerduty: FakePagerDuty,
) -> None:
    notifier = make(pagerduty)
    first = await notifier.deliver(OPENED, Earlier())
    assert isinstance(first, Delivered)
    pagerduty.next.extend([answers(202), answers(500, "")])

    with capture_logs() as said:
        receipt = await notifier.deliver(rolled_back("failed"), Earlier(reference=first.reference))

    assert receipt == first
    assert [line["event"] for line in said] == ["pagerduty_change_not_told"]


@pytest.mark.parametrize(
    "options", [{"changes": False}, {"routing_key": "R" + ROUTING_KEY[1:]}], ids=["off", "ruleset"]
)
async def test_changes_can_be_left_out_and_rulesets_get_none(
    pagerduty: FakePagerDuty, options: dict[str, Any]
) -> None:
    pagerduty.keys.add("R" + ROUTING_KEY[1:])

    await tell(make(pagerduty, **options), OPENED, rolled_back("recovered"))

    assert pagerduty.changes == []
    assert len(pagerduty.events) == 2


async def test_a_huge_incident_is_told_with_as_much_as_there_is_room_for(
    pagerduty: FakePagerDuty,
) -> None:
    members = tuple(
        make_member(f"api.check-{number}", reason="\u20ac" * 3_000) for number in range(100)
    )
    notice = make_notice(
        headline="x" * 5_000, incident="i" * 300, members=members, service="s" * 400
    )

    receipt = await make(pagerduty).deliver(make_delivery(notice), Earlier())

    [alert] = pagerduty.alerts
    details = alert.payload["custom_details"]
    assert isinstance(receipt, Delivered)
    assert details["left_out"] == "reasons"
    assert len(details["checks"]) == 100


async def test_a_test_is_over_at_once(pagerduty: FakePagerDuty) -> None:
    notice = make_notice(NoticeEvent.TEST, incident="test-1", severity=Severity.LOW, members=())

    await make(pagerduty).deliver(make_delivery(notice), Earlier())

    assert [(one.dedup_key, one.status) for one in pagerduty.alerts] == [("test-1", "resolved")]


async def test_a_form_that_is_refused_is_tried_once_more_in_short(
    pagerduty: FakePagerDuty,
) -> None:
    pagerduty.next.append(answers(400, '{"status":"invalid event"}'))

    receipt = await make(pagerduty).deliver(OPENED, Earlier())

    assert isinstance(receipt, Delivered)
    assert set(pagerduty.alerts[0].payload) == {"summary", "source", "severity"}


async def test_a_wrong_key_is_refused_and_never_shown(pagerduty: FakePagerDuty) -> None:
    wrong = "f" * 32

    receipt = await make(pagerduty, routing_key=wrong).deliver(OPENED, Earlier())

    assert isinstance(receipt, Refused)
    assert receipt.error.startswith("answered 400 ")
    assert "'routing_key' is invalid: ***" in receipt.error
    assert wrong not in receipt.error


async def test_too_many_are_tried_again_when_it_says_so(pagerduty: FakePagerDuty) -> None:
    pagerduty.next.append(answers(429, "", retry_after="30"))
    pagerduty.limit = 0
    notifier = make(pagerduty)

    told_when = await notifier.deliver(OPENED, Earlier())
    told_nothing = await notifier.deliver(OPENED, Earlier())

    assert isinstance(told_when, TryAgain)
    assert isinstance(told_nothing, TryAgain)
    assert (told_when.reason, told_when.after) == ("rate_limited", timedelta(seconds=30))
    assert (told_nothing.reason, told_nothing.after) == ("rate_limited", None)


@pytest.mark.parametrize(
    ("behaviour", "kind", "reason"),
    [
        (answers(500, ""), TryAgain, "server_error"),
        (answers(503, ""), TryAgain, "server_error"),
        (answers(200, "<html>log in</html>"), TryAgain, "bad_answer"),
        (hangs(), TryAgain, "timeout"),
        (redirects("http://127.0.0.1:9/"), Refused, "redirected"),
    ],
    ids=["500", "503", "a page", "silence", "redirect"],
)
async def test_what_is_no_acceptance_is_none(
    pagerduty: FakePagerDuty, behaviour: Any, kind: type[Receipt], reason: str
) -> None:
    pagerduty.next.extend([behaviour] * 2)

    receipt = await make(pagerduty, timeout="300ms").deliver(OPENED, Earlier())

    assert isinstance(receipt, kind)
    assert not isinstance(receipt, Delivered)
    assert receipt.reason == reason


async def test_nobody_there_is_tried_again() -> None:
    nobody = FakePagerDuty(port=unused_port())

    receipt = await make(nobody).deliver(OPENED, Earlier())

    assert receipt == TryAgain(reason="unreachable", error="no connection: Connection refused")
