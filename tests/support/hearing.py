"""What receivers heard, as the keys of the notices; where words have none, by what they tell."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from monitor.core import wording
from monitor.core.model.notice import NoticeEvent
from tests.support import discord as discord_support
from tests.support.teams import texts_of
from tests.support.telegram import read_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from monitor.core.model.notice import Delivery
    from tests.support.discord import FakeDiscord
    from tests.support.mail import Mailbox
    from tests.support.pagerduty import FakePagerDuty
    from tests.support.receiver import Received, Receiver
    from tests.support.slack import FakeSlack
    from tests.support.teams import FakeTeams
    from tests.support.telegram import FakeTelegram

SIGNING: Final = "whsec_c2lnbmluZy1jYW5hcnktMmI3NA=="
MAY_REPEAT: Final = "may repeat an earlier message"

_ABOUT: Final = re.compile(
    r"(?P<what>incident|digest) (?P<id>\S+), (?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC)"
)
_NO_LETTER: Final = re.compile(r"\W+|_")
_ACTS: Final = {NoticeEvent.ACKNOWLEDGED: "acknowledge", NoticeEvent.RESOLVED: "resolve"}


def heard_by_webhook(receiver: Receiver) -> list[str]:
    """Give the keys of what a receiver of webhooks took, and look at each request itself."""
    for one in receiver.received:
        key = one.headers["webhook-id"]
        assert one.headers["idempotency-key"] == one.json["idempotency_key"] == key
        assert one.headers["webhook-signature"] == _sign(one)

    return [one.headers["webhook-id"] for one in receiver.received]


def _sign(request: Received) -> str:
    secret = base64.b64decode(SIGNING.removeprefix("whsec_"))
    named = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
    digest = hmac.new(secret, named.encode() + request.body, hashlib.sha256).digest()

    return f"v1,{base64.b64encode(digest).decode()}"


def heard_by_slack(slack: FakeSlack) -> list[str]:
    """Give the keys of the messages that people see, replies among them."""
    return [
        message.content["metadata"]["event_payload"]["idempotency_key"]
        if not message.earlier
        else message.earlier[0]["metadata"]["event_payload"]["idempotency_key"]
        for message in slack.messages
    ]


def heard_by_pagerduty(pagerduty: FakePagerDuty, rows: Iterable[Delivery]) -> list[str]:
    """Give the keys of the events it took.

    Those that end or acknowledge have none, but name their alert: that of one incident, or of all
    that a digest told. An end of which nobody knew the beginning is two events.
    """
    meant = _acts_by_alert(list(rows))
    heard: list[str] = []
    acts: Counter[tuple[str, str]] = Counter()
    begun = ""
    for event in pagerduty.events:
        if event["event_action"] == "trigger":
            begun = event["payload"]["custom_details"]["idempotency_key"]
            heard.append(begun)
            continue
        act = event["event_action"], event["dedup_key"]
        acts[act] += 1
        keys = meant[act]
        if begun not in keys:
            # Each incident of a digest may end its alert, once all of them are over.
            heard += [key for key in keys if key not in heard]
            heard += keys[:1] if acts[act] > len(keys) else []
        begun = ""

    return heard


def _acts_by_alert(rows: Sequence[Delivery]) -> defaultdict[tuple[str, str], list[str]]:
    """Give the keys of what an event without one may mean, by what it does to which alert."""
    by_id = {row.id: row for row in rows}
    digests: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        leading = by_id.get(row.told_in)
        if leading is not None and leading.told_in == leading.id:
            digests[row.notice.incident].add(leading.key)
    meant: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.notice.sequence):
        action = _ACTS.get(row.notice.event)
        if action is not None:
            for alert in (row.notice.incident, *digests[row.notice.incident]):
                meant[action, alert].append(row.key)

    return meant


def heard_by_mail(mailbox: Mailbox) -> list[str]:
    """Give the keys of the messages, by which a mail program knows a repeat."""
    return [str(one.message["Message-ID"]).strip("<").partition("@")[0] for one in mailbox.mails]


def heard_by_alertmanager(receiver: Receiver) -> list[str]:
    """Give the keys of the alerts, each once: they are sent again for as long as they fire."""
    keys = [
        alert["annotations"]["idempotency_key"] for one in receiver.received for alert in one.json
    ]

    return list(dict.fromkeys(keys))


def heard_in_log(log: Path) -> list[str]:
    """Give the keys of the notices in a log of JSON lines."""
    lines = (_parse(line) for line in log.read_text(errors="replace").splitlines())

    return [line["key"] for line in lines if line.get("event") == "notice"]


def _parse(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:  # the program died over it
        return {}

    return found if isinstance(found, dict) else {}


def words_in_discord(discord: FakeDiscord) -> list[str]:
    """Give the messages as they were when they were new."""
    return [
        discord_support.Message(one.id, (one.earlier or [one.content])[0]).visible
        for one in discord.messages
    ]


def words_in_telegram(telegram: FakeTelegram) -> list[str]:
    """Give the messages as they were when they were new."""
    return [read_html((one.earlier or [one.content])[0])[0] for one in telegram.messages]


def words_in_teams(teams: FakeTeams) -> list[str]:
    """Give what people read on each card."""
    return ["\n".join(texts_of(card)) for card in teams.cards]


def words_by_apprise(receiver: Receiver) -> list[str]:
    """Give the messages that Apprise passed on as JSON."""
    return [f"{one.json['title']}\n{one.json['message']}" for one in receiver.received]


def heard_in_words(texts: Iterable[str], rows: Iterable[Delivery]) -> list[str]:
    """Give the keys of messages that have none: of the notices that they can only be.

    A repeat has to say itself that it may be one.
    """
    rows = list(rows)
    keys = []
    copies: Counter[str] = Counter()
    for text in texts:
        key = _find_key(text, rows)
        copies[key] += 1
        if copies[key] > 1 and MAY_REPEAT not in text:
            key = f"a repeat that does not say so, {text!r}"
        keys.append(key)

    return keys


def _find_key(text: str, rows: Sequence[Delivery]) -> str:
    """Find a notice by its incident and its time, and of several by what it says."""
    about = _ABOUT.search(text)
    if about is None:
        return f"a message about nothing, {text!r}"

    found = [
        row
        for row in rows
        if row.id.startswith(about["id"].removeprefix("digest-"))
        if about["what"] == "digest"
    ] or [
        row
        for row in rows
        if row.notice.incident == about["id"] and wording.time_text(row.notice.at) == about["at"]
    ]
    said = [row for row in found if _letters(row.notice.headline) in _letters(text)] or found
    if not said:
        return f"a message that nobody queued, {text!r}"

    return max(said, key=lambda row: (len(row.notice.headline), row.notice.sequence)).key


def _letters(text: str) -> str:
    """Leave out what chats escape, or put in so that nobody is called."""
    return _NO_LETTER.sub("", text)
