"""HTML of an answer: what CSS selectors find in it, within bounds that no page can leave.

The parser is quick on every page that people write, and can be made slow, or to take all memory,
by one that was written for it: elements that are nested ten thousand deep, a tag with as many
attributes, and formatting that was opened and not closed, which is put into each paragraph again.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from monitor.core.expectations.json_body import MOST_NODES, BodyError, Node
from monitor.core.markup import HOLDS_TEXT, end_of_comment, end_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST: Final = 4_000
MOST_ATTRIBUTES: Final = 1_000

_FORMATTING: Final = "a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u"
_RENAMED: Final = "x-"
_FORMATTING_TAG: Final = re.compile(rf"(</?)(?=(?:{_FORMATTING})[\s/>])", re.IGNORECASE)
# What stands in a selector: texts, attributes, and names that are not those of elements.
_SELECTOR_PART: Final = re.compile(
    rf"""("(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | \[[^\]]*\] | [.\#:]+[\w-]+)
        | (?<![\w-])((?:{_FORMATTING})(?![\w-]))""",
    re.IGNORECASE | re.VERBOSE,
)
_OPENING: Final = re.compile(r"<([a-zA-Z][^\s/>]*)")
_NAME: Final = re.compile(r"/?[a-zA-Z][^\s/>]*")
_ATTRIBUTE: Final = re.compile(
    r"""[\s/]*[^\s/>][^\s/>=]*(?:\s*=\s*(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s>"'][^\s>]*|))?"""
)
_LONG_TAG: Final = re.compile(rf"<[a-zA-Z][^<]{{{2 * MOST_ATTRIBUTES}}}")
_NO_TAG: Final = re.compile(r"<(?![a-zA-Z/!?])")
_FOREIGN: Final = re.compile(r"<(?:svg|math)[\s/>]", re.IGNORECASE)
_NOT_ALIKE: Final = "<![CDATA["  # a comment in HTML, a text in what is embedded
_VOID: Final = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
# Each of these ends the one before it, also where nobody wrote its end tag.
_ENDED_BY_NEXT: Final = frozenset(
    {
        "dd",
        "dt",
        "li",
        "option",
        "p",
        "tbody",
        "td",
        "th",
        "tr",
    }
)
_BOUNDS: Final = frozenset(
    {
        "applet",
        "button",
        "caption",
        "marquee",
        "math",
        "object",
        "select",
        "svg",
        "table",
        "td",
        "template",
        "th",
    }
)
_SPACE: Final = re.compile(r"[ \t\r\n\f\u00a0]+")


class SelectorError(Exception):
    """A CSS selector that cannot be read."""


class HtmlError(BodyError):
    """A page that is not read."""

    wanted = "HTML"


@lru_cache(maxsize=1024)
def compile_selector(text: str) -> str:
    """Read a CSS selector, and give the one with which pages are searched.

    Raises SelectorError.
    """
    selector = _SELECTOR_PART.sub(lambda found: found[1] or f"{_RENAMED}{found[2]}", text)
    try:
        LexborHTMLParser("<p>").css(selector)
    except (SelectolaxError, ValueError) as error:
        raise SelectorError("it cannot be read") from error

    return selector


def parse_html(text: str) -> Any:
    """Read a page.

    Raises HtmlError for one that would cost more than a page may.
    """
    _refuse_bombs(text)

    return LexborHTMLParser(_FORMATTING_TAG.sub(rf"\1{_RENAMED}", text))


def select_elements(selector: str, page: Any) -> list[Node]:
    """Give the text of each element that a selector finds, in document order.

    White space is shown as a browser shows it: one space between words, none around the text.
    Raises HtmlError for more elements than can be judged.
    """
    found = page.css(selector)
    if len(found) > MOST_NODES:
        raise HtmlError(f"has more than {MOST_NODES} elements that match")

    return [Node(location="", value=_SPACE.sub(" ", one.text()).strip()) for one in found]


def _refuse_bombs(text: str) -> None:
    """Refuse what is nested too deeply, or has too many attributes, before it is parsed.

    Start tags count wherever they stand, end tags only where the parser sees them as such: what
    hides in comments, attributes and scripts closes nothing.
    """
    opened = Counter(name.lower() for name in _OPENING.findall(text))
    for name in _VOID if _FOREIGN.search(text) else _VOID | _ENDED_BY_NEXT:
        opened.pop(name, None)
    many = opened.total() > DEEPEST
    if not many and not _LONG_TAG.search(text) and len(_NO_TAG.findall(text)) < MOST_ATTRIBUTES:
        return

    closed = _count_closed(text)
    if many and (opened - closed).total() > DEEPEST:
        raise HtmlError(f"is HTML with more than {DEEPEST} elements that are not closed")


def _count_closed(text: str) -> Counter[str]:
    """Count the end tags that end an element: one that was opened in the same cell, or the like.

    What is in a cell of a table ends nothing outside of it.
    """
    closed: Counter[str] = Counter()
    within: list[tuple[str, Counter[str]]] = [("", Counter())]
    for tag in _tags(text):
        name = tag.removeprefix("/")
        if tag == name:
            within[-1][1][name] += 1
            if name in _BOUNDS:
                within.append((name, Counter()))
        elif name == within[-1][0]:
            within.pop()
            within[-1][1][name] -= 1
            closed[name] += 1
        elif within[-1][1][name] > 0:
            within[-1][1][name] -= 1
            closed[name] += 1

    return closed


def _tags(text: str) -> Iterator[str]:
    """Give the names of the tags in a page, with a slash before those that end an element."""
    foreign = _FOREIGN.search(text) is not None
    lowered = text.lower()
    position = 0
    while (position := text.find("<", position)) >= 0:
        if text.startswith(_NOT_ALIKE, position):
            return
        if (after := end_of_comment(text, position)) is not None:
            position = after
            continue

        position += 1
        tag = _NAME.match(text, position)
        if tag is None:
            continue

        name = tag[0].lower()
        position = _end_of_tag(text, tag.end())
        yield name
        if name == "plaintext":
            return
        if name in HOLDS_TEXT and not foreign:
            position = end_of_text(lowered, name, position)


def _end_of_tag(text: str, position: int) -> int:
    """Give where a tag ends; raises HtmlError for one with too many attributes."""
    for _ in range(MOST_ATTRIBUTES):
        attribute = _ATTRIBUTE.match(text, position)
        if attribute is None:
            return position
        position = attribute.end()

    raise HtmlError(f"is HTML with a tag of more than {MOST_ATTRIBUTES} attributes")
