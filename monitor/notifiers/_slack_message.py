"""What a notice looks like in Slack: escaped, bounded, coloured by how things stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monitor.core import wording
from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import NoticeEvent
from monitor.core.model.rollback import RollbackState
from monitor.core.wording.told import digest_line
from monitor.notifiers._chat import GREY, TICKS, as_it_stands, colour, say_about
from monitor.notifiers._slack_api import METADATA
from monitor.notifiers._slack_buttons import NO_BUTTONS, press_text, write_buttons
from monitor.notifiers._slack_text import ENTITIES, code, find_person, mrkdwn, plain, section
from monitor.outbound import is_usable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.core.model.notice import Delivery, Link, Notice
    from monitor.notifiers._slack_buttons import Buttons

# Slack refuses sections above 3000 characters and, undocumented, messages above some 11 000 in all;
# these keep a whole message below 9000.
_LONGEST_TEXT: Final = 1_000
_LONGEST_WHEN: Final = 700
_LONGEST_BESIDE: Final = 600
_LONGEST_CHECK: Final = 400
_LONGEST_CHECKS: Final = 1_700
_LONGEST_TASK: Final = 150
_LONGEST_TASKS: Final = 800
_LONGEST_NAME: Final = 60
_LONGEST_FACT: Final = 120
_LONGEST_LINKS: Final = 700
_LONGEST_SHORT: Final = 300
_LONGEST_EVIDENCE: Final = 2_800
_LONGEST_EVIDENCES: Final = 7_000
_LONGEST_DIGEST: Final = 2_900
_MOST_FACTS: Final = 10
_MOST_CHECKS: Final = 10
_MOST_TASKS: Final = 12
_MOST_CALLED: Final = 5

_TOLD_ABOVE: Final = frozenset({"Service", "Severity", "Since", "Resolved", "Rollback", "Incident"})
_PEOPLE_ACT: Final = frozenset(
    {
        RollbackState.UNCERTAIN,
        RollbackState.NOT_RECOVERED,
        RollbackState.INCONCLUSIVE,
        RollbackState.FAILED,
    }
)
_NEWS: Final = frozenset({"when", "checks", "after", "about"})
_QUIET: Final = {"unfurl_links": False, "unfurl_media": False}


def write_message(delivery: Delivery, buttons: Buttons = NO_BUTTONS) -> dict[str, Any]:
    """Give the message of an incident: what is wrong, since when and how bad, what to press.

    Whatever else it was begun for, such as an escalation, stands below that.
    """
    notice = delivery.notice
    first = as_it_stands(notice)
    news = notice.headline if notice.headline != first.headline else ""

    return {
        **_compose(delivery, first, buttons, beside=news),
        "metadata": _write_metadata(delivery),
        **_QUIET,
    }


def write_update(delivery: Delivery, buttons: Buttons = NO_BUTTONS) -> dict[str, Any]:
    """Give what an incident's message becomes; the news is in its thread."""
    return _compose(delivery, as_it_stands(delivery.notice), buttons)


def write_single(delivery: Delivery) -> dict[str, Any]:
    """Give a message that stands alone: the news first, and below it what is wrong."""
    notice = delivery.notice
    wrong = as_it_stands(notice).headline

    return {
        **_compose(delivery, notice, NO_BUTTONS, beside=wrong if wrong != notice.headline else ""),
        "metadata": _write_metadata(delivery),
        **_QUIET,
    }


def write_reply(delivery: Delivery) -> dict[str, Any]:
    """Give what is written in an incident's thread: the news without what the thread says.

    Where a person has to act, it is shown in the channel as well: a thread wakes nobody.
    """
    notice = delivery.notice
    message = _compose(delivery, notice, NO_BUTTONS)
    attachment = message["attachments"][0]
    attachment["blocks"] = [
        block for block in attachment["blocks"] if block["block_id"] in _news_of(notice)
    ]
    if after := _write_after(notice):
        attachment["blocks"].insert(-1, section("after", after))
    if _needs_a_person(notice):
        message["reply_broadcast"] = True

    return {**message, "metadata": _write_metadata(delivery), **_QUIET}


