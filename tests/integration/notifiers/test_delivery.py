"""From the outbox to a real receiver, through everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from monitor.core.model.changes import Changes
from monitor.core.model.notice import DeliveryState, NoticeEvent
from monitor.core.model.service import Directory, Route
from monitor.core.situation import Situation
from monitor.dispatch import Dispatch
from monitor.notifiers._slack_options import SlackOptions
from monitor.notifiers.slack import SlackNotifier
from monitor.notifiers.webhook import WebhookNotifier, WebhookOptions
from monitor.store import Store
from tests.support.authority import Authority
from tests.support.notices import make_context, make_delivery, make_notice, make_pair
from tests.support.receiver import (
    HOST,
    Receiver,
    answers,
    drips,
    drops,
    hangs,
    serve_app,
    serve_receiver,
)
from tests.support.servers import unused_port
from tests.support.slack import TOKEN, serve_slack
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from monitor.core.model.notice import Delivery
    from monitor.notifiers.notifier import Notifier

GRACE = timedelta(seconds=10)


def webhook(url: str, timeout: str = "2s") -> WebhookNotifier:
    options = WebhookOptions.model_validate({"url": url, "timeout": timeout})

    return WebhookNotifier(options, make_context(clock=lambda: datetime.now(UTC)))


@asynccontextmanager
async def delivering(
    situation: Situation,
    notifiers: Mapping[str, Notifier],
    store: Store | None = None,
    directory: Directory | None = None,
) -> AsyncIterator[Dispatch]:
    async def record(changes: Changes) -> None:
        if store is not None:
            await store.commit(changes)

    dispatch = Dispatch(
        notifiers=notifiers,
        situation=situation,
        record=record,
        clock=lambda: datetime.now(UTC),
        on_receipt=lambda _delivery, _receipt: None,
        rng=lambda: 0.001,
        directory=lambda: directory or Directory(services={}, notifiers=tuple(notifiers)),
        stop_grace=timedelta(milliseconds=100),
    )
    dispatch.start()
    try:
        yield dispatch
    finally:
        await dispatch.stop()


def situation_with(*deliveries: Delivery) -> Situation:
    situation = Situation()
    situation.apply(Changes(deliveries=deliveries))

    return situation


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(request.json["incident"], request.json["event"]) for request in receiver.received]


async def test_after_many_errors_each_notice_arrives_once_and_in_order() -> None:
    opened = make_delivery()
    updated = make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2))
    failing = [answers(status, "") for status in (500, 502, 503, 504, 500)]
    async with serve_receiver(*failing) as receiver:
        situation = situation_with(opened, updated)
        async with delivering(situation, {"oncall": webhook(receiver.url())}) as dispatch:
            assert await dispatch.drain(GRACE) == 0

    assert told(receiver) == [("shop-1", "opened")] * 6 + [("shop-1", "updated")]


async def test_a_request_that_was_read_without_an_answer_is_repeated_with_its_key() -> None:
    async with serve_receiver(drops()) as receiver:
        situation = situation_with(make_delivery())
        async with delivering(situation, {"oncall": webhook(receiver.url())}) as dispatch:
            assert await dispatch.drain(GRACE) == 0

    first, second = receiver.received
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert [first.json["may_repeat"], second.json["may_repeat"]] == [False, True]


def http_date(after: timedelta) -> str:
    return format_datetime(datetime.now(UTC) + after, usegmt=True)


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("30", 30),
        ("64.57", 64.57),
        ("86400", 3_600),
        (timedelta(minutes=10), 600),
        (timedelta(days=-1), 0),
        ("-30", 0),
        ("abc", 0),
        ("", 0),
    ],
)
async def test_a_wish_to_wait_in_any_form_outlasts_a_restart_and_is_at_most_an_hour(
    tmp_path: Path, wish: str | timedelta, seconds: float
) -> None:
    asked = http_date(wish) if isinstance(wish, timedelta) else wish
    other = make_delivery(make_notice(incident="other"))
    async with serve_receiver(answers(429, "", retry_after=asked)) as receiver:
        situation = situation_with(make_delivery(), other)
        store = await Store.open(tmp_path / "monitor.db", holder="one")
        await store.commit(Changes(deliveries=tuple(situation.deliveries.values())))
        async with delivering(situation, {"oncall": webhook(receiver.url())}, store) as dispatch:
            left = await dispatch.drain(GRACE)
        waits = [row.not_before for row in situation.deliveries.values() if row.not_before]
        await store.close()

        store = await Store.open(tmp_path / "monitor.db", holder="two")
        situation = await store.load()
        async with delivering(situation, {"oncall": webhook(receiver.url())}, store) as dispatch:
            assert await dispatch.drain(GRACE) == left
        await store.close()

    assert (left, len(receiver.received)) == ((2, 1) if seconds else (0, 3))
    if seconds:
        [until] = waits
        assert timedelta() < until - receiver_clock(seconds) < timedelta(minutes=1)


def receiver_clock(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds - 60)


async def test_after_a_crash_the_notice_is_sent_again_and_kept_as_delivered(
    tmp_path: Path,
) -> None:
    flying = make_delivery(state=DeliveryState.INFLIGHT, attempts=1)
    async with serve_receiver() as receiver:
        store = await Store.open(tmp_path / "monitor.db", holder="one")
        await store.commit(Changes(deliveries=(flying,)))
        situation = await store.load()
        async with delivering(situation, {"oncall": webhook(receiver.url())}, store) as dispatch:
            assert await dispatch.drain(GRACE) == 0
        [row] = (await store.load()).deliveries.values()
        await store.close()

    assert receiver.received[0].json["may_repeat"] is True
    assert (row.state, row.attempts) == (DeliveryState.DELIVERED, 2)


async def test_receivers_that_hang_or_drip_delay_no_other() -> None:
    async with (
        serve_receiver(then=hangs()) as hanging,
        serve_receiver(then=drips()) as dripping,
        serve_receiver() as working,
    ):
        notifiers = {
            "hanging": webhook(hanging.url(), "30s"),
            "dripping": webhook(dripping.url(), "30s"),
            "working": webhook(working.url()),
        }
        rows = [
            make_delivery(make_notice(incident=f"i-{number}"), notifier=name)
            for name in notifiers
            for number in range(5)
        ]
        async with delivering(situation_with(*rows), notifiers):
            await working.wait_for(5)

    assert len(hanging.received) == len(dripping.received) == 1


async def test_after_an_outage_of_the_network_all_is_told_with_its_original_times() -> None:
    port = unused_port()
    pairs = [make_pair(f"i-{number:03}") for number in range(40)]
    situation = situation_with(*(opened for opened, _ in pairs))
    notifier = webhook(f"http://{HOST}:{port}/hook")
    async with delivering(situation, {"oncall": notifier}) as dispatch:
        async with asyncio.timeout(30):
            while not all(row.attempts for row in situation.deliveries.values()):
                await asyncio.sleep(0.01)
        situation.apply(Changes(deliveries=tuple(resolved for _, resolved in pairs)))
        async with back_on(port) as receiver:
            assert await dispatch.drain(GRACE) == 0

    by_incident: dict[str, list[dict[str, Any]]] = {}
    for request in receiver.received:
        by_incident.setdefault(request.json["incident"], []).append(request.json)
    assert len(by_incident) == 40
    for said in by_incident.values():
        text = " ".join(one["text"] for one in said)
        assert [one["event"] for one in said] in (["opened", "resolved"], ["resolved"])
        assert {one["since"] for one in said} == {"2026-07-01T12:00:00.000Z"}
        assert "shop answers 500" in text
        assert "has recovered" in text


@asynccontextmanager
async def back_on(port: int) -> AsyncIterator[Receiver]:
    """Run a receiver on a port at which nobody was until now."""
    receiver = Receiver((), answers())
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def test_one_incident_is_one_thread_over_a_restart(tmp_path: Path) -> None:
    async with serve_slack() as slack:
        options = SlackOptions.model_validate(
            {"token": TOKEN, "channel": "#on-call", "base_url": slack.base_url}
        )
        opened, resolved = make_pair()
        for number, delivery in enumerate((opened, resolved)):
            store = await Store.open(tmp_path / "monitor.db", holder=str(number))
            situation = await store.load()
            situation.apply(Changes(deliveries=(delivery,)))
            notifier = SlackNotifier(options, make_context())
            async with delivering(situation, {"oncall": notifier}, store) as dispatch:
                assert await dispatch.drain(GRACE) == 0
            await store.close()

    [first] = slack.first_posts
    assert first.text.startswith(":white_check_mark:")
    assert len(slack.thread_of(first)) == 1


FALLBACK = Route(name="route 1", notify=("oncall",), fallback="chat")


@asynccontextmanager
async def with_fallback(url: str) -> AsyncIterator[tuple[Situation, Dispatch, Receiver]]:
    """Deliver to a webhook, and to another what that one is not told."""
    routes = Directory(services={}, notifiers=("oncall", "chat"), routes=(FALLBACK,))
    async with serve_receiver() as chat:
        situation = situation_with(make_delivery())
        notifiers = {"oncall": webhook(url), "chat": webhook(chat.url())}
        async with delivering(situation, notifiers, directory=routes) as dispatch:
            yield situation, dispatch, chat


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "invalid_payload"),
        (403, "invalid_token"),
        (404, "no_service"),
        (410, "channel_is_archived"),
        (302, ""),
    ],
)
async def test_a_refusal_is_a_dead_letter_at_once_and_the_fallback_is_told(
    status: int, text: str
) -> None:
    async with (
        serve_receiver() as elsewhere,
        serve_receiver(then=answers(status, text, location=elsewhere.url())) as refusing,
        with_fallback(refusing.url()) as (situation, dispatch, chat),
    ):
        assert await dispatch.drain(GRACE) == 0
        await chat.wait_for(1)

    assert len(refusing.received) == 1
    assert elsewhere.received == []
    assert "(oncall could not be told)" in chat.received[0].json["text"]
    states = {row.notifier: row.state for row in situation.deliveries.values()}
    assert states == {"oncall": DeliveryState.DEAD, "chat": DeliveryState.DELIVERED}


async def test_where_the_certificate_is_bad_nothing_is_sent_and_the_fallback_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("monitor.dispatch.dispatch._LOOK_EVERY", timedelta(milliseconds=50))
    receiver = Receiver((), answers())
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    async with (
        serve_app(app, tls=Authority(tmp_path).context(HOST)) as port,
        with_fallback(f"https://{HOST}:{port}/hook") as (situation, _, chat),
    ):
        await chat.wait_for(1)

    assert receiver.received == []
    assert "(oncall could not be told so far)" in chat.received[0].json["text"]
    [waiting] = [row for row in situation.deliveries.values() if row.pending]
    assert (waiting.notifier, waiting.maybe_sent) == ("oncall", False)
    assert "certificate" in waiting.last_error


async def test_after_an_outage_people_read_few_messages_with_all_original_times() -> None:
    pairs = [make_pair(f"i-{number:03}") for number in range(60)]
    situation = situation_with(*(opened for opened, _ in pairs))
    async with serve_slack() as slack:
        for _ in range(4):
            slack.fail(status=503)
        options = SlackOptions.model_validate({"webhook_url": slack.webhook_url})
        notifier = SlackNotifier(options, make_context(clock=lambda: datetime.now(UTC)))
        async with delivering(situation, {"oncall": notifier}) as dispatch:
            await until(lambda: len(slack.requests) >= 4)
            situation.apply(Changes(deliveries=tuple(resolved for _, resolved in pairs[:30])))
            dispatch.wake()
            assert await dispatch.drain(GRACE) == 0

    assert len(slack.messages) <= 6
    assert any("60 incidents" in message.visible for message in slack.messages)
    assert any("2026-07-01 12:02:00 UTC" in message.visible for message in slack.messages)
