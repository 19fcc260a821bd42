"""What is known of HTML before it is parsed: comments, and elements that hold text alone."""

from __future__ import annotations

from typing import Final

HOLDS_TEXT: Final = frozenset(
    {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"}
)
"""Elements in which nothing is a tag but their own end."""


def end_of_comment(text: str, position: int) -> int | None:
    """Give where a comment ends that begins here; None where none does."""
    if not text.startswith("<!--", position):
        return None

    return _found(text.find("-->", position + 2), text)


def end_of_text(lowered: str, name: str, position: int) -> int:
    """Give where the text of an element ends; `lowered` is the page in lower case."""
    return _found(lowered.find(f"</{name}", position), lowered)


def _found(place: int, text: str) -> int:
    return place if place >= 0 else len(text)
