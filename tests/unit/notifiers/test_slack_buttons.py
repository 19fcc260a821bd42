"""What can be pressed in Slack: what does something as things stand, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentPhase
from monitor.core.model.notice import (
    Contact,
    DigestLine,
    Link,
    Notice,
    NoticeEvent,
    RollbackSummary,
    Task,
)
from monitor.notifiers._slack_buttons import Buttons, read_notifier
from monitor.notifiers._slack_message import (
    write_evidence,
    write_message,
    write_reply,
    write_short,
    write_single,
    write_update,
)
from monitor.notifiers._slack_text import code
from tests.support.notices import NOON, make_delivery, make_member, make_notice, make_rollback
from tests.support.slack import Message, find_error

ALL = Buttons(acknowledge=True, decide=True)


def waiting(state: str = "awaiting", **parts: Any) -> RollbackSummary:
    due = NOON + timedelta(minutes=15)
    wanted = {"approvable": state == "awaiting", "vetoable": True, "due_at": due, "reason": ""}

    return replace(make_rollback(state), **{**wanted, **parts})


def seen(notice: Notice, buttons: Buttons = ALL) -> Message:
    content = write_message(make_delivery(notice), buttons)
    assert find_error(content) is None

    return Message("C1", "1.1", content)


@pytest.mark.parametrize(
    ("parts", "buttons", "shown"),
    [
        pytest.param({}, ALL, ["Acknowledge"], id="it is open"),
        pytest.param({}, Buttons(), [], id="nobody may"),
        pytest.param({"event": NoticeEvent.RESOLVED}, ALL, [], id="it is over"),
        pytest.param({"event": NoticeEvent.TEST}, ALL, [], id="it is a test"),
        pytest.param({"event": NoticeEvent.DIGEST}, ALL, [], id="it is a digest"),
        pytest.param({"acknowledged_by": "ana"}, ALL, [], id="somebody has it"),
        pytest.param(
            {"rollback": waiting()}, ALL, ["Approve rollback", "Veto", "Acknowledge"], id="awaiting"
        ),
        pytest.param(
            {"rollback": waiting(), "acknowledged_by": "ana"},
            ALL,
            ["Approve rollback", "Veto"],
            id="awaiting, and somebody has it",
        ),
        pytest.param(
            {"rollback": waiting()}, Buttons(acknowledge=True), ["Acknowledge"], id="nobody decides"
        ),
        pytest.param({"rollback": waiting("countdown")}, ALL, ["Veto", "Acknowledge"], id="counts"),
        pytest.param({"rollback": make_rollback("executing")}, ALL, ["Acknowledge"], id="begun"),
    ],
)
def test_a_button_is_there_while_it_does_something(
    parts: dict[str, Any], buttons: Buttons, shown: list[str]
) -> None:
    assert list(seen(make_notice(**parts), buttons).buttons) == shown


def test_buttons_say_on_what_and_below_whose_message() -> None:
    buttons = seen(make_notice(rollback=waiting())).buttons

    assert {name: button["value"] for name, button in buttons.items()} == {
        "Approve rollback": "rb-1",
        "Veto": "rb-1",
        "Acknowledge": "shop-1",
    }
    assert {read_notifier(button["block_id"]) for button in buttons.values()} == {"oncall"}
    assert buttons["Approve rollback"]["confirm"]["text"]["text"] == (
        "shop is rolled back from v42 to v41 at once, if nothing has come in between."
    )
    assert "confirm" not in buttons["Veto"]


def test_a_remedy_is_called_one() -> None:
    message = seen(make_notice(rollback=waiting(kind="remedy")))
    dialogue = message.buttons["Approve remedy"]["confirm"]

    assert dialogue["text"]["text"].startswith("shop gets its remedy at once")
    assert "Press *Approve remedy*, or *Veto*." in message.visible


@pytest.mark.parametrize("block", ["", "facts", "press", "press/1", "other/1/oncall"])
def test_a_block_that_is_not_ours_names_no_notifier(block: str) -> None:
    assert read_notifier(block) == ""


def test_a_notifier_may_have_a_slash_in_its_name() -> None:
    assert read_notifier("press/12/on/call") == "on/call"


@pytest.mark.parametrize(
    ("notice", "lines"),
    [
        pytest.param(
            make_notice(rollback=waiting()),
            [
                "shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)",
                "Since 2026-07-01 12:00:00 UTC (2 min), severity high. Rollback from v42 to v41 "
                "waits for approval, until 12:15:00 UTC. Press *Approve rollback*, or *Veto*. "
                "Press *Acknowledge* if you take it on.",
            ],
            id="waiting for approval",
        ),
        pytest.param(
            make_notice(rollback=waiting("countdown")),
            [
                "shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)",
                "at 12:15:00 UTC unless it is vetoed. Press *Veto* to keep it from beginning.",
            ],
            id="counting down",
        ),
        pytest.param(
            make_notice(
                NoticeEvent.ACKNOWLEDGED,
                headline="shop: ana has taken it on",
                acknowledged_by="@ana (U1) in Slack",
                acknowledged_at=NOON + timedelta(minutes=2),
            ),
            [
                "shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)",
                "severity high. Acknowledged by @ana (U1) in Slack at 2026-07-01 12:02:00 UTC.",
            ],
            id="acknowledged",
        ),
        pytest.param(
            make_notice(
                NoticeEvent.ROLLBACK,
                headline="shop: rollback from v42 to v41 under way",
                rollback=make_rollback("executing"),
            ),
            [
                "shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)",
                "severity high. Rollback from v42 to v41 under way",
            ],
            id="a rollback has begun",
        ),
    ],
)
def test_the_first_two_lines_say_what_since_when_the_rollback_and_what_to_press(
    notice: Notice, lines: list[str]
) -> None:
    message = seen(notice)
    first, second = (
        message.text,
        message.content["attachments"][0]["blocks"][0]["text"]["text"],
    )

    assert lines[0] in first
    assert lines[1] in second


def test_without_buttons_the_command_is_named() -> None:
    visible = seen(make_notice(rollback=waiting()), Buttons()).visible

    assert "Begin it: production-monitor rollback approve shop" in visible
    assert "Take it on: production-monitor incident ack shop." in visible
    assert "Press" not in visible


def test_versions_in_the_dialogue_call_nobody() -> None:
    evil = waiting(to_version="<!channel> @here `x` \u202e")
    message = seen(make_notice(service="<@U1>", rollback=evil, links=()))

    assert message.mentions == []
    assert message.links == []


@pytest.mark.parametrize(
    ("event", "severity", "called"),
    [
        (NoticeEvent.OPENED, Severity.CRITICAL, ["<@U0ANA0001>", "<@W0BEN0002>"]),
        (NoticeEvent.OPENED, Severity.HIGH, []),
        (NoticeEvent.UPDATED, Severity.CRITICAL, []),
        (NoticeEvent.RESOLVED, Severity.CRITICAL, []),
    ],
)
def test_contacts_that_are_members_are_called_when_something_critical_opens(
    event: NoticeEvent, severity: Severity, called: list[str]
) -> None:
    contacts = (
        Contact(role="on_call", name="<@U0ANA0001>, @web-oncall"),
        Contact(role="guardian", name="W0BEN0002, U0ANA0001"),
        Contact(role="commander", name="<!channel>"),
    )

    assert seen(make_notice(event, severity=severity, contacts=contacts)).mentions == called


def test_a_checklist_says_what_is_done_and_what_only_people_know() -> None:
    tasks = (
        Task(text="deploy is known", done=True),
        Task(text="backup is there <!here>", done=False),
        Task(text="customers were told"),
    )
    message = seen(make_notice(checklist=tasks))

    assert "☑ deploy is known\n☐ backup is there &lt;!here&gt;\n▢ customers were told" in (
        message.visible
    )
    assert message.mentions == []


def test_a_digest_has_a_line_for_each_and_counts_the_rest() -> None:
    lines = tuple(
        DigestLine(
            incident=f"i-{number}",
            event=NoticeEvent.OPENED,
            service=f"s{number}",
            severity=Severity.HIGH,
            headline=f"s{number} answers 500 <!channel>",
            since=NOON,
            at=NOON,
            resolved_at=NOON + timedelta(minutes=2) if number == 0 else None,
        )
        for number in range(60)
    )
    digest = make_notice(NoticeEvent.DIGEST, members=(), lines=lines, headline="60 incidents")
    message = seen(digest)

    assert "s0 answers 500" in message.visible
    assert "over at 2026-07-01 12:02:00 UTC, after 2 min" in message.visible
    assert "more" in message.visible
    assert message.mentions == []
    assert len(message.visible) < 9_000


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        pytest.param({"event": NoticeEvent.ESCALATED}, True, id="escalated"),
        pytest.param({"event": NoticeEvent.REMINDER}, True, id="a reminder"),
        pytest.param({"event": NoticeEvent.ROLLBACK, "rollback": waiting()}, True, id="waiting"),
        pytest.param(
            {"event": NoticeEvent.ROLLBACK, "rollback": make_rollback("not_recovered")},
            True,
            id="it did not help",
        ),
        pytest.param(
            {"event": NoticeEvent.ROLLBACK, "rollback": make_rollback("recovered")},
            False,
            id="it helped",
        ),
        pytest.param({"event": NoticeEvent.UPDATED, "rollback": waiting()}, False, id="an update"),
        pytest.param({"event": NoticeEvent.ACKNOWLEDGED}, False, id="acknowledged"),
        pytest.param({"event": NoticeEvent.RESOLVED}, False, id="over"),
    ],
)
def test_what_needs_a_person_is_shown_in_the_channel_as_well(
    parts: dict[str, Any], shown: bool
) -> None:
    reply = write_reply(make_delivery(make_notice(**parts)))

    assert reply.get("reply_broadcast", False) is shown


def test_a_reply_is_the_news_and_has_no_buttons() -> None:
    notice = make_notice(
        NoticeEvent.ACKNOWLEDGED, headline="shop: ana has taken it on", rollback=waiting()
    )
    reply = Message("C1", "1.2", write_reply(make_delivery(notice)))

    assert reply.text == ":eyes: *shop: ana has taken it on*"
    assert reply.buttons == {}
    assert "api.health" not in reply.visible


def test_the_end_says_where_the_post_mortem_is() -> None:
    link = Link(name="incident", url="https://monitor.example/incidents/shop-1")
    notice = make_notice(NoticeEvent.RESOLVED, links=(link,))
    reply = Message("C1", "1.2", write_reply(make_delivery(notice)))

    assert (
        "Post-mortem: <https://monitor.example/incidents/shop-1|incident> or "
        "`production-monitor incident postmortem shop-1`" in reply.visible
    )


def test_evidence_is_a_block_of_code_that_cannot_be_left() -> None:
    evil = "line 1\n```\n<!channel> @here <https://evil.example|x>\x1b[31m\n" + "x" * 20_000
    content = write_evidence(make_delivery(), [(f"logs {number}", evil) for number in range(9)])
    message = Message("C1", "1.3", content)

    assert find_error(content) is None
    assert len(message.visible) < 9_000
    assert message.mentions == []
    assert message.links == []
    assert message.visible.count("```") == 18
    assert "line 1\n" in message.visible


@pytest.mark.parametrize("said", ["", "\n", "`", "&" * 5_000, "\x00"])
def test_code_is_never_empty_and_never_longer_than_it_may_be(said: str) -> None:
    assert 8 < len(code(said, 200)) <= 200


def test_the_fullest_message_is_within_all_limits() -> None:
    long = "&<*_`@here" * 400
    notice = make_notice(
        headline=long,
        service=long,
        environment=long,
        location=long,
        description=long,
        deploy=long,
        incident="i" * 300,
        phase=IncidentPhase.IDENTIFIED,
        members=tuple(make_member(f"c{number}", reason=long) for number in range(40)),
        contacts=tuple(Contact(role=long, name=long) for _ in range(20)),
        links=tuple(Link(name=long, url=f"https://w.example/{number}") for number in range(40)),
        rollback=waiting(reason=long, from_version=long, to_version=long, id="r" * 300),
        checklist=tuple(Task(text=long) for _ in range(40)),
        acknowledged_by=long,
    )
    for event in NoticeEvent:
        delivery = make_delivery(replace(notice, event=event), id="d", maybe_sent=True)
        for content in (
            write_message(delivery, ALL),
            write_update(delivery, ALL),
            write_reply(delivery),
            write_single(delivery),
        ):
            message = Message("C1", "1.1", content)
            assert find_error(content) is None
            assert len(message.visible) < 9_000
            assert len(content["attachments"][0]["blocks"]) <= 45
            assert message.mentions == []


def test_what_a_person_saw_stays_in_the_first_line() -> None:
    told = make_notice(
        NoticeEvent.ACKNOWLEDGED,
        title="customers cannot pay",
        members=(),
        headline="shop: ana has taken it on",
    )
    over = replace(told, event=NoticeEvent.RESOLVED, resolved_at=NOON, headline="it is over")

    assert "shop: customers cannot pay, for 2 min" in seen(told).text
    assert seen(over).text == ":white_check_mark: *it is over*"


def test_who_hears_first_by_an_escalation_reads_what_is_wrong_and_why_they_are_called() -> None:
    news = "shop: nobody has taken it on for 5 min"
    escalated = make_delivery(make_notice(NoticeEvent.ESCALATED, headline=news))
    message = Message("C1", "1.1", write_message(escalated, ALL))

    assert "shop answers 500, expected 2xx, for 2 min" in message.text
    assert news in message.visible
    assert news not in Message("C1", "1.1", write_update(escalated, ALL)).visible


def test_a_message_that_stands_alone_says_the_news_first_and_below_it_what_is_wrong() -> None:
    news = "shop: home.health fails as well"
    update = write_single(make_delivery(make_notice(NoticeEvent.UPDATED, headline=news)))
    opened = write_single(make_delivery())

    assert news in update["text"]
    assert "shop answers 500, expected 2xx, for 2 min" in Message("C1", "1.1", update).visible
    assert [block["block_id"] for block in opened["attachments"][0]["blocks"]].count("beside") == 0


def test_a_message_in_short_begins_as_the_whole_one() -> None:
    update = make_delivery(make_notice(NoticeEvent.UPDATED, headline="shop: one more"))

    assert "shop answers 500" in write_short(write_update(update))["text"]
    assert "shop: one more" in write_short(write_reply(update))["text"]
