"""What people see in Slack: in reading order, bounded, and never forged by what a target said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentPhase
from monitor.core.model.notice import Contact, Link, NoticeEvent
from monitor.notifiers._slack_message import (
    write_message,
    write_reply,
    write_short,
    write_single,
    write_update,
)
from monitor.notifiers._slack_text import plain
from tests.support.notices import NOON, make_delivery, make_member, make_notice, make_rollback
from tests.support.slack import Message, find_error


def seen(content: dict[str, Any]) -> Message:
    return Message("C1", "1.1", content)


def length(content: dict[str, Any]) -> int:
    return len(seen(content).visible)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<!channel> <@U1> <#C1> <https://evil.example|log in>", None),
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("*bold* ~gone~ `code`", "\u2217bold\u2217 \u223cgone\u223c \u02cbcode\u02cb"),
        ("_italic_ but api_health_check and __init__", None),
        ("@channel @here @EVERYONE @ana", "@\u200bchannel @\u200bhere @\u200bEVERYONE @ana"),
        ("two\nlines\tand   more", "two lines and more"),
        ("> quoted", "&gt; quoted"),
    ],
)
def test_text_is_shown_as_it_is(said: str, shown: str | None) -> None:
    written = plain(said, 200)

    assert shown is None or written == shown
    assert seen({"text": written}).mentions == []
    assert seen({"text": written}).links == []


def test_a_name_with_underscores_stays_whole() -> None:
    assert plain("api_health_check", 100) == "api_health_check"
    assert "_" not in plain("_italic_", 100)


def test_a_cut_leaves_no_half_entity() -> None:
    assert [plain("<<", room) for room in (8, 7, 5, 4, 3)] == [
        "&lt;&lt;",
        "&lt;…",
        "&lt;…",
        "…",
        "…",
    ]


def test_it_is_read_in_order_what_since_when_how_bad_what_to_do() -> None:
    notice = make_notice(rollback=make_rollback("executing"))
    visible = seen(write_message(make_delivery(notice))).visible
    parts = [
        "shop answers 500, expected 2xx",
        "Since 2026-07-01 12:00:00 UTC (2 min)",
        "severity high",
        "Rollback from v42 to v41 under way",
        "api.health (high)",
        "Public shop",
        "<https://wiki.example/shop|runbook>",
        "incident shop-1",
    ]

    places = [visible.index(part) for part in parts if part in visible]

    assert len(places) == len(parts)
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("parts", "colour", "sign"),
    [
        ({"severity": Severity.CRITICAL}, "#e01e5a", ":rotating_light:"),
        ({"severity": Severity.MEDIUM}, "#ecb22e", ":warning:"),
        ({"event": NoticeEvent.RESOLVED}, "#2eb67d", ":white_check_mark:"),
        ({"event": NoticeEvent.ROLLBACK, "phase": IncidentPhase.MONITORING}, "#36c5f0", ":rewind:"),
        ({"event": NoticeEvent.UPDATED}, "#e8602c", ":rotating_light:"),
        ({"event": NoticeEvent.UPDATED, "better": True}, "#e8602c", ":information_source:"),
        ({"event": NoticeEvent.BLIND}, "#8d8d8d", ":grey_question:"),
        ({"event": NoticeEvent.TEST}, "#8d8d8d", ":bell:"),
    ],
)
def test_colour_and_sign_say_how_things_stand(
    parts: dict[str, Any], colour: str, sign: str
) -> None:
    message = seen(write_message(make_delivery(make_notice(**parts))))

    assert message.colour == colour
    assert message.text.startswith(sign)


def test_a_link_that_is_no_web_address_is_left_out() -> None:
    links = (
        Link(name="evil", url="javascript:alert(1)"),
        Link(name="a|b>c", url="https://wiki.example/?a=1&b=<x>|y"),
    )
    message = seen(write_message(make_delivery(make_notice(links=links))))

    assert message.links == ["https://wiki.example/?a=1&amp;b=&lt;x&gt;%7Cy"]


def test_a_repeat_says_that_it_may_be_one() -> None:
    assert "may repeat" in seen(write_message(make_delivery(maybe_sent=True))).visible
    assert "may repeat" not in seen(write_message(make_delivery())).visible


def test_a_reply_leaves_out_what_the_thread_says_already() -> None:
    reply = seen(write_reply(make_delivery()))

    assert "Public shop" not in reply.visible
    assert "api.health (high)" in reply.visible


def test_a_message_carries_its_key_for_programs() -> None:
    message = write_message(make_delivery())

    assert message["metadata"]["event_payload"]["idempotency_key"] == make_delivery().key
    assert "metadata" not in write_update(make_delivery())


def test_checks_beyond_ten_are_counted() -> None:
    members = tuple(make_member(f"api-{number}.health") for number in range(14))
    visible = seen(write_message(make_delivery(make_notice(members=members)))).visible

    assert "api-9.health" in visible
    assert "api-10.health" not in visible
    assert "… and 4 more" in visible


pieces = st.sampled_from([*"<>&|@!#*_~`\n \\\u200b\u202e😀aZ0", "<!channel>", "&amp;", "@here"])
hostile = st.builds(
    lambda parts, times: "".join(parts) * times, st.lists(pieces), st.sampled_from([1, 3, 200])
)


@settings(max_examples=40, deadline=None)
@given(text=hostile, count=st.integers(0, 40))
def test_whatever_a_target_says_the_message_is_valid_bounded_and_calls_nobody(
    text: str, count: int
) -> None:
    notice = make_notice(
        headline=text or "x",
        service=text or "x",
        environment=text,
        description=text,
        deploy=text,
        incident=text,
        members=tuple(make_member(f"c{number}", reason=text) for number in range(count)),
        contacts=tuple(Contact(role=text, name=text) for _ in range(20)),
        links=tuple(Link(name=text, url=f"https://wiki.example/{number}") for number in range(40)),
    )
    delivery = make_delivery(notice, id="d", maybe_sent=True)

    written = [
        write(delivery) for write in (write_message, write_reply, write_update, write_single)
    ]
    for content in (*written, *map(write_short, written)):
        message = seen(content)

        assert find_error(content) is None
        assert length(content) < 9_000
        assert message.mentions == []
        assert all(link.startswith("https://wiki.example/") for link in message.links)


def test_the_end_says_from_when_to_when() -> None:
    ended = make_notice(NoticeEvent.RESOLVED, resolved_at=NOON + timedelta(minutes=3))

    assert (
        "From 2026-07-01 12:00:00 UTC to 2026-07-01 12:03:00 UTC (3 min)"
        in seen(write_message(make_delivery(ended))).visible
    )


def test_the_all_clear_of_a_storm_is_green() -> None:
    over = make_notice(
        NoticeEvent.DIGEST, resolved_at=NOON, severity=Severity.CRITICAL, headline="14 are over"
    )

    assert over.all_clear
    assert write_message(make_delivery(over))["text"].startswith(":white_check_mark:")
    assert not make_notice(NoticeEvent.DIGEST, headline="14 incidents").all_clear
