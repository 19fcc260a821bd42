"""What is not seen in a text, or turns the text around it: one set of it for all who show texts."""

from __future__ import annotations

import re
from typing import Final

_SEQUENCE: Final = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # a title, a link
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, and moves of the cursor
    r"|\x1b[ -/]*[0-~]"
    r"|\x1b"
)
"""What a terminal takes for an order."""

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Controls but tab and end of line, what is drawn as nothing, what turns the direction, tags.

What chooses between two forms of a sign (U+FE0F) is left: it belongs to what is seen.
"""


def blank(text: str) -> str:
    """Put a space in the place of each character that is not seen."""
    return _HIDDEN.sub(" ", text)


def show_lines(text: str) -> str:
    """Give the lines of a text, with a sign in the place of each character that is not seen."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")

    return "\n".join(_HIDDEN.sub("\ufffd", line).rstrip() for line in lines).strip("\n")


def without_sequences(text: str) -> str:
    """Take out what a terminal takes for an order, such as colours."""
    return _SEQUENCE.sub("", text)


def bare(text: str) -> str:
    """Give what is left of a text for who reads it, once all that is not seen is taken out.

    The end of a line stays one, however it is written.
    """
    if text.isprintable():
        return text

    return "\r".join(_HIDDEN.sub("", part) for part in without_sequences(text).split("\r"))
