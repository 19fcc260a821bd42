"""Texts of others inside Markdown: shown as they are, whatever they would like to be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST: Final = 600
_MOST_LINES: Final = 200
_LONGEST_LINE: Final = 500
_JOINER: Final = "\u2060"
"""Shown as nothing; a name or a number behind it is no mention and no reference any more."""

_ESCAPED: Final = {
    **{ord(sign): f"\\{sign}" for sign in "\\`*_[]{}|~$"},
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord("&"): "&amp;",
    ord("@"): f"@{_JOINER}",
    ord("#"): f"\\#{_JOINER}",
}
_AUTOLINK: Final = re.compile(r"://|\bwww\.", re.IGNORECASE)


def escape(text: str, longest: int = _LONGEST) -> str:
    """Write a text on one line so that it is no heading, link, image, table cell or mention."""
    line = " ".join(_printable(text).split())
    if len(line) > longest:
        line = line[: longest - 1] + "…"

    return _AUTOLINK.sub(_broken, line.translate(_ESCAPED))


def link(name: str, url: str) -> str:
    """Write a link of our own configuration; what is no plain URL is shown and leads nowhere."""
    if not url.startswith(("https://", "http://")) or re.search(r"[\s<>\\]", url):
        return f"{escape(name)}: {escape(url)}"

    return f"[{escape(name)}](<{url}>)"


def fence(text: str) -> list[str]:
    """Write a text of several lines as a block that it cannot end."""
    lines = [_printable(line)[:_LONGEST_LINE] for line in text.splitlines()]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"… and {len(lines) - _MOST_LINES} more lines"]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    border = "`" * max(3, longest + 1)

    return [f"{border}text", *lines, border]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table of cells that are escaped already."""
    lines = (titles, ["---"] * len(titles), *rows)

    return [f"| {' | '.join(cells)} |" for cells in lines]


def _printable(text: str) -> str:
    """Leave out what is not to be seen, and so would only change how the rest is read."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _broken(found: re.Match[str]) -> str:
    """Break what some readers make a link of by themselves."""
    return ":\\//" if found[0] == "://" else f"{found[0][:-1]}\\."
