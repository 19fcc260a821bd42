"""What a notice looks like in Teams: an Adaptive Card whose texts are no markup."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import NoticeEvent
from monitor.notifiers._chat import (
    BLUE,
    GREEN,
    GREY,
    cut,
    cut_front,
    fill,
    one_line,
    say_whole,
    several_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.core.model.notice import Delivery
    from monitor.notifiers._chat import Said

LARGEST: Final = 28_000
"""Teams refuses what is larger than 28 KB; in bytes."""

_LONGEST_HEADLINE: Final = 700
_LONGEST_WHEN: Final = 700
_LONGEST_LINE: Final = 400
_LONGEST_LINES: Final = 4_000
_LONGEST_FACT: Final = 300
_LONGEST_EVIDENCE: Final = 1_500
_LONGEST_SUMMARY: Final = 300
_LONGEST_TITLE: Final = 40
_MOST_FACTS: Final = 12
_MOST_EVIDENCE: Final = 3
_MOST_LINKS: Final = 6
_STYLES: Final = {GREEN: "good", BLUE: "accent", GREY: "emphasis"}
_SERIOUS: Final = frozenset({Severity.CRITICAL, Severity.HIGH})


def write_body(delivery: Delivery) -> bytes:
    """Give a request as it is posted; what is least needed is left out until it is small enough."""
    said = say_whole(delivery)
    if delivery.notice.event is not NoticeEvent.DIGEST:
        said = replace(said, headline=delivery.notice.headline)
    smaller = (
        said,
        replace(said, evidence=()),
        replace(said, evidence=(), tasks=(), facts=said.facts[:4], links=said.links[:2]),
        replace(
            said,
            evidence=(),
            tasks=(),
            facts=(),
            links=(),
            lines=said.lines[:3],
            more=said.more + len(said.lines[3:]),
        ),
    )
    for one in smaller:
        body = json.dumps(_write(one, delivery), ensure_ascii=False).encode("utf-8", "replace")
        if len(body) <= LARGEST:
            break

    return body


def _write(said: Said, delivery: Delivery) -> dict[str, Any]:
    serious = delivery.notice.severity in _SERIOUS
    style = _STYLES.get(said.colour, "attention" if serious else "warning")
    headline = f"{said.sign} {cut(one_line(said.headline), _LONGEST_HEADLINE)}"
    top = [
        _text(headline, weight="Bolder", size="Medium"),
        _text(cut(one_line(said.when), _LONGEST_WHEN)),
    ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": cut(headline, _LONGEST_SUMMARY),
        "body": [
            {"type": "Container", "style": style, "bleed": True, "items": top},
            *_write_parts(said),
        ],
    }
    if said.links:
        card["actions"] = [
            {
                "type": "Action.OpenUrl",
                "title": cut(one_line(link.name), _LONGEST_TITLE),
                "url": link.url,
            }
            for link in said.links[:_MOST_LINKS]
        ]
    content = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }

    return {
        "type": "message",
        "summary": cut(headline, _LONGEST_SUMMARY),
        "attachments": [content],
    }


def _write_parts(said: Said) -> Iterator[dict[str, Any]]:
    lines = [f"• {cut(one_line(line), _LONGEST_LINE)}" for line in said.lines]
    for line in fill(lines, _LONGEST_LINES, said.more):
        yield _text(line)
    for task in said.tasks:
        yield _text(cut(one_line(task), _LONGEST_LINE))
    for name, text in said.facts[:_MOST_FACTS]:
        yield _pair(cut(one_line(name), _LONGEST_FACT), cut(one_line(text), _LONGEST_FACT))
    for name, text in said.evidence[:_MOST_EVIDENCE]:
        yield _text(cut(one_line(name), _LONGEST_FACT), weight="Bolder")
        for line in cut_front(several_lines(text), _LONGEST_EVIDENCE).split("\n"):
            yield _text(line or " ", fontType="Monospace", size="Small")
    yield _text(cut(one_line(said.about), _LONGEST_LINE), isSubtle=True, size="Small")


def _text(text: str, **look: object) -> dict[str, Any]:
    """Give a line of a card: a TextRun, since the text of a TextBlock is Markdown."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **look}]}


def _pair(name: str, text: str) -> dict[str, Any]:
    block = _text(f"{name}: ", weight="Bolder")
    block["inlines"].append({"type": "TextRun", "text": text})

    return block
