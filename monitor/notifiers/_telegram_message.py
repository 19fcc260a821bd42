"""What a notice looks like in Telegram: its HTML, escaped and bounded."""

from __future__ import annotations

import re
from html import escape as escape_html
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

# Telegram refuses texts above 4096 units once the markup is taken out of them.
_LONGEST_HEADLINE: Final = 600
_LONGEST_WHEN: Final = 500
_LONGEST_LINE: Final = 300
_LONGEST_LINES: Final = 800
_LONGEST_TASK: Final = 150
_LONGEST_TASKS: Final = 400
_LONGEST_FACT: Final = 120
_LONGEST_NAME: Final = 60
_LONGEST_FACTS: Final = 400
_LONGEST_LINKS: Final = 350
_LONGEST_EVIDENCE: Final = 500
_LONGEST_SHORT: Final = 300
_MOST_EVIDENCE: Final = 2

_CALL: Final = re.compile(r"@(?=\w)|(?<!\S)/(?=\w)")


def escape(text: str) -> str:
    """Write a line so that it is shown as it is: it calls nobody and formats nothing."""
    shown = _CALL.sub("\\g<0>\u200b", one_line(text))

    return escape_html(shown, quote=False)


def write_message(delivery: Delivery) -> dict[str, Any]:
    """Give a whole message: what is wrong, since when and how bad, which checks, where to look."""
    return _write(say_whole(delivery))


def write_news(delivery: Delivery) -> dict[str, Any]:
    """Give what replies to an incident's first message; what is good news makes no sound."""
    return _write(say_news(delivery))


def write_short(delivery: Delivery) -> dict[str, Any]:
    """Give a message of one line without any markup, for when Telegram does not take the other."""
    said = say_news(delivery)
    headline = cut(_CALL.sub("\\g<0>\u200b", one_line(said.headline)), _LONGEST_SHORT)

    return {
        "text": f"{said.sign} {headline}",
        "link_preview_options": {"is_disabled": True},
    }


def _write(said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {
        "text": "\n".join(_say(said)),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }

    return {**message, "disable_notification": True} if said.quiet else message


def _say(said: Said) -> list[str]:
    lines = [f"• {cut(line, _LONGEST_LINE, escape)}" for line in said.lines]
    tasks = [cut(task, _LONGEST_TASK, escape) for task in said.tasks]
    facts = [f"{escape(name)}: {cut(text, _LONGEST_FACT, escape)}" for name, text in said.facts]
    parts = [
        f"{said.sign} <b>{cut(said.headline, _LONGEST_HEADLINE, escape)}</b>",
        cut(said.when, _LONGEST_WHEN, escape),
        *fill(lines, _LONGEST_LINES, said.more),
        *fill(tasks, _LONGEST_TASKS),
        *fill(facts, _LONGEST_FACTS),
    ]
    seen = said.evidence[:_MOST_EVIDENCE]
    for name, text in seen:
        parts.append(_quote(name, text, _LONGEST_EVIDENCE // len(seen)))
    if links := fill_links(said.links, _write_link, _LONGEST_LINKS):
        parts.append(links)
    parts.append(f"<i>{cut(said.about, _LONGEST_FACT, escape)}</i>")

    return parts


def _quote(name: str, text: str, room: int) -> str:
    shown = escape_html(cut_front(several_lines(text), room), quote=False)

    return f"{cut(name, _LONGEST_NAME, escape)}:\n<pre>{shown}</pre>"


def _write_link(link: Link) -> str:
    url = escape_html(link.url)

    return f'<a href="{url}">{cut(link.name, _LONGEST_FACT, escape)}</a>'
