"""Text for Slack that is shown as it is, and the blocks that hold it."""

from __future__ import annotations

import re
from typing import Any, Final

from monitor.unseen import blank, show_lines

ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKS: Final = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "\u02cb"})
_ITALIC: Final = re.compile(r"(?<![^\W_])_(?=\S)|_(?![^\W_])")
_CALL: Final = re.compile(r"@(?=channel|here|everyone)", re.IGNORECASE)
_CUT_ENTITY: Final = re.compile(r"&[a-z]{0,3}$")
_PERSON: Final = re.compile(r"<?@?([UW][A-Z0-9]{5,20})>?")


def plain(text: str, longest: int) -> str:
    """Write any text so that it is shown as it is: it calls nobody, links and formats nothing.

    Marks that Slack would take for formatting become letters that look like them; it is cut to
    `longest` characters as Slack counts them.
    """
    shown = " ".join(blank(text[: 4 * longest]).split()).translate(_MARKS)
    shown = _ITALIC.sub("\uff3f", shown)

    return _cut(_CALL.sub("@\u200b", shown).translate(ENTITIES), longest)


def code(text: str, longest: int) -> str:
    """Write lines as a block of code, which they cannot end, of at most `longest` characters."""
    shown = show_lines(text[: 4 * longest]).replace("`", "\u02cb")
    shown = _CALL.sub("@\u200b", shown).translate(ENTITIES)

    return f"```\n{_cut(shown, longest - 8) or ' '}\n```"


def find_person(name: str) -> str | None:
    """Give the id of a member where a name is one: `U024BE7LH`, `@U024BE7LH`, `<@U024BE7LH>`."""
    found = _PERSON.fullmatch(name.strip())

    return found[1] if found else None


def section(id: str, text: str) -> dict[str, Any]:
    """Give a block of text."""
    return {"type": "section", "block_id": id, "text": mrkdwn(text)}


def mrkdwn(text: str) -> dict[str, Any]:
    """Give text with Slack's marks in it."""
    # verbatim: names of channels and people in it stay text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _cut(shown: str, longest: int) -> str:
    if len(shown) <= longest:
        return shown

    return _CUT_ENTITY.sub("", shown[: longest - 1]) + "…"
