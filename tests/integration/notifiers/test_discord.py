"""Discord over real sockets: one message for each incident, escaped, within its limits."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.core.model.incident import IncidentPhase
from monitor.core.model.notice import (
    Delivered,
    DigestLine,
    Earlier,
    Link,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.examination import Unfit
from monitor.notifiers._discord_message import write_message
from monitor.notifiers.discord import DiscordNotifier, DiscordOptions
from tests.support.discord import FakeDiscord, serve_discord
from tests.support.notices import (
    NOON,
    make_context,
    make_delivery,
    make_endless_notice,
    make_member,
    make_notice,
)

NASTY = (
    "@everyone @here <@123> <@&456> <#789> <:x:1> **bold** __u__ ~~s~~ ||spoiler|| `code` "
    "[click](https://evil.example/) https://evil.example/login > # - \\"
)
NEWS = make_delivery(
    make_notice(NoticeEvent.UPDATED, sequence=2, headline="shop: home.health fails as well")
)
OVER = make_delivery(make_notice(NoticeEvent.RESOLVED))


def make(discord: FakeDiscord, **options: Any) -> DiscordNotifier:
    given = {"webhook_url": discord.webhook_url, "timeout": "2s", **options}

    return DiscordNotifier(DiscordOptions.model_validate(given), make_context())


async def test_the_first_two_lines_say_what_and_since_when() -> None:
    async with serve_discord() as discord:
        receipt = await make(discord).deliver(make_delivery(), Earlier())

    [message] = discord.messages
    assert receipt == Delivered(reference=message.id)
    assert message.text == (
        "\U0001f6a8 **shop answers 500, expected 2xx, for 2 min \\(api.health, "
        "5 times in a row\\)**"
    )
    assert message.content["embeds"][0]["description"].startswith(
        "Since 2026-07-01 12:00:00 UTC \\(2 min\\), severity high."
    )
    assert message.colour == 0xE8602C
    assert message.links == ["https://wiki.example/shop"]
    assert message.content["allowed_mentions"] == {"parse": []}


async def test_an_incident_is_one_message_that_is_kept_up_to_date_and_news_follow() -> None:
    async with serve_discord() as discord:
        notifier = make(discord)
        begun = await notifier.deliver(make_delivery(), Earlier())
        assert isinstance(begun, Delivered)
        told = await notifier.deliver(NEWS, Earlier(reference=begun.reference))
        over = await notifier.deliver(OVER, Earlier(reference=begun.reference))

    first, news, end = discord.messages
    assert begun == told == over == Delivered(reference=first.id)
    assert "home.health fails as well" in news.text
    assert first.colour == end.colour == 0x2EB67D
    assert len(first.earlier) == 2
    assert "answers 500" in first.earlier[1]["content"]  # how it stands, and not the news
    assert [method for method, _ in discord.requests] == ["POST", "PATCH", "POST", "PATCH", "POST"]


async def test_what_is_better_makes_no_sound() -> None:
    better = make_delivery(replace(NEWS.notice, better=True))
    async with serve_discord() as discord:
        notifier = make(discord)
        begun = await notifier.deliver(make_delivery(), Earlier())
        assert isinstance(begun, Delivered)
        await notifier.deliver(better, Earlier(reference=begun.reference))

    assert [message.content.get("flags") for message in discord.messages] == [None, 1 << 12]


async def test_a_message_that_somebody_deleted_is_begun_anew() -> None:
    async with serve_discord() as discord:
        receipt = await make(discord).deliver(OVER, Earlier(reference="1400000000000000007"))

    assert receipt == Delivered(reference=discord.messages[0].id)


async def test_a_thread_that_the_url_names_is_kept_to() -> None:
    async with serve_discord() as discord:
        url = f"{discord.webhook_url}?thread_id=77"
        notifier = make(discord, webhook_url=url)
        begun = await notifier.deliver(make_delivery(), Earlier())
        assert isinstance(begun, Delivered)
        await notifier.deliver(NEWS, Earlier(reference=begun.reference))

    assert [message.thread for message in discord.messages] == ["77", "77"]
    assert all("thread_id=77" in path for _, path in discord.requests)


async def test_what_a_target_says_calls_nobody_and_forges_nothing() -> None:
    notice = make_notice(
        headline=NASTY,
        members=(make_member(reason=NASTY, target=NASTY),),
        links=(Link(name=NASTY, url="https://wiki.example/a(b)"),),
        evidence=(("logs", f"```\n{NASTY}\n```"),),
        description=NASTY,
    )
    async with serve_discord() as discord:
        receipt = await make(discord).deliver(make_delivery(notice), Earlier())

    [message] = discord.messages
    quoted = message.visible.partition("```")[0] + message.visible.rpartition("```")[2]
    assert isinstance(receipt, Delivered)
    assert [one for one in message.mentions if one in quoted] == []
    assert message.visible.count("```") == 2
    assert [link for link in message.links if link in quoted] == ["https://wiki.example/a%28b%29"]


@pytest.mark.parametrize("letter", ["x", "*", "\U0001f600", "@everyone "])
async def test_the_longest_notice_is_within_all_limits(letter: str) -> None:
    async with serve_discord() as discord:
        receipt = await make(discord).deliver(make_delivery(make_endless_notice(letter)), Earlier())

    assert isinstance(receipt, Delivered)
    assert len(discord.requests) == 1  # at the first attempt


async def test_a_digest_has_a_line_for_each_incident() -> None:
    lines = tuple(
        DigestLine(
            incident=f"i{number}",
            event=NoticeEvent.OPENED,
            service=f"s{number}",
            severity=make_notice().severity,
            headline=f"s{number} answers 500",
            since=NOON,
            at=NOON,
        )
        for number in range(3)
    )
    digest = make_notice(NoticeEvent.DIGEST, members=(), lines=lines, headline="3 incidents")
    async with serve_discord() as discord:
        await make(discord).deliver(make_delivery(digest), Earlier())

    assert "**3 incidents**" in discord.messages[0].text
    assert [f"s{n} answers 500" in discord.messages[0].visible for n in range(3)] == [True] * 3


@pytest.mark.parametrize(
    ("event", "sign"),
    [
        (NoticeEvent.TEST, "\U0001f514"),
        (NoticeEvent.REMINDER, "\u23f0"),
        (NoticeEvent.ESCALATED, "\U0001f6a8"),
        (NoticeEvent.ACKNOWLEDGED, "\U0001f440"),
        (NoticeEvent.BLIND, "\u2754"),
    ],
)
async def test_each_event_has_its_sign(event: NoticeEvent, sign: str) -> None:
    notice = make_notice(event, acknowledged_by="ana", phase=IncidentPhase.INVESTIGATING)
    async with serve_discord() as discord:
        await make(discord).deliver(make_delivery(notice), Earlier())

    assert discord.messages[0].text.startswith(sign)
    assert "Acknowledged by ana." in discord.messages[0].visible


async def test_where_nothing_is_said_of_the_message_it_is_not_sent_again_and_again() -> None:
    async with serve_discord() as discord:
        discord.heeds_wait = False
        receipt = await make(discord).deliver(make_delivery(), Earlier())

    assert receipt == Delivered()
    assert len(discord.messages) == 1


async def test_a_message_that_was_not_kept_is_tried_again() -> None:
    async with serve_discord() as discord:
        discord.fail(200, {"no": "id"})
        receipt = await make(discord).deliver(make_delivery(), Earlier())

    assert receipt == TryAgain(reason="bad_answer", error="answered 200, but not as Discord does")


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        ({"retry_after": 64.57, "global": False}, "64", 64.57),
        ({"retry_after": 0.3}, "65", 65),
        ({"retry_after": 1.5, "global": True}, None, 1.5),
        ({"retry_after": "soon"}, "2", 2),
        ({"retry_after": -1}, None, None),
        ({"retry_after": True}, None, None),
    ],
)
async def test_its_wish_to_wait_is_heard(
    body: dict[str, Any], header: str | None, seconds: float | None
) -> None:
    async with serve_discord() as discord:
        headers = {} if header is None else {"retry_after": header}
        discord.fail(429, body, **headers)
        receipt = await make(discord).deliver(make_delivery(), Earlier())

    assert isinstance(receipt, TryAgain)
    assert receipt.reason == "rate_limited"
    assert receipt.after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_is_refused_is_so_for_good(status: int) -> None:
    async with serve_discord() as discord:
        discord.fail(status, {"message": f"no {discord.webhook_url}", "code": 50027})
        receipt = await make(discord).deliver(make_delivery(), Earlier())

    assert isinstance(receipt, Refused)
    assert "canary" not in receipt.error


async def test_a_webhook_that_is_gone_is_refused_even_while_an_incident_goes_on() -> None:
    async with serve_discord() as discord:
        discord.gone = True
        receipt = await make(discord).deliver(NEWS, Earlier(reference="1400000000000000000"))

    assert isinstance(receipt, Refused)
    assert "Unknown Webhook" in receipt.error
    assert len(discord.requests) == 1


async def test_what_is_refused_for_its_form_is_tried_once_more_as_one_line() -> None:
    async with serve_discord() as discord:
        discord.fail(400, {"code": 50035, "message": "Invalid Form Body"})
        receipt = await make(discord).deliver(make_delivery(), Earlier())

    assert receipt == Delivered(reference=discord.messages[0].id)
    assert discord.messages[0].content["embeds"] == []


async def test_the_examination_writes_nothing() -> None:
    async with serve_discord() as discord:
        said = await make(discord).examine()
        discord.gone = True
        with pytest.raises(Unfit, match="Unknown Webhook"):
            await make(discord).examine()

    assert "nothing was sent" in said
    assert discord.messages == []


def test_a_message_about_ten_thousand_checks_is_written_at_once() -> None:
    members = tuple(
        make_member(f"c{number}.health", reason="*" * 5_000) for number in range(10_000)
    )
    delivery = make_delivery(make_notice(headline="*" * 5_000, members=members))
    begun = time.process_time()

    embed = write_message(delivery)["embeds"][0]

    assert time.process_time() - begun < 0.5
    assert re.search(r"and 99\d\d more", embed["description"])
