"""What cannot be seen, or turns what stands around it, reaches nobody who reads a message."""

from __future__ import annotations

import json
import unicodedata
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.evidence import clean
from monitor.core.model.notice import Contact, NoticeEvent
from monitor.notifiers import _discord_message, _slack_message, _teams_card, _telegram_message
from monitor.notifiers._email_message import write_mail
from monitor.notifiers.apprise import _write
from monitor.unseen import bare
from tests.support.notices import NOON, make_delivery, make_member, make_notice

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.model.notice import Delivery

HIDDEN = (
    "\0\x1b\x7f\x85\x9b\xad\u061c\u180e\u200b\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060"
    "\u2066\u2069\ufeff\ufff9\ud800\U000e0001\U000e0041\U000e007f"
)
OWN = ("@\u200b", "<\u200b!")
"""What is put in on purpose, so that nobody is called."""


def read_json(written: dict[str, Any]) -> str:
    shown = {**written, "metadata": None}

    return json.dumps(shown, ensure_ascii=False).replace("\\n", "\n")


def read_mail(delivery: Delivery) -> str:
    written = write_mail(
        delivery,
        id="<1@shop.example>",
        first=None,
        sender="monitor@shop.example",
        recipients=["ana@shop.example"],
        now=NOON,
    )
    mail = message_from_bytes(written, policy=policy.default)

    return f"{mail['Subject']}\n{mail.get_content()}".replace("\r\n", "\n")


def find_unseen(text: str) -> set[str]:
    for own in OWN:
        text = text.replace(own, "")

    return {
        f"U+{ord(char):04X}"
        for char in text
        if char in HIDDEN or (char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Zl"))
    }


@pytest.mark.parametrize("event", [NoticeEvent.OPENED, NoticeEvent.ACKNOWLEDGED])
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda one: read_json(_slack_message.write_message(one)), id="slack"),
        pytest.param(lambda one: read_json(_slack_message.write_reply(one)), id="slack, a reply"),
        pytest.param(
            lambda one: read_json(_slack_message.write_evidence(one, one.notice.evidence)),
            id="slack, evidence",
        ),
        pytest.param(lambda one: read_json(_discord_message.write_message(one)), id="discord"),
        pytest.param(lambda one: read_json(_telegram_message.write_message(one)), id="telegram"),
        pytest.param(lambda one: read_json(json.loads(_teams_card.write_body(one))), id="teams"),
        pytest.param(lambda one: "\n".join(_write(one)), id="apprise"),
        pytest.param(read_mail, id="email"),
    ],
)
def test_nothing_unseen_is_told(write: Callable[[Delivery], str], event: NoticeEvent) -> None:
    evil = f"a{'b'.join(HIDDEN)}c"
    notice = make_notice(
        event,
        headline=evil,
        environment=evil,
        description=evil,
        acknowledged_by=evil,
        acknowledged_at=NOON,
        contacts=(Contact(role=evil, name=evil),),
        evidence=((evil, f"{evil}\n{evil}"),),
        members=(make_member(reason=evil),),
    )

    told = write(make_delivery(notice))

    assert "b" in told
    assert find_unseen(told) == set()


def test_nothing_unseen_is_kept_of_evidence() -> None:
    assert find_unseen(clean(f"a{'b'.join(HIDDEN)}c\n")) == set()


def test_of_a_text_without_what_is_not_seen_all_else_is_left() -> None:
    assert bare("\u26a0\ufe0f \x1b[1;31mred\x1b[0m\tand\u200b on\r\nü 你\n") == (
        "\u26a0\ufe0f red\tand on\r\nü 你\n"
    )
