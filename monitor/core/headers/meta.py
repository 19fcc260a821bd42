"""Content security policies that a page carries itself, in its `<meta>` elements."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

# A head is short. No pattern can run over the start of the next tag, so that all are linear.
_LONGEST_HEAD: Final = 64 * 1024
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_BODY: Final = re.compile(r"<body\b", re.IGNORECASE)
_META: Final = re.compile(r"<meta\s([^<>]*)>", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(
    r"""(?P<name>[a-z-]+)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'>]+))""",
    re.IGNORECASE,
)


def policies_in_page(observation: Observation) -> list[str]:
    """Give the policies that a browser would find in the head of an HTML page."""
    content_type = observation.header("content-type")
    if not content_type or not content_type[-1].lower().lstrip().startswith("text/html"):
        return []

    head = observation.body[:_LONGEST_HEAD].decode(errors="replace")
    head = _BODY.split(_COMMENT.sub("", head), maxsplit=1)[0]
    elements = [
        {
            found["name"].lower(): unescape(
                found["double"] or found["single"] or found["bare"] or ""
            )
            for found in _ATTRIBUTE.finditer(element[1])
        }
        for element in _META.finditer(head)
    ]

    return [
        element.get("content", "")
        for element in elements
        if element.get("http-equiv", "").strip().lower() == "content-security-policy"
    ]
