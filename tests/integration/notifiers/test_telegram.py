"""Telegram over real sockets: a message and its replies, escaped, within its limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.core.model.notice import (
    Delivered,
    Earlier,
    Link,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.examination import Unfit
from monitor.notifiers.telegram import TelegramNotifier, TelegramOptions
from tests.support.notices import (
    make_context,
    make_delivery,
    make_endless_notice,
    make_member,
    make_notice,
)
from tests.support.telegram import CHANNEL, CHAT, TOKEN, FakeTelegram, serve_telegram

NASTY = "@everybody /start <b>bold</b> <a href='https://evil.example'>x</a> & &lt; *b* _i_"
NEWS = make_delivery(
    make_notice(NoticeEvent.UPDATED, sequence=2, headline="shop: home.health fails as well")
)
OVER = make_delivery(make_notice(NoticeEvent.RESOLVED))


def make(telegram: FakeTelegram, **options: Any) -> TelegramNotifier:
    given = {
        "token": TOKEN,
        "chat": CHAT,
        "base_url": telegram.base_url,
        "timeout": "2s",
        **options,
    }

    return TelegramNotifier(TelegramOptions.model_validate(given), make_context())


async def test_the_first_two_lines_say_what_and_since_when() -> None:
    async with serve_telegram() as telegram:
        receipt = await make(telegram).deliver(make_delivery(), Earlier())

    [message] = telegram.messages
    first, second, *_ = message.text.split("\n")
    assert receipt == Delivered(reference=f"{CHAT}:{message.id}")
    assert first == (
        "\U0001f6a8 shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)"
    )
    assert second.startswith("Since 2026-07-01 12:00:00 UTC (2 min), severity high.")
    assert message.links == ["https://wiki.example/shop"]
    assert message.content["link_preview_options"] == {"is_disabled": True}


async def test_an_incident_is_one_message_that_is_kept_up_to_date_and_news_reply_to_it() -> None:
    async with serve_telegram() as telegram:
        notifier = make(telegram)
        begun = await notifier.deliver(make_delivery(), Earlier())
        assert isinstance(begun, Delivered)
        told = await notifier.deliver(NEWS, Earlier(reference=begun.reference))
        over = await notifier.deliver(OVER, Earlier(reference=begun.reference))

    first, news, end = telegram.messages
    assert begun == told == over
    assert (news.replies_to, end.replies_to) == (first.id, first.id)
    assert "home.health fails as well" in news.text
    assert "has recovered" in first.text
    assert "answers 500" in first.earlier[0]["text"]


async def test_what_is_better_makes_no_sound() -> None:
    better = make_delivery(replace(NEWS.notice, better=True))
    async with serve_telegram() as telegram:
        await make(telegram).deliver(better, Earlier(reference=f"{CHAT}:1"))

    assert telegram.messages[0].content["disable_notification"] is True


async def test_what_was_told_already_is_no_trouble() -> None:
    async with serve_telegram() as telegram:
        notifier = make(telegram)
        begun = await notifier.deliver(make_delivery(), Earlier())
        assert isinstance(begun, Delivered)
        again = await notifier.deliver(make_delivery(), Earlier(reference=begun.reference))

    assert again == begun


async def test_a_first_message_that_is_gone_keeps_nothing_from_being_told() -> None:
    async with serve_telegram() as telegram:
        receipt = await make(telegram).deliver(OVER, Earlier(reference=f"{CHAT}:5"))

    assert receipt == Delivered(reference=f"{CHAT}:5")
    assert telegram.messages[0].replies_to is None


async def test_a_topic_and_a_channel_are_kept_to() -> None:
    async with serve_telegram() as telegram:
        await make(telegram, chat=CHANNEL, topic=7).deliver(make_delivery(), Earlier())

    assert telegram.messages[0].content["chat_id"] == CHANNEL
    assert telegram.messages[0].content["message_thread_id"] == 7


async def test_what_a_target_says_calls_nobody_and_forges_nothing() -> None:
    notice = make_notice(
        headline=NASTY,
        members=(make_member(reason=NASTY, target=NASTY),),
        links=(Link(name=NASTY, url='https://wiki.example/?a="b"&c=<d>'),),
        evidence=(("logs", f"</pre>{NASTY}"),),
        description=NASTY,
    )
    async with serve_telegram() as telegram:
        receipt = await make(telegram).deliver(make_delivery(notice), Earlier())

    [message] = telegram.messages
    outside = message.text.partition("</pre>")[0]
    assert isinstance(receipt, Delivered)
    assert len(telegram.requests) == 1
    assert [one for one in message.mentions if one in outside] == []
    assert message.links == ['https://wiki.example/?a="b"&c=<d>']
    assert message.text.count("<b>bold</b>") >= 3


@pytest.mark.parametrize("letter", ["x", "<", "\U0001f600", "@a "])
async def test_the_longest_notice_is_within_all_limits(letter: str) -> None:
    async with serve_telegram() as telegram:
        receipt = await make(telegram).deliver(
            make_delivery(make_endless_notice(letter)), Earlier()
        )

    assert isinstance(receipt, Delivered)
    assert len(telegram.requests) == 1


async def test_what_is_refused_for_its_form_is_tried_once_more_as_one_line() -> None:
    async with serve_telegram() as telegram:
        telegram.fail(400, "Bad Request: can't parse entities: unclosed tag at byte offset 3")
        receipt = await make(telegram).deliver(make_delivery(), Earlier())

    assert isinstance(receipt, Delivered)
    assert "parse_mode" not in telegram.messages[0].content


@pytest.mark.parametrize(
    ("wish", "header", "seconds"),
    [(35, None, 35), (3, "20", 20), (None, "7", 7), (-4, None, None)],
)
async def test_its_wish_to_wait_is_heard(
    wish: int | None, header: str | None, seconds: float | None
) -> None:
    async with serve_telegram() as telegram:
        if wish is None:
            telegram.fail(429, "Too Many Requests", retry_after=header)
        else:
            telegram.faults.append(
                (
                    429,
                    {
                        "ok": False,
                        "error_code": 429,
                        "description": "Too Many Requests",
                        "parameters": {"retry_after": wish},
                    },
                    {} if header is None else {"Retry-After": header},
                )
            )
        receipt = await make(telegram).deliver(make_delivery(), Earlier())

    assert isinstance(receipt, TryAgain)
    assert receipt.reason == "rate_limited"
    assert receipt.after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (400, "Bad Request: chat not found"),
        (401, "Unauthorized"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (404, "Not Found"),
    ],
)
async def test_what_is_refused_is_so_for_good(code: int, description: str) -> None:
    async with serve_telegram() as telegram:
        telegram.fail(code, f"{description} {TOKEN}")
        receipt = await make(telegram).deliver(make_delivery(), Earlier())

    assert receipt == Refused(reason="refused", error=f"answered {code} {description} ***")


async def test_a_chat_that_was_moved_is_told_with_its_number() -> None:
    async with serve_telegram() as telegram:
        description = "Bad Request: group chat was upgraded to a supergroup chat"
        telegram.fail(400, description, migrate_to_chat_id=-100777)
        receipt = await make(telegram).deliver(make_delivery(), Earlier())

    assert isinstance(receipt, Refused)
    assert receipt.error.endswith("the chat is -100777 now")


async def test_the_examination_says_who_and_where_and_writes_nothing() -> None:
    async with serve_telegram() as telegram:
        said = await make(telegram).examine()
        with pytest.raises(Unfit, match="answered 401 Unauthorized"):
            await make(telegram, token="1:wrong-token").examine()

    assert said == "the token is that of @monitor_bot, to write to On call"
    assert telegram.messages == []


@pytest.mark.parametrize(
    "wrong",
    [{"token": "no-token"}, {"token": "1:a/../b"}, {"chat": "on call"}, {"chat": True}],
)
def test_what_no_bot_has_is_refused_at_load(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TelegramOptions.model_validate({"token": TOKEN, "chat": CHAT, **wrong})


def test_a_group_is_told_slowlier_than_a_person() -> None:
    def every(chat: object) -> timedelta:
        options = TelegramOptions.model_validate({"token": TOKEN, "chat": chat})
        return TelegramNotifier(options, make_context()).manner.every

    assert every(CHAT) == every(CHANNEL) == timedelta(seconds=3)
    assert every(4711) == timedelta(seconds=1)
