"""What a page says itself: the elements of its HTML, read once and in linear time."""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from typing import TYPE_CHECKING, Final

from monitor.core.markup import HOLDS_TEXT, end_of_comment, end_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.core.model.observation import Observation

Attributes = dict[str, str]

HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_LONGEST_HEAD: Final = 64 * 1024
_LONGEST_REMEMBERED: Final = 256 * 1024
_CSP: Final = b"content-security-policy"
_REFERRER: Final = b"referrer"
_NAME: Final = re.compile(r"[A-Za-z][^\s/>]*")
_BETWEEN: Final = re.compile(r"[\s/]*")
_ATTRIBUTE: Final = re.compile(
    r"""(?P<name>[^\s/>][^\s/>=]*)
        (?:\s*=\s*(?:"(?P<double>[^"]*)(?P<end_double>"?)
                    |'(?P<single>[^']*)(?P<end_single>'?)
                    |(?P<bare>[^\s>"'][^\s>]*)?))?""",
    re.VERBOSE,
)


def is_html(observation: Observation) -> bool:
    """Whether the answer declares itself a page."""
    declared = observation.header("content-type")

    return bool(declared) and declared[0].partition(";")[0].strip().lower() in HTML_TYPES


def policies_in_page(observation: Observation) -> tuple[str, ...]:
    """Give the content security policies that a browser would find in the head of a page."""
    head = observation.body[:_LONGEST_HEAD]
    if not is_html(observation) or _CSP not in head.lower():
        return ()

    return _policies(head)


def referrer_in_page(observation: Observation) -> str:
    """Give the referrer policy that the last `<meta name=referrer>` of a page sets, if any."""
    head = observation.body[:_LONGEST_HEAD]
    if not is_html(observation) or _REFERRER not in head.lower():
        return ""

    return _referrer(head)


def scripts_in_page(observation: Observation) -> tuple[tuple[str, str], ...]:
    """Give source and integrity of each script; the source is resolved by the page's `<base>`.

    Both are empty for a script that is in the page itself.
    """
    body = observation.body
    if b"<script" not in body.lower():
        return ()

    return _scripts(body) if len(body) <= _LONGEST_REMEMBERED else _scripts.__wrapped__(body)


@lru_cache(maxsize=16)
def _policies(head: bytes) -> tuple[str, ...]:
    return tuple(
        attributes["content"]
        for name, attributes in elements(head, until="body")
        if name == "meta"
        and attributes.get("http-equiv", "").strip().lower() == _CSP.decode()
        and attributes.get("content")
    )


@lru_cache(maxsize=16)
def _referrer(head: bytes) -> str:
    found = [
        attributes["content"]
        for name, attributes in elements(head)
        if name == "meta"
        and attributes.get("name", "").strip().lower() == _REFERRER.decode()
        and attributes.get("content")
        and "http-equiv" not in attributes
    ]

    return found[-1] if found else ""


@lru_cache(maxsize=16)
def _scripts(body: bytes) -> tuple[tuple[str, str], ...]:
    base = ""
    scripts = []
    for name, attributes in elements(body):
        if name == "base" and not base:
            base = attributes.get("href", "").strip()
        elif name == "script":
            source = _NO_URL.sub("", attributes.get("src", "").strip(_STRIPPED))
            scripts.append((source, attributes.get("integrity", "")))

    return tuple([(_join(base, source), integrity) for source, integrity in scripts])


_STRIPPED: Final = "".join(map(chr, range(0x21)))
_NO_URL: Final = re.compile(r"[\t\n\r]")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def _join(base: str, source: str) -> str:
    """Resolve by a base that names a host; a browser knows the page's own address besides."""
    if not source or _SCHEME.match(source) or source.startswith("//"):
        return source
    origin = re.match(r"(?:https?:)?//[^/?#]+", base, re.IGNORECASE)

    return f"{origin[0]}/{source.lstrip('/')}" if origin else source


def elements(body: bytes, *, until: str = "") -> Iterator[tuple[str, Attributes]]:
    """Give the start tags of a page, with their attributes, up to one named `until`."""
    text = body.decode(errors="replace")
    lowered = body.lower().decode(errors="replace")
    position = 0
    while (position := text.find("<", position)) >= 0:
        if (after := end_of_comment(text, position)) is not None:
            position = after
            continue

        position += 1
        tag = _NAME.match(text, position)
        if tag is None:
            continue

        name = tag[0].lower()
        if name == until:
            return

        attributes, position = _read_attributes(text, tag.end())
        if attributes is None:
            return

        yield name, attributes
        if name in HOLDS_TEXT:
            position = end_of_text(lowered, name, position)


def _read_attributes(text: str, position: int) -> tuple[Attributes | None, int]:
    """Read up to the end of a tag; None where the page ends before. The first of a name counts."""
    attributes: Attributes = {}
    while True:
        between = _BETWEEN.match(text, position)
        position = between.end() if between else position
        if text.startswith(">", position):
            return attributes, position + 1

        found = _ATTRIBUTE.match(text, position)
        if found is None or found["end_double"] == "" or found["end_single"] == "":
            return None, len(text)

        value = found["double"] or found["single"] or found["bare"] or ""
        attributes.setdefault(found["name"].lower(), unescape(value))
        position = found.end()
