"""Alertmanager, Debian's own: alerts appear, stay, change and end; and members that are away."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentClass
from monitor.core.model.notice import (
    Delivered,
    DeliveryState,
    Earlier,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.core.situation import Situation
from monitor.examination import Unfit
from monitor.notifiers.alertmanager import AlertmanagerNotifier, AlertmanagerOptions
from monitor.upkeep import ENDS_LAST, Upkeep, list_standing
from tests.support.alertmanager import Alertmanager, serve_alertmanager
from tests.support.authority import Authority
from tests.support.logs import capture_logs
from tests.support.notices import an_incident, make_context, make_delivery, make_notice
from tests.support.receiver import answers, hangs, serve_app, serve_receiver
from tests.support.servers import unused_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from monitor.core.model.incident import Incident
    from monitor.core.model.notice import Delivery, Notice
    from tests.support.receiver import Receiver

real = pytest.mark.needs("prometheus-alertmanager")

NOBODY = "http://127.0.0.1:9/"
SHORT = timedelta(seconds=1)


def now() -> datetime:
    return datetime.now(UTC)


def nearly_expired() -> datetime:
    """Tell a time by which an alert that is sent now ends in a moment."""
    return now() - timedelta(minutes=5) + SHORT


def make(*urls: str, clock: Any = now, **options: Any) -> AlertmanagerNotifier:
    wanted = {"urls": list(urls), "timeout": "2s", **options}
    read = AlertmanagerOptions.model_validate(wanted)

    return AlertmanagerNotifier(read, make_context(clock=clock))


def notice(event: NoticeEvent = NoticeEvent.OPENED, **parts: Any) -> Notice:
    """Give a notice of what began a minute ago."""
    end = {"resolved_at": now()} if event is NoticeEvent.RESOLVED else {}

    return make_notice(event, since=now() - timedelta(minutes=1), at=now(), **{**end, **parts})


def told(delivery: Delivery, receipt: object, at: datetime | None = None) -> Delivery:
    """Give a row as the outbox keeps it afterwards."""
    assert isinstance(receipt, Delivered)

    return replace(
        delivery,
        state=DeliveryState.DELIVERED,
        reference=receipt.reference,
        delivered_at=at or now(),
    )


def situation_of(*rows: Delivery, incidents: tuple[Incident, ...] = ()) -> Situation:
    situation = Situation()
    situation.apply(Changes(deliveries=rows, incidents=incidents))

    return situation


@asynccontextmanager
async def kept_up(notifier: AlertmanagerNotifier, situation: Situation) -> AsyncIterator[None]:
    """Let what stands be told again, more often than each minute."""
    upkeep = Upkeep(
        notifiers=lambda: {"oncall": notifier},
        situation=situation,
        clock=now,
        every=timedelta(milliseconds=300),
    )
    running = asyncio.create_task(upkeep.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@real
async def test_an_incident_is_an_alert_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with (
        serve_receiver() as people,
        serve_alertmanager(tmp_path / "am", people.url()) as alertmanager,
    ):
        notifier = make(alertmanager.url, labels={"team": "web"})
        receipt = await notifier.deliver(make_delivery(notice()), Earlier())
        assert isinstance(receipt, Delivered)
        [alert] = await alertmanager.alerts()
        await people.wait_for(1)
        ended = await notifier.deliver(
            make_delivery(notice(NoticeEvent.RESOLVED)), Earlier(reference=receipt.reference)
        )
        await people.wait_for(2)
        assert await alertmanager.alerts() == []

    assert isinstance(ended, Delivered)
    assert alert["labels"] == {
        "alertname": "ServiceOutage",
        "class": "outage",
        "environment": "production",
        "service": "shop",
        "severity": "high",
        "team": "web",
    }
    assert alert["annotations"]["summary"].startswith("shop answers 500, expected 2xx")
    assert alert["annotations"]["runbook_url"] == "https://wiki.example/shop"
    assert [one.json["status"] for one in people.received] == ["firing", "resolved"]


@real
async def test_an_alert_stays_for_as_long_as_its_incident_and_ends_without_us(
    tmp_path: Path,
) -> None:
    async with serve_alertmanager(tmp_path / "am", NOBODY) as alertmanager:
        notifier = make(alertmanager.url, clock=nearly_expired)
        opened = make_delivery(notice())
        row = told(opened, await notifier.deliver(opened, Earlier()))
        situation = situation_of(row, incidents=(an_incident(opened.notice),))
        began = now()
        async with kept_up(notifier, situation):
            while now() - began < 2 * SHORT:
                assert len(await alertmanager.alerts()) == 1
                await asyncio.sleep(0.1)

        await alertmanager.wait_for(lambda alerts: alerts == [])


@real
async def test_a_severity_that_rises_is_another_alert_and_ends_the_one_before(
    tmp_path: Path,
) -> None:
    async with serve_alertmanager(tmp_path / "am", NOBODY) as alertmanager:
        notifier = make(alertmanager.url)
        first = await notifier.deliver(make_delivery(notice()), Earlier())
        assert isinstance(first, Delivered)
        worse = notice(
            NoticeEvent.UPDATED,
            sequence=2,
            severity=Severity.CRITICAL,
            headline="shop: home.health fails as well",
        )
        second = await notifier.deliver(make_delivery(worse), Earlier(reference=first.reference))
        assert isinstance(second, Delivered)
        await alertmanager.wait_for(lambda alerts: len(alerts) == 1)
        [alert] = await alertmanager.alerts()
        over = notice(NoticeEvent.RESOLVED, severity=Severity.LOW)
        await notifier.deliver(make_delivery(over), Earlier(reference=second.reference))
        assert await alertmanager.alerts() == []

    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["summary"].startswith("shop answers 500")
    assert alert["annotations"]["news"] == "shop: home.health fails as well"


@real
async def test_a_member_that_was_away_hears_of_it_when_it_is_back(tmp_path: Path) -> None:
    away = Alertmanager(folder=tmp_path / "away", receiver=NOBODY)
    async with serve_alertmanager(tmp_path / "am", NOBODY) as alertmanager:
        notifier = make(away.url, alertmanager.url)
        opened = make_delivery(notice())
        with capture_logs() as said:
            row = told(opened, await notifier.deliver(opened, Earlier()))
        situation = situation_of(row, incidents=(an_incident(opened.notice),))
        try:
            async with kept_up(notifier, situation):
                await away.start()
                await away.wait_for(lambda alerts: len(alerts) == 1)
        finally:
            await away.stop()

    assert [(one["event"], one["member"]) for one in said] == [
        ("alertmanager_member_not_told", f"127.0.0.1:{away.port}")
    ]


@real
async def test_what_was_over_before_anybody_was_told_is_told_all_the_same(
    tmp_path: Path,
) -> None:
    async with (
        serve_receiver() as people,
        serve_alertmanager(tmp_path / "am", people.url()) as alertmanager,
    ):
        over = notice(NoticeEvent.RESOLVED)
        receipt = await make(alertmanager.url).deliver(make_delivery(over), Earlier())
        await people.wait_for(1)

    assert receipt == Delivered()
    assert people.received[0].json["status"] == "firing"


@real
async def test_many_incidents_are_kept_up_in_few_requests(tmp_path: Path) -> None:
    async with serve_alertmanager(tmp_path / "am", NOBODY) as alertmanager:
        notifier = make(alertmanager.url)
        one = make_delivery(notice())
        receipt = await notifier.deliver(one, Earlier())
        assert isinstance(receipt, Delivered)
        assert receipt.reference is not None
        rows = [
            replace(
                one,
                reference=json.dumps({**json.loads(receipt.reference), "service": f"s-{number}"}),
            )
            for number in range(500)
        ]
        await notifier.upkeep(rows)

        assert len(await alertmanager.alerts()) == 501


async def test_what_stood_is_not_sent_again_behind_its_end() -> None:
    opened, over = make_delivery(notice()), make_delivery(notice(NoticeEvent.RESOLVED))
    async with serve_receiver(then=answers(200, "")) as member:
        notifier = make(member.origin)
        standing = told(opened, await notifier.deliver(opened, Earlier()))
        await notifier.upkeep([standing])
        ended = await notifier.deliver(over, Earlier(reference=standing.reference))
        await notifier.upkeep([standing])
        await notifier.upkeep([told(over, ended)])

    assert len(member.received) == 4
    assert member.received[-1].json[0]["endsAt"] == member.received[2].json[0]["endsAt"]


async def test_a_member_that_hangs_keeps_no_other_from_hearing_all_of_it() -> None:
    row = told(make_delivery(notice()), Delivered(reference='{"service": "shop"}'))
    async with serve_receiver(then=answers(200, "")) as working, serve_receiver(hangs()) as slow:
        await make(slow.origin, working.origin, timeout="300ms").upkeep([row] * 250)

    assert sum(len(request.json) for request in working.received) == 250
    assert len(slow.received) == 1


@real
async def test_doctor_asks_each_member_and_fires_nothing(tmp_path: Path) -> None:
    async with serve_alertmanager(tmp_path / "am", NOBODY) as alertmanager:
        said = await make(alertmanager.url).examine()
        with pytest.raises(Unfit) as caught:
            await make(alertmanager.url, f"http://127.0.0.1:{unused_port()}").examine()
        assert await alertmanager.alerts() == []

    assert said.startswith(f"127.0.0.1:{alertmanager.port} is Alertmanager 0.")
    assert "cannot be asked: no connection: Connection refused" in str(caught.value)


async def test_no_member_there_is_tried_again_and_a_slow_one_delays_no_other() -> None:
    async with serve_receiver() as working, serve_receiver(hangs()) as slow:
        one = make_delivery(notice())
        nobody = await make(f"http://127.0.0.1:{unused_port()}").deliver(one, Earlier())
        quick = make(slow.origin, working.origin, timeout="300ms")
        some = await quick.deliver(one, Earlier())

    assert nobody == TryAgain(reason="unreachable", error="no connection: Connection refused")
    assert isinstance(some, Delivered)


async def test_what_every_member_refuses_is_refused_and_else_tried_again() -> None:
    async with serve_receiver(then=answers(400, "bad")) as refusing:
        one = make_delivery(notice())
        refused = await make(refusing.origin).deliver(one, Earlier())
        perhaps = make(refusing.origin, f"http://127.0.0.1:{unused_port()}")
        again = await perhaps.deliver(one, Earlier())

    assert refused == Refused(reason="refused", error="answered 400 bad")
    assert isinstance(again, TryAgain)


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        ({"bearer": "canary-7d81"}, "Bearer canary-7d81"),
        ({"basic": {"username": "mon", "password": "canary-7d81"}}, "Basic bW9uOmNhbmFyeS03ZDgx"),
    ],
    ids=["bearer", "basic"],
)
async def test_it_says_who_it_is_and_never_shows_how(auth: dict[str, Any], sent: str) -> None:
    async with serve_receiver(answers(401, f"who is {sent}, canary-7d81?")) as receiver:
        notifier = make(receiver.origin, auth=auth, headers={"X-Scope-OrgID": "team-web"})
        receipt = await notifier.deliver(make_delivery(notice()), Earlier())

    [request] = receiver.received
    assert request.path == "/api/v2/alerts"
    assert request.headers["authorization"] == sent
    assert request.headers["x-scope-orgid"] == "team-web"
    assert isinstance(receipt, Refused)
    assert "canary" not in receipt.error
    assert "bW9uO" not in receipt.error


async def test_an_authority_of_ones_own_is_believed_where_it_is_named(tmp_path: Path) -> None:
    from aiohttp import web

    authority = Authority(tmp_path)
    app = web.Application()

    async def take(_request: web.Request) -> web.Response:
        return web.Response()

    app.router.add_post("/api/v2/alerts", take)
    one = make_delivery(notice())
    async with serve_app(app, tls=authority.context()) as port:
        url = f"https://127.0.0.1:{port}"
        unknown = await make(url).deliver(one, Earlier())
        known = await make(url, ca_file=str(authority.file)).deliver(one, Earlier())

    assert unknown == TryAgain(reason="tls", error="the certificate is not trusted")
    assert isinstance(known, Delivered)


def sent_by(receiver: Receiver) -> list[tuple[str, bool]]:
    """Give the severity of each alert that came, and whether it fired."""
    return [
        (alert["labels"]["severity"], datetime.fromisoformat(alert["endsAt"]) > now())
        for request in receiver.received
        for alert in request.json
    ]


async def test_an_end_is_told_again_after_a_restart_until_a_quarter_of_an_hour_is_over() -> None:
    async with serve_receiver() as receiver:
        notifier = make(receiver.origin)
        opened, over = make_delivery(notice()), make_delivery(notice(NoticeEvent.RESOLVED))
        first = told(opened, await notifier.deliver(opened, Earlier()))
        last = told(over, await notifier.deliver(over, Earlier(reference=first.reference)))
        incident = an_incident(opened.notice, resolved_at=over.notice.resolved_at)
        await notifier.upkeep(
            list_standing(situation_of(first, last, incidents=(incident,)), now())["oncall"]
        )

    assert sent_by(receiver) == [("high", True), ("high", False), ("high", False)]
    late = now() + ENDS_LAST + timedelta(seconds=1)
    assert list_standing(situation_of(first, last, incidents=(incident,)), late) == {}


def test_the_newest_that_was_delivered_stands_for_each_incident_that_is_open() -> None:
    opened = told(make_delivery(make_notice()), Delivered(reference="1"))
    updated = told(
        make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2)), Delivered(reference="2")
    )
    waiting = make_delivery(make_notice(NoticeEvent.UPDATED, sequence=3))
    elsewhere = told(make_delivery(notifier="other"), Delivered(reference="3"))
    forgotten = told(make_delivery(make_notice(incident="gone")), Delivered(reference="4"))
    rows = (opened, updated, waiting, elsewhere, forgotten)

    standing = list_standing(situation_of(*rows, incidents=(an_incident(opened.notice),)), now())

    assert standing == {"oncall": [updated], "other": [elsewhere]}


def test_an_end_is_not_told_again_once_the_service_fails_anew() -> None:
    over = told(make_delivery(make_notice(NoticeEvent.RESOLVED)), Delivered(reference="1"))
    ended = an_incident(over.notice, resolved_at=over.notice.resolved_at)
    anew = an_incident(over.notice, id="shop-2")
    finding = an_incident(over.notice, id="shop-3", klass=IncidentClass.FINDING)

    assert list_standing(situation_of(over, incidents=(ended, anew)), now()) == {}
    assert list_standing(situation_of(over, incidents=(ended, finding)), now()) != {}


async def test_a_bug_in_one_receiver_ends_no_upkeep() -> None:
    class Broken(AlertmanagerNotifier):
        called = 0

        async def upkeep(self, standing: Any) -> None:
            self.called += 1
            raise RuntimeError("bug")

    read = AlertmanagerOptions.model_validate({"urls": [NOBODY]})
    broken = Broken(read, make_context())
    row = told(make_delivery(), Delivered(reference="{}"))
    situation = situation_of(row, incidents=(an_incident(row.notice),))
    with capture_logs():
        async with kept_up(broken, situation), asyncio.timeout(20):
            while broken.called < 2:
                await asyncio.sleep(0.01)
