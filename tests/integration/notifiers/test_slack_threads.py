"""A bot's messages over time: buttons that go, evidence that is told once, messages found again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.notice import Delivered, Delivery, Earlier, NoticeEvent
from monitor.examination import Unfit
from monitor.notifiers._slack_options import SlackOptions
from monitor.notifiers.notifier import Reconciling
from monitor.notifiers.slack import SlackNotifier
from tests.support.notices import NOON, make_context, make_delivery, make_notice
from tests.support.slack import (
    ANA,
    APP_TOKEN,
    CHANNEL,
    SIGNING_SECRET,
    TOKEN,
    FakeSlack,
    serve_slack,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with serve_slack() as fake:
        yield fake


def bot(slack: FakeSlack, **options: Any) -> SlackNotifier:
    wanted = {
        "token": TOKEN,
        "channel": CHANNEL,
        "base_url": slack.base_url,
        "timeout": "2s",
        **options,
    }

    return SlackNotifier(SlackOptions.model_validate(wanted), make_context())


OPENED = make_delivery()
UPDATED = make_delivery(
    make_notice(NoticeEvent.UPDATED, sequence=2, headline="shop: home.health fails as well")
)
ACKNOWLEDGED = make_delivery(
    make_notice(
        NoticeEvent.ACKNOWLEDGED,
        sequence=3,
        headline="shop: ana has taken it on",
        acknowledged_by="ana",
    )
)
RESOLVED = make_delivery(make_notice(NoticeEvent.RESOLVED))


async def tell(notifier: SlackNotifier, *deliveries: Delivery, thread: str | None = None) -> str:
    for delivery in deliveries:
        receipt = await notifier.deliver(delivery, Earlier(reference=thread))
        assert isinstance(receipt, Delivered)
        thread = receipt.reference
    assert thread is not None

    return thread


async def test_buttons_go_once_they_would_do_nothing(slack: FakeSlack) -> None:
    notifier = bot(slack, signing_secret=SIGNING_SECRET, users=[ANA])
    thread = await tell(notifier, OPENED)
    [message] = slack.first_posts
    shown = [list(message.buttons)]
    for delivery in (UPDATED, ACKNOWLEDGED, RESOLVED):
        await tell(notifier, delivery, thread=thread)
        shown.append(list(message.buttons))

    assert shown == [["Acknowledge"], ["Acknowledge"], [], []]
    assert all(reply.buttons == {} for reply in slack.thread_of(message))


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_too_long", "metadata_too_large"])
async def test_a_message_in_short_has_no_buttons_and_is_found_where_it_can_be(
    slack: FakeSlack, error: str
) -> None:
    notifier = bot(slack, signing_secret=SIGNING_SECRET, users=[ANA])
    slack.fail(error)
    await tell(notifier, OPENED)

    [message] = slack.first_posts
    assert message.buttons == {}
    assert ("metadata" in message.content) is (error != "metadata_too_large")


async def test_a_message_that_arrived_before_a_crash_is_found(slack: FakeSlack) -> None:
    thread = await tell(bot(slack), OPENED)
    await tell(bot(slack), UPDATED, thread=thread)
    after_the_crash = bot(slack)

    assert isinstance(after_the_crash, Reconciling)
    assert await after_the_crash.find(OPENED, Earlier()) == Delivered(reference=thread)
    assert await after_the_crash.find(UPDATED, Earlier(reference=thread)) == Delivered(
        reference=thread
    )
    assert await after_the_crash.find(RESOLVED, Earlier(reference=thread)) is None
    assert await after_the_crash.find(UPDATED, Earlier()) is None, "a reply is no first message"


async def test_it_is_found_among_many(slack: FakeSlack) -> None:
    first = await tell(bot(slack), OPENED)
    for number in range(120):
        slack.chat(f"people talk {number}")

    assert await bot(slack).find(OPENED, Earlier()) == Delivered(reference=first)
    asked = [body for path, body in slack.requests if path.endswith("history")]
    assert len(asked) == 3
    assert {body["limit"] for body in asked} == {"50"}


async def test_what_was_written_long_before_is_not_looked_at(slack: FakeSlack) -> None:
    await tell(bot(slack), OPENED)
    later = replace(OPENED, queued_at=NOON + timedelta(days=3650))

    assert await bot(slack).find(later, Earlier()) is None


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"error": "ratelimited"}, id="too many questions"),
        pytest.param({"error": "missing_scope"}, id="no scope"),
        pytest.param({"status": 500}, id="broken"),
        pytest.param({"hangs": True}, id="silent"),
        pytest.param({"status": 200, "body": '{"ok": true, "messages": null}'}, id="odd"),
        pytest.param({"status": 200, "body": "<html>"}, id="no JSON"),
    ],
)
async def test_where_nobody_can_say_nothing_is_found(slack: FakeSlack, how: dict[str, Any]) -> None:
    await tell(bot(slack), OPENED)
    slack.fail(**how)

    assert await bot(slack, timeout="300ms").find(OPENED, Earlier()) is None


async def test_a_name_of_a_channel_is_no_id_until_something_was_written_there(
    slack: FakeSlack,
) -> None:
    notifier = bot(slack, channel="#on-call")
    before = await notifier.find(OPENED, Earlier())
    thread = await tell(notifier, OPENED)

    assert before is None
    assert await notifier.find(OPENED, Earlier()) == Delivered(reference=thread)


async def test_a_webhook_can_never_say(slack: FakeSlack) -> None:
    options = SlackOptions.model_validate({"webhook_url": slack.webhook_url})

    assert await SlackNotifier(options, make_context()).find(OPENED, Earlier()) is None


def with_evidence(delivery: Delivery, *names: str) -> Delivery:
    evidence = tuple((name, f"{name} says <!channel> ```") for name in names)

    return replace(delivery, notice=replace(delivery.notice, evidence=evidence))


async def test_evidence_is_told_once_in_the_thread(slack: FakeSlack) -> None:
    notifier = bot(slack)
    thread = await tell(notifier, OPENED)
    await tell(notifier, with_evidence(UPDATED, "last logs"), thread=thread)
    await tell(notifier, with_evidence(ACKNOWLEDGED, "last logs", "queue"), thread=thread)
    await tell(notifier, with_evidence(RESOLVED, "last logs", "queue"), thread=thread)

    [message] = slack.first_posts
    said = [reply.text for reply in slack.thread_of(message) if reply.text.startswith(":mag:")]
    assert said == [":mag: Seen when it opened: last logs", ":mag: Seen when it opened: queue"]
    assert all(reply.mentions == [] for reply in slack.messages)
    assert "last logs says" not in message.visible


async def test_evidence_is_told_once_over_a_restart_as_well(slack: FakeSlack) -> None:
    thread = await tell(bot(slack), OPENED)
    await tell(bot(slack), with_evidence(UPDATED, "last logs"), thread=thread)
    await tell(bot(slack), with_evidence(RESOLVED, "last logs"), thread=thread)

    assert [one.text for one in slack.messages].count(":mag: Seen when it opened: last logs") == 1


async def test_no_news_waits_for_evidence(slack: FakeSlack) -> None:
    notifier = bot(slack)
    thread = await tell(notifier, OPENED)
    slack.scopes = {"chat:write"}
    for error in ("", "missing_scope", "msg_blocks_too_long"):
        slack.fail(error) if error else slack.pass_one()
    await tell(notifier, with_evidence(UPDATED, "last logs"), thread=thread)
    first = [reply.text for reply in slack.thread_of(slack.first_posts[0])]
    await tell(notifier, with_evidence(RESOLVED, "last logs"), thread=thread)

    assert len(first) == 1
    assert "home.health" in first[0]
    assert ":mag: Seen when it opened: last logs" in [one.text for one in slack.messages]


@pytest.mark.parametrize(
    ("options", "scopes", "said"),
    [
        (
            {},
            {"chat:write", "channels:history"},
            f"the token is that of monitor in Acme, to write to {CHANNEL}",
        ),
        ({}, {"chat:write"}, "without channels:history a message may come twice after a crash"),
        (
            {"app_token": APP_TOKEN, "users": [ANA]},
            {"chat:write", "groups:history"},
            "Socket Mode works",
        ),
        (
            {"signing_secret": "x"},
            {"chat:write", "channels:history"},
            "users names nobody, so there are no buttons",
        ),
    ],
)
async def test_an_examination_says_what_was_found(
    slack: FakeSlack, options: dict[str, Any], scopes: set[str], said: str
) -> None:
    slack.scopes = scopes

    assert (await bot(slack, **options).examine()).endswith(said)
    assert slack.messages == []
    assert slack.sockets == []


@pytest.mark.parametrize(
    ("options", "scopes", "said"),
    [
        ({}, set(), "the token of monitor in Acme lacks the scope chat:write"),
        (
            {"app_token": "xapp-wrong"},
            {"chat:write", "channels:history"},
            "Socket Mode: Slack says invalid_auth",
        ),
        ({"token": "xoxb-wrong"}, set(), "Slack says invalid_auth"),
    ],
)
async def test_an_examination_says_what_would_not_work(
    slack: FakeSlack, options: dict[str, Any], scopes: set[str], said: str
) -> None:
    slack.scopes = scopes
    with pytest.raises(Unfit) as unfit:
        await bot(slack, **options).examine()

    assert str(unfit.value) == said
