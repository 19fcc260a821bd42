"""What a notice looks like in Discord: escaped, bounded, coloured by how things stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from monitor.notifiers._chat import (
    cut,
    cut_front,
    fill,
    fill_links,
    one_line,
    say_news,
    say_whole,
    several_lines,
)

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Link
    from monitor.notifiers._chat import Said

# Discord refuses a content above 2000 characters, a description above 4096, and embeds above 6000
# in all: a whole message has one embed of at most 3600 + 8 * 260 + 200.
_LONGEST_HEADLINE: Final = 1_500
_LONGEST_WHEN: Final = 700
_LONGEST_LINES: Final = 1_200
_LONGEST_LINE: Final = 400
_LONGEST_TASKS: Final = 450
_LONGEST_TASK: Final = 150
_LONGEST_NAME: Final = 60
_LONGEST_FACT: Final = 200
_LONGEST_FOOTER: Final = 200
_LONGEST_LINKS: Final = 400
_LONGEST_SHORT: Final = 300
_LONGEST_EVIDENCE: Final = 700
_MOST_FACTS: Final = 8
_MOST_EVIDENCE: Final = 3

_MARKS: Final = re.compile(r"([\\*_~`|<>\[\]()])")
_CALL: Final = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
_MENTIONS_NOBODY: Final[dict[str, list[str]]] = {"parse": []}
_NO_NOTIFICATION: Final = 1 << 12


def escape(text: str) -> str:
    """Write a line so that it is shown as it is: it calls nobody, links and formats nothing."""
    shown = _MARKS.sub(r"\\\1", one_line(text))

    return _CALL.sub("@\u200b", shown).replace("://", ":\\//")


def write_message(delivery: Delivery) -> dict[str, Any]:
    """Give a whole message: what is wrong, since when and how bad, which checks, where to look."""
    return _write(say_whole(delivery))


def write_news(delivery: Delivery) -> dict[str, Any]:
    """Give what is told after an incident's first message; what is good news makes no sound."""
    return _write(say_news(delivery))


def write_short(delivery: Delivery) -> dict[str, Any]:
    """Give a message of one line, for when Discord does not take the whole one."""
    said = say_news(delivery)

    return {
        "content": f"{said.sign} **{cut(said.headline, _LONGEST_SHORT, escape)}**",
        "embeds": [],
        "allowed_mentions": _MENTIONS_NOBODY,
    }


def _write(said: Said) -> dict[str, Any]:
    embed = {
        "color": int(said.colour[1:], 16),
        "description": "\n".join(_describe(said)),
        "fields": [
            {
                "name": cut(name, _LONGEST_NAME, escape),
                "value": cut(text, _LONGEST_FACT, escape),
                "inline": True,
            }
            for name, text in said.facts[:_MOST_FACTS]
        ],
        "footer": {"text": cut(one_line(said.about), _LONGEST_FOOTER)},
    }
    message = {
        # In the content, since a notification shows nothing else.
        "content": f"{said.sign} **{cut(said.headline, _LONGEST_HEADLINE, escape)}**",
        "embeds": [embed],
        "allowed_mentions": _MENTIONS_NOBODY,
    }

    return {**message, "flags": _NO_NOTIFICATION} if said.quiet else message


def _describe(said: Said) -> list[str]:
    lines = [f"• {cut(line, _LONGEST_LINE, escape)}" for line in said.lines]
    tasks = [cut(task, _LONGEST_TASK, escape) for task in said.tasks]
    parts = [cut(said.when, _LONGEST_WHEN, escape), *fill(lines, _LONGEST_LINES, said.more)]
    parts += fill(tasks, _LONGEST_TASKS)
    seen = said.evidence[:_MOST_EVIDENCE]
    for name, text in seen:
        room = _LONGEST_EVIDENCE // len(seen) - _LONGEST_NAME
        parts.append(f"{cut(name, _LONGEST_NAME, escape)}:\n{_quote(text, room)}")
    if links := fill_links(said.links, _write_link, _LONGEST_LINKS):
        parts.append(links)

    return parts


def _quote(text: str, room: int) -> str:
    """Write lines as a block of code, which they cannot end."""
    shown = several_lines(text).replace("`", "\u02cb")

    return f"```\n{cut_front(shown, room) or ' '}\n```"


def _write_link(link: Link) -> str:
    url = link.url.replace("(", "%28").replace(")", "%29")

    return f"[{cut(link.name, _LONGEST_NAME, escape)}]({url})"