def write_short(message: dict[str, Any]) -> dict[str, Any]:
    """Give a message in one line, for when Slack does not take the whole one."""
    return {"text": message["attachments"][0]["fallback"], "attachments": []}


def write_evidence(delivery: Delivery, evidence: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Give what commands said that ran when an incident opened, for its thread."""
    room = min(_LONGEST_EVIDENCE, _LONGEST_EVIDENCES // len(evidence))
    blocks = [
        section(f"evidence-{number}", f"*{plain(name, _LONGEST_NAME)}*\n{code(said, room)}")
        for number, (name, said) in enumerate(evidence)
    ]
    names = plain(", ".join(name for name, _ in evidence), _LONGEST_SHORT)
    text = f":mag: Seen when it opened: {names}"

    return {
        "text": text,
        "attachments": [{"color": GREY, "fallback": text, "blocks": blocks}],
        "metadata": _write_metadata(delivery, evidence_key(delivery, evidence[0][0])),
        **_QUIET,
    }


def evidence_key(delivery: Delivery, name: str) -> str:
    """Give the key by which the message is found that says what a command said."""
    return f"{delivery.notice.incident}/evidence/{name}"


def _compose(
    delivery: Delivery, first: Notice, buttons: Buttons, *, beside: str = ""
) -> dict[str, Any]:
    """Write a message whose first lines are those of `first`, and `beside` below them."""
    return {
        "text": " ".join((_text(first, _LONGEST_TEXT), *_call(first))),
        "attachments": [
            {
                "color": colour(first),
                "fallback": _text(first, _LONGEST_SHORT),
                "blocks": _write_blocks(delivery, first, buttons, beside),
            }
        ],
    }


def _text(notice: Notice, longest: int) -> str:
    return f"{_sign(notice)} *{plain(wording.summary(notice)[0], longest)}*"


def _sign(notice: Notice) -> str:
    if notice.all_clear:
        return ":white_check_mark:"
    match notice.event:
        case NoticeEvent.ROLLBACK:
            return ":rewind:"
        case NoticeEvent.BLIND:
            return ":grey_question:"
        case NoticeEvent.TEST:
            return ":bell:"
        case NoticeEvent.REMINDER:
            return ":alarm_clock:"
        case NoticeEvent.ESCALATED:
            return ":rotating_light:"
        case NoticeEvent.ACKNOWLEDGED:
            return ":eyes:"
        case NoticeEvent.UPDATED if notice.better:
            return ":information_source:"
        case _ if notice.acknowledged_by:
            return ":eyes:"
        case _:
            serious = notice.severity in (Severity.CRITICAL, Severity.HIGH)
            return ":rotating_light:" if serious else ":warning:"


def _call(notice: Notice) -> list[str]:
    """Name the contacts that are members, by the configuration, where they have to wake up.

    In the text, since Slack notifies nobody who is named in an attachment.
    """
    wakes = notice.event in (NoticeEvent.OPENED, NoticeEvent.ESCALATED)
    if not wakes or notice.severity is not Severity.CRITICAL:
        return []

    names = [name for contact in notice.contacts for name in contact.name.split(",")]
    people = dict.fromkeys(person for name in names if (person := find_person(name)))

    return [f"<@{person}>" for person in list(people)[:_MOST_CALLED]]


def _needs_a_person(notice: Notice) -> bool:
    match notice.event, notice.rollback:
        case NoticeEvent.ESCALATED | NoticeEvent.REMINDER, _:
            return True
        case NoticeEvent.ROLLBACK, rollback if rollback is not None:
            return rollback.approvable or rollback.vetoable or rollback.state in _PEOPLE_ACT
        case _:
            return False


def _news_of(notice: Notice) -> frozenset[str]:
    """Give the blocks that are news: who has taken it on changed nothing about the checks."""
    return _NEWS - {"when", "checks"} if notice.event is NoticeEvent.ACKNOWLEDGED else _NEWS


def _write_blocks(
    delivery: Delivery, first: Notice, buttons: Buttons, beside: str
) -> list[dict[str, Any]]:
    notice = delivery.notice
    blocks = [section("when", _write_when(first, buttons))]
    if pressed := write_buttons(delivery, buttons):
        blocks.append(pressed)
    if beside:
        blocks.append(section("beside", plain(beside, _LONGEST_BESIDE)))
    if lines := _write_digest(notice):
        blocks.append(section("checks", lines))
    if checks := _write_checks(notice):
        blocks.append(section("checks", checks))
    if tasks := _write_tasks(notice):
        blocks.append(section("checklist", tasks))
    if facts := _write_facts(notice):
        blocks.append({"type": "section", "block_id": "facts", "fields": facts})
    if links := _write_links(notice.links):
        blocks.append(section("links", links))
    element = mrkdwn(plain(say_about(delivery), _LONGEST_SHORT))

    return [*blocks, {"type": "context", "block_id": "about", "elements": [element]}]


def _write_when(notice: Notice, buttons: Buttons) -> str:
    """Say since when, how bad, where a rollback stands, who has it, and what to press."""
    said = [plain(wording.summary(notice)[1], _LONGEST_WHEN), press_text(notice, buttons)]
    if notice.acknowledged_by:
        at = f" at {wording.time_text(notice.acknowledged_at)}" if notice.acknowledged_at else ""
        said.append(f"Acknowledged by {plain(notice.acknowledged_by + at, _LONGEST_SHORT)}.")

    return " ".join(filter(None, said))


def _write_checks(notice: Notice) -> str:
    lines = (
        f"• {plain(wording.member_line(member), _LONGEST_CHECK)}"
        for member in notice.members[:_MOST_CHECKS]
    )

    return _fill(lines, len(notice.members), _LONGEST_CHECKS)


def _write_digest(notice: Notice) -> str:
    """Give a line for each incident of a digest: when, what, and whether it is over by now."""
    lines = (f"• {plain(digest_line(line), _LONGEST_CHECK)}" for line in notice.lines)

    return _fill(lines, len(notice.lines), _LONGEST_DIGEST)


def _write_tasks(notice: Notice) -> str:
    """Give the checklist: ticked, open, and what only a person can know."""
    lines = (
        f"{TICKS[task.done]} {plain(task.text, _LONGEST_TASK)}"
        for task in notice.checklist[:_MOST_TASKS]
    )

    return _fill(lines, len(notice.checklist), _LONGEST_TASKS)


def _fill(lines: Iterable[str], count: int, room: int) -> str:
    """Join as many lines as there is room for, and say how many more there are."""
    shown: list[str] = []
    for line in lines:
        if len(line) + 20 >= room:
            break
        shown.append(line)
        room -= len(line) + 1
    if more := count - len(shown):
        shown.append(f"… and {more} more")

    return "\n".join(shown)


def _write_facts(notice: Notice) -> list[dict[str, Any]]:
    return [
        mrkdwn(f"*{plain(name, _LONGEST_NAME)}*\n{plain(text, _LONGEST_FACT)}")
        for name, text in wording.facts(notice)
        if name not in _TOLD_ABOVE
    ][:_MOST_FACTS]


def _write_links(links: tuple[Link, ...]) -> str:
    shown, left = [], _LONGEST_LINKS
    for link in links:
        text = _write_link(link)
        if text and len(text) < left:
            shown.append(text)
            left -= len(text) + 3

    return " · ".join(shown)


def _write_link(link: Link) -> str:
    if not is_usable(link.url):
        return ""

    url = link.url.translate(ENTITIES).replace("|", "%7C")

    return f"<{url}|{plain(link.name, _LONGEST_FACT).replace('|', '/')}>"


def _write_after(notice: Notice) -> str:
    """Say where the post-mortem is, once an outage is over."""
    if notice.event is not NoticeEvent.RESOLVED:
        return ""

    where = [_write_link(link) for link in notice.links if link.name == "incident"]
    command = plain(f"production-monitor incident postmortem {notice.incident}", _LONGEST_SHORT)

    return f"Post-mortem: {' or '.join([*filter(None, where), f'`{command}`'])}"


def _write_metadata(delivery: Delivery, key: str = "") -> dict[str, Any]:
    """Name the notice to programs: who finds the same key twice has seen a repeat."""
    return {
        "event_type": METADATA,
        "event_payload": {
            "idempotency_key": key or delivery.key,
            "incident": delivery.notice.incident,
            "event": delivery.notice.event.value,
        },
    }
