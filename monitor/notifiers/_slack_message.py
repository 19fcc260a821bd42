"""What a notice looks like in Slack: escaped, bounded, coloured by how things stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from monitor.core import wording
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentPhase
from monitor.core.model.notice import NoticeEvent
from monitor.outbound import is_usable

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Link, Notice

# Slack refuses sections above 3000 characters and, undocumented, messages above some 11 000 in all;
# these keep a whole message below 9000.
_LONGEST_TEXT: Final = 1_400
_LONGEST_WHEN: Final = 1_000
_LONGEST_CHECK: Final = 400
_LONGEST_CHECKS: Final = 2_400
_LONGEST_FACT: Final = 150
_LONGEST_LINKS: Final = 1_500
_LONGEST_SHORT: Final = 300
_MOST_FACTS: Final = 10
_MOST_CHECKS: Final = 10

_GREEN: Final = "#2eb67d"
_BLUE: Final = "#36c5f0"
_GREY: Final = "#8d8d8d"
_COLOURS: Final = {
    Severity.CRITICAL: "#e01e5a",
    Severity.HIGH: "#e8602c",
    Severity.MEDIUM: "#ecb22e",
    Severity.LOW: "#8d8d8d",
}
_TOLD_ABOVE: Final = frozenset({"Severity", "Since", "Resolved", "Rollback", "Incident"})

_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKS: Final = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "\u02cb"})
_ITALIC: Final = re.compile(r"(?<![^\W_])_(?=\S)|_(?![^\W_])")
_CALL: Final = re.compile(r"@(?=channel|here|everyone)", re.IGNORECASE)
_CUT_ENTITY: Final = re.compile(r"&[a-z]{0,3}$")


def plain(text: str, longest: int) -> str:
    """Write any text so that it is shown as it is: it calls nobody, links and formats nothing.

    Marks that Slack would take for formatting become letters that look like them; it is cut to
    `longest` characters as Slack counts them.
    """
    shown = " ".join(text[: 4 * longest].split()).translate(_MARKS)
    shown = _ITALIC.sub("\uff3f", shown)
    shown = _CALL.sub("@\u200b", shown).translate(_ENTITIES)
    if len(shown) <= longest:
        return shown

    return _CUT_ENTITY.sub("", shown[: longest - 1]) + "…"


def write_message(delivery: Delivery) -> dict[str, Any]:
    """Give a whole message: what is wrong, since when and how bad, which checks, where to look."""
    notice = delivery.notice

    return {
        "text": _text(notice, _LONGEST_TEXT),
        "attachments": [
            {
                "color": _colour(notice),
                "fallback": _text(notice, _LONGEST_SHORT),
                "blocks": _write_blocks(delivery),
            }
        ],
        "metadata": _write_metadata(delivery),
        **_QUIET,
    }


def write_reply(delivery: Delivery) -> dict[str, Any]:
    """Give what is written in an incident's thread: the news without what the thread says."""
    message = write_message(delivery)
    message["attachments"][0]["blocks"] = [
        block for block in message["attachments"][0]["blocks"] if block["block_id"] in _NEWS
    ]

    return message


def write_update(delivery: Delivery) -> dict[str, Any]:
    """Give what an incident's message becomes."""
    message = write_message(delivery)

    return {part: message[part] for part in ("text", "attachments")}


def write_short(delivery: Delivery) -> dict[str, Any]:
    """Give a message of one line, for when Slack does not take the whole one."""
    return {"text": _text(delivery.notice, _LONGEST_SHORT), "attachments": []}


_NEWS: Final = frozenset({"when", "checks", "about"})
_QUIET: Final = {"unfurl_links": False, "unfurl_media": False}


def _text(notice: Notice, longest: int) -> str:
    return f"{_sign(notice)} *{plain(wording.summary(notice)[0], longest)}*"


def _sign(notice: Notice) -> str:
    match notice.event:
        case NoticeEvent.RESOLVED:
            return ":white_check_mark:"
        case NoticeEvent.ROLLBACK:
            return ":rewind:"
        case NoticeEvent.BLIND:
            return ":grey_question:"
        case NoticeEvent.TEST:
            return ":bell:"
        case NoticeEvent.UPDATED if notice.better:
            return ":information_source:"
        case _:
            serious = notice.severity in (Severity.CRITICAL, Severity.HIGH)
            return ":rotating_light:" if serious else ":warning:"


def _colour(notice: Notice) -> str:
    if notice.resolved_at is not None or notice.phase is IncidentPhase.RESOLVED:
        return _GREEN
    if notice.phase is IncidentPhase.MONITORING:
        return _BLUE
    if notice.event in (NoticeEvent.BLIND, NoticeEvent.TEST):
        return _GREY

    return _COLOURS[notice.severity]


def _write_blocks(delivery: Delivery) -> list[dict[str, Any]]:
    notice = delivery.notice
    blocks = [_section("when", plain(wording.summary(notice)[1], _LONGEST_WHEN))]
    if checks := _write_checks(notice):
        blocks.append(_section("checks", checks))
    if facts := _write_facts(notice):
        blocks.append({"type": "section", "block_id": "facts", "fields": facts})
    if links := _write_links(notice.links):
        blocks.append(_section("links", links))
    about = f"incident {notice.incident}, {wording.time_text(notice.at)}"
    if delivery.maybe_sent:
        about += ", may repeat an earlier message"
    element = _mrkdwn(plain(about, _LONGEST_SHORT))

    return [*blocks, {"type": "context", "block_id": "about", "elements": [element]}]


def _write_checks(notice: Notice) -> str:
    lines, left = [], _LONGEST_CHECKS
    for member in notice.members[:_MOST_CHECKS]:
        line = f"• {plain(wording.member_line(member), _LONGEST_CHECK)}"
        if len(line) >= left:
            break
        lines.append(line)
        left -= len(line) + 1
    if more := len(notice.members) - len(lines):
        lines.append(f"… and {more} more")

    return "\n".join(lines)


def _write_facts(notice: Notice) -> list[dict[str, Any]]:
    return [
        _mrkdwn(f"*{plain(name, _LONGEST_FACT)}*\n{plain(text, _LONGEST_FACT)}")
        for name, text in wording.facts(notice)
        if name not in _TOLD_ABOVE
    ][:_MOST_FACTS]


def _write_links(links: tuple[Link, ...]) -> str:
    shown, left = [], _LONGEST_LINKS
    for link in links:
        url = link.url.translate(_ENTITIES).replace("|", "%7C")
        text = f"<{url}|{plain(link.name, _LONGEST_FACT).replace('|', '/')}>"
        if is_usable(link.url) and len(text) < left:
            shown.append(text)
            left -= len(text) + 3

    return " · ".join(shown)


def _write_metadata(delivery: Delivery) -> dict[str, Any]:
    """Name the notice to programs: who finds the same key twice has seen a repeat."""
    return {
        "event_type": "production_monitor_notice",
        "event_payload": {
            "idempotency_key": delivery.key,
            "incident": delivery.notice.incident,
            "event": delivery.notice.event.value,
        },
    }


def _section(id: str, text: str) -> dict[str, Any]:
    return {"type": "section", "block_id": id, "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: names of channels and people in it stay text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}
