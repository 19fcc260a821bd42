"""Slack over real sockets: webhook and bot, threads and updates, and each way it can say no."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.notice import Delivered, Earlier, NoticeEvent, Refused, TryAgain
from monitor.notifiers._slack_options import SlackOptions
from monitor.notifiers.slack import SlackNotifier
from tests.support.logs import capture_logs
from tests.support.notices import (
    USER_AGENT,
    make_context,
    make_delivery,
    make_member,
    make_notice,
)
from tests.support.receiver import answers, drips, floods, redirects, serve_receiver
from tests.support.servers import unused_port
from tests.support.slack import CHANNEL, TOKEN, FakeSlack, serve_slack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from monitor.core.model.notice import Receipt


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with serve_slack() as fake:
        yield fake


def webhook(slack: FakeSlack, **options: Any) -> SlackNotifier:
    wanted = {"webhook_url": slack.webhook_url, "timeout": "2s", **options}

    return SlackNotifier(SlackOptions.model_validate(wanted), make_context())


def bot(slack: FakeSlack, **options: Any) -> SlackNotifier:
    wanted = {
        "token": TOKEN,
        "channel": "#on-call",
        "base_url": slack.base_url,
        "timeout": "2s",
        **options,
    }

    return SlackNotifier(SlackOptions.model_validate(wanted), make_context())


OPENED = make_delivery()
UPDATED = make_delivery(
    make_notice(NoticeEvent.UPDATED, sequence=2, headline="shop: home.health fails as well")
)
RESOLVED = make_delivery(make_notice(NoticeEvent.RESOLVED))


async def test_a_webhook_gets_one_message_for_each_notice(slack: FakeSlack) -> None:
    notifier = webhook(slack)

    receipts = [await notifier.deliver(one, Earlier()) for one in (OPENED, RESOLVED)]
    await notifier.close()

    assert receipts == [Delivered(), Delivered()]
    assert [message.colour for message in slack.messages] == ["#e8602c", "#2eb67d"]
    assert slack.messages[0].text.startswith(":rotating_light: *shop answers 500")


async def test_a_bot_keeps_one_message_and_tells_the_rest_in_its_thread(slack: FakeSlack) -> None:
    notifier, thread = bot(slack), None
    for delivery in (OPENED, UPDATED, RESOLVED):
        receipt = await notifier.deliver(delivery, Earlier(reference=thread))
        assert isinstance(receipt, Delivered)
        thread = receipt.reference
    await notifier.close()

    [first] = slack.first_posts
    assert thread == f"{CHANNEL}:{first.ts}"
    assert first.text.startswith(":white_check_mark: *shop has recovered")
    assert first.colour == "#2eb67d"
    assert [earlier["text"].split(" *")[0] for earlier in first.earlier] == [
        ":rotating_light:",
        ":rotating_light:",
    ]
    assert ["as well" in reply.text for reply in slack.thread_of(first)] == [True, False]
    assert first.content["metadata"]["event_payload"]["idempotency_key"] == OPENED.key


async def test_the_request_of_the_sdk_goes_through_our_own_client() -> None:
    said = '{"ok": true, "channel": "C1", "ts": "1.2"}'
    async with serve_receiver(answers(200, said)) as receiver:
        slack = FakeSlack()
        notifier = bot(slack, base_url=f"{receiver.origin}/api")
        receipt = await notifier.deliver(OPENED, Earlier())

    [request] = receiver.received
    assert receipt == Delivered(reference="C1:1.2")
    assert request.path == "/api/chat.postMessage"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["user-agent"] == USER_AGENT
    assert request.headers["accept-encoding"] == "identity"
    assert request.json["channel"] == "#on-call"


async def test_a_thread_that_is_gone_is_begun_anew(slack: FakeSlack) -> None:
    receipt = await bot(slack).deliver(UPDATED, Earlier(reference=f"{CHANNEL}:1.000"))

    assert receipt == Delivered(reference=f"{CHANNEL}:{slack.first_posts[0].ts}")


async def test_a_thread_that_goes_between_update_and_reply_is_begun_anew(
    slack: FakeSlack,
) -> None:
    notifier = bot(slack)
    first = await notifier.deliver(OPENED, Earlier())
    assert isinstance(first, Delivered)
    slack.fail("edit_window_closed")
    slack.fail("thread_not_found")

    receipt = await notifier.deliver(UPDATED, Earlier(reference=first.reference))

    assert isinstance(receipt, Delivered)
    assert receipt.reference != first.reference
    assert len(slack.first_posts) == 2


async def test_a_reference_of_another_kind_begins_a_thread(slack: FakeSlack) -> None:
    assert isinstance(
        await bot(slack).deliver(UPDATED, Earlier(reference="no reference of ours")), Delivered
    )


async def test_where_late_edits_are_forbidden_the_thread_still_tells(slack: FakeSlack) -> None:
    notifier = bot(slack)
    first = await notifier.deliver(OPENED, Earlier())
    assert isinstance(first, Delivered)
    slack.fail("edit_window_closed")

    with capture_logs() as lines:
        receipt = await notifier.deliver(RESOLVED, Earlier(reference=first.reference))

    assert receipt == first
    assert len(slack.thread_of(slack.first_posts[0])) == 1
    assert [line["event"] for line in lines] == ["slack_message_not_updated"]


async def test_when_the_update_fails_the_repeat_posts_the_reply_once(slack: FakeSlack) -> None:
    notifier = bot(slack)
    first = await notifier.deliver(OPENED, Earlier())
    assert isinstance(first, Delivered)
    slack.fail("internal_error")
    failed_update = await notifier.deliver(RESOLVED, Earlier(reference=first.reference))
    again = await notifier.deliver(RESOLVED, Earlier(reference=first.reference))

    assert isinstance(failed_update, TryAgain)
    assert again == first
    assert len(slack.thread_of(slack.first_posts[0])) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("action_prohibited", 403),
        ("invalid_token", 403),
        ("channel_not_found", 404),
        ("no_service", 404),
        ("channel_is_archived", 410),
    ],
)
async def test_what_a_webhook_will_never_take_is_refused_at_once(
    slack: FakeSlack, error: str, status: int
) -> None:
    slack.fail(error)

    receipt = await webhook(slack).deliver(OPENED, Earlier())

    assert receipt == Refused(reason="refused", error=f"answered {status} {error}")
    assert len(slack.requests) == 1


@pytest.mark.parametrize("error", ["invalid_payload", "invalid_blocks", "msg_too_long"])
async def test_a_malformed_message_is_tried_once_as_one_line(slack: FakeSlack, error: str) -> None:
    slack.fail(error)

    receipt = await webhook(slack).deliver(OPENED, Earlier())

    assert receipt == Delivered()
    assert slack.messages[0].content["attachments"] == []
    assert "shop answers 500" in slack.messages[0].text


async def test_a_message_that_is_malformed_even_as_one_line_is_refused(slack: FakeSlack) -> None:
    slack.fail("invalid_payload")
    slack.fail("invalid_payload")

    receipt = await webhook(slack).deliver(OPENED, Earlier())

    assert receipt == Refused(reason="refused", error="answered 400 invalid_payload")
    assert len(slack.requests) == 2


@pytest.mark.parametrize(
    ("how", "receipt"),
    [
        (
            {"status": 429, "retry_after": "30"},
            TryAgain(reason="rate_limited", error="answered 429 x", after=timedelta(seconds=30.0)),
        ),
        ({"status": 429}, TryAgain(reason="rate_limited", error="answered 429 x")),
        ({"status": 500}, TryAgain(reason="server_error", error="answered 500 x")),
        (
            {"status": 503, "retry_after": "1.5"},
            TryAgain(reason="server_error", error="answered 503 x", after=timedelta(seconds=1.5)),
        ),
        (
            {"status": 200},
            TryAgain(reason="bad_answer", error="answered 200, but not as Slack does"),
        ),
        (
            {"status": 200, "body": '{"ok": false, "error": "no_service"}'},
            Refused(reason="refused", error="Slack says no_service"),
        ),
        ({"drops": True}, TryAgain(reason="connection_lost", error="")),
        ({"hangs": True}, TryAgain(reason="timeout", error="")),
    ],
    ids=["429", "429 bare", "500", "503", "200 x", "200 not ok", "drops", "hangs"],
)
async def test_each_trouble_of_a_webhook_is_told_apart(
    slack: FakeSlack, how: dict[str, Any], receipt: Receipt
) -> None:
    slack.fail(**{"body": "x", **how})

    said = await webhook(slack, timeout="300ms").deliver(OPENED, Earlier())

    assert isinstance(said, type(receipt))
    assert not isinstance(said, Delivered)
    assert not isinstance(receipt, Delivered)
    assert said.reason == receipt.reason
    assert receipt.error == "" or said == receipt


@pytest.mark.parametrize(
    ("error", "receipt"),
    [
        ("channel_not_found", Refused(reason="refused", error="Slack says channel_not_found")),
        ("not_in_channel", Refused(reason="refused", error="Slack says not_in_channel")),
        ("is_archived", Refused(reason="refused", error="Slack says is_archived")),
        ("token_revoked", Refused(reason="refused", error="Slack says token_revoked")),
        ("internal_error", TryAgain(reason="server_error", error="Slack says internal_error")),
        ("fatal_error", TryAgain(reason="server_error", error="Slack says fatal_error")),
        (
            "ratelimited",
            TryAgain(reason="rate_limited", error="answered 429", after=timedelta(seconds=64.57)),
        ),
    ],
)
async def test_each_error_of_the_api_is_told_apart(
    slack: FakeSlack, error: str, receipt: Receipt
) -> None:
    slack.fail(error, retry_after="64.57" if error == "ratelimited" else None)

    assert await bot(slack).deliver(OPENED, Earlier()) == receipt


async def test_a_rate_limit_that_comes_with_200_is_one_as_well(slack: FakeSlack) -> None:
    slack.fail("ratelimited", status=200, retry_after="7")

    receipt = await bot(slack).deliver(OPENED, Earlier())

    assert receipt == TryAgain(
        reason="rate_limited", error="Slack says ratelimited", after=timedelta(seconds=7.0)
    )


async def test_a_wrong_token_is_refused(slack: FakeSlack) -> None:
    receipt = await bot(slack, token="xoxb-wrong").deliver(OPENED, Earlier())

    assert receipt == Refused(reason="refused", error="Slack says invalid_auth")


@pytest.mark.parametrize("error", ["msg_too_long", "invalid_blocks", "msg_blocks_too_long"])
async def test_a_bot_tries_a_malformed_message_once_as_one_line(
    slack: FakeSlack, error: str
) -> None:
    slack.fail(error)

    receipt = await bot(slack).deliver(OPENED, Earlier())

    assert isinstance(receipt, Delivered)
    assert slack.messages[0].content["attachments"] == []


@pytest.mark.parametrize("body", ["<html>", "[1]", '"ok"', "null"])
async def test_an_answer_that_is_not_slacks_is_tried_again(slack: FakeSlack, body: str) -> None:
    slack.fail(status=200, body=body)

    receipt = await bot(slack).deliver(OPENED, Earlier())

    assert receipt == TryAgain(reason="bad_answer", error="answered 200, but not as Slack does")


@pytest.mark.parametrize("behaviour", [drips(), floods()], ids=["drips", "floods"])
async def test_an_answer_without_end_does_not_hold_the_bot(behaviour: Any) -> None:
    async with serve_receiver(behaviour) as receiver:
        notifier = bot(FakeSlack(), base_url=f"{receiver.origin}/api/", timeout="500ms")
        receipt = await notifier.deliver(OPENED, Earlier())

    assert isinstance(receipt, TryAgain)
    assert receipt.reason in ("timeout", "bad_answer")


async def test_neither_form_follows_a_redirect() -> None:
    async with serve_receiver() as elsewhere:
        to = redirects(elsewhere.url(), 307)
        async with serve_receiver(then=to) as receiver:
            slack = FakeSlack()
            receipts = [
                await bot(slack, base_url=f"{receiver.origin}/api/").deliver(OPENED, Earlier()),
                await webhook(slack, webhook_url=receiver.url("/services/x")).deliver(
                    OPENED, Earlier()
                ),
            ]

    assert elsewhere.received == []
    assert [type(receipt) for receipt in receipts] == [Refused, Refused]


async def test_what_a_target_says_calls_nobody_and_forges_nothing(slack: FakeSlack) -> None:
    evil = "<!channel> <@U1> <https://evil.example|log in> @here *all is well*"
    notice = make_notice(headline=evil, service=evil, members=(make_member(reason=evil),))
    for notifier in (webhook(slack), bot(slack)):
        await notifier.deliver(make_delivery(notice), Earlier())

    assert [message.mentions for message in slack.messages] == [[], []]
    assert {link for message in slack.messages for link in message.links} == {
        "https://wiki.example/shop"
    }


async def test_neither_receipts_nor_logs_hold_a_secret(
    slack: FakeSlack, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    closed = f"http://127.0.0.1:{unused_port()}"
    secret_path = "/services/T000/B000/hook-canary-9f3e"
    receipts = []
    for notifier, echo in (
        (webhook(slack), f"{'x' * 190} {secret_path} {slack.webhook_url}"),
        (bot(slack), f"{'x' * 190} {TOKEN}"),
    ):
        for fault in (
            {"error": "no_service", "body": echo},
            {"status": 400, "body": echo},
            {"status": 429, "body": echo},
            {"status": 500, "body": echo},
            {"drops": True},
        ):
            slack.fail(**fault)
            receipts.append(await notifier.deliver(OPENED, Earlier()))
        receipts.append(await notifier.deliver(OPENED, Earlier()))
    receipts.append(
        await webhook(slack, webhook_url=closed + secret_path).deliver(OPENED, Earlier())
    )
    receipts.append(await bot(slack, base_url=closed).deliver(OPENED, Earlier()))

    output = capsys.readouterr()
    seen = "\n".join([*map(str, receipts), caplog.text, output.out, output.err])
    assert "hook" not in seen
    assert "xoxb" not in seen
