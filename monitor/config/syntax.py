"""Says in plain words what breaks YAML itself: where, what was found, what was wanted."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from yaml.error import MarkedYAMLError

Spot = tuple[int, int]
"""Line and column, from 0, as YAML counts them."""

QUOTE_VARIABLE: Final = (
    'a variable inside {…} or […] has to be quoted, as in "${NAME}": { begins a mapping in YAML'
)
QUOTE_HASH: Final = (
    'found no value, for " #" begins a comment: quote a value that starts with #, as in "#on-call"'
)
QUOTE_STAR: Final = '* begins an alias in YAML: quote the value if it is text, as in "*.example"'
QUOTE_AMPERSAND: Final = "& begins an anchor in YAML: quote the value if it is text"
QUOTE_EXCLAMATION: Final = "! begins a tag in YAML: quote the value if it is text"

ESCAPE: Final = 'found an unknown escape in "…": write \\\\ for a backslash, or use single quotes'
_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
# The closing quote is optional: a quote that is never closed goes to the end, in one step.
_QUOTED: Final = r"\"(?:\\.|[^\"\\])*\"?|'(?:''|[^'])*'?"
_TRAPS: Final = re.compile(
    rf"(?s:{_QUOTED})"
    r"|(?P<variable>\$\{)"
    r"|(?<=\s)(?P<hash>\#\S[^\n\]},]*)[\]},]"  # it swallows what closes or goes on
    r"|\#[^\n]*"
)
_RESERVED: Final = "@`%"


class About(StrEnum):
    """What is in doubt: the value being read, the `{…}` or `[…]` around it, or all structure."""

    VALUE = "value"
    FLOW = "flow"
    STRUCTURE = "structure"


class Broken(NamedTuple):
    """What is wrong with the syntax, and the spot of it."""

    spot: Spot
    message: str
    about: About


class Lines:
    """The lines of a text, split as YAML splits them, and only when something is wrong."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: list[str] | None = None

    def __getitem__(self, number: int) -> str:
        if self._lines is None:
            self._lines = _BREAK.split(self._text)

        return self._lines[number] if number < len(self._lines) else ""

    def char(self, spot: Spot) -> str:
        """Give the character at a spot; nothing at the end of a line."""
        line, column = spot

        return self[line][column : column + 1]

    def between(self, start: Spot, end: Spot) -> str:
        """Give the text from one spot up to another, lines joined by newlines."""
        lines = [self[number] for number in range(start[0], end[0] + 1)]
        lines[-1] = lines[-1][: end[1] + 1]
        lines[0] = lines[0][start[1] :]

        return "\n".join(lines)


def swallowed_by_comment(lines: Lines, spot: Spot) -> Spot | None:
    """Give the spot of a `#word` after an empty value, which people write for a channel."""
    comment = re.compile(r"\s+(?=#\S)").match(lines[spot[0]], spot[1])

    return (spot[0], comment.end()) if comment else None


def explain(error: MarkedYAMLError, lines: Lines, flow: Spot | None) -> Broken:
    """Translate an error of the YAML parser; `flow` is where an open `{` or `[` stands."""
    mark, context_mark = error.problem_mark, error.context_mark
    spot = (mark.line, mark.column) if mark is not None else (0, 0)
    start = (context_mark.line, context_mark.column) if context_mark is not None else spot
    problem, context = str(error.problem or ""), str(error.context or "")

    return (
        _tab(lines, spot)
        or _in_value(problem, context, start, spot, lines)
        or (_trap_in_flow(lines, flow, spot) if flow is not None else None)
        or _in_structure(problem, context, start, spot, lines)
        or _structure(spot, f"this is not YAML: {problem.replace('<', '').replace('>', '')}")
    )


def _tab(lines: Lines, spot: Spot) -> Broken | None:
    indent = re.match(r" *\t", lines[spot[0]])
    if indent is None or indent.end() - 1 > spot[1]:
        return None

    message = "found a tab in the indentation: YAML indents with spaces"

    return _structure((spot[0], indent.end() - 1), message)


def _trap_in_flow(lines: Lines, flow: Spot, spot: Spot) -> Broken | None:
    text = lines.between(flow, spot)
    for trap in _TRAPS.finditer(text):
        if trap.lastgroup is None:
            continue

        before = text[: trap.start()]
        line = flow[0] + before.count("\n")
        column = len(before) - before.rfind("\n") - 1 + (flow[1] if line == flow[0] else 0)

        return Broken(
            (line, column),
            QUOTE_VARIABLE if trap.lastgroup == "variable" else QUOTE_HASH,
            About.FLOW,
        )

    return None


def _in_value(problem: str, context: str, start: Spot, spot: Spot, lines: Lines) -> Broken | None:
    char = lines.char(spot)
    if "cannot start any token" in problem and char in _RESERVED:
        return Broken(spot, f"a value cannot start with {char}: quote it", About.VALUE)
    if "quoted scalar" in context or "double-quoted" in context:
        if "escape" in problem or "hex" in problem:
            return Broken(spot, ESCAPE, About.VALUE)
        return Broken(start, "this quote is never closed", About.VALUE)
    if "an alias" in context:
        return Broken(start, QUOTE_STAR, About.VALUE)
    if "an anchor" in context:
        return Broken(start, QUOTE_AMPERSAND, About.VALUE)
    if "a tag" in context or "tag handle" in problem:
        return Broken(start, QUOTE_EXCLAMATION, About.VALUE)
    if "block scalar" in context:
        message = "expected nothing after | or > but the text on the next lines"
        return Broken(spot, message, About.VALUE)

    return None


def _in_structure(
    problem: str, context: str, start: Spot, spot: Spot, lines: Lines
) -> Broken | None:
    if "mapping values are not allowed" in problem:
        return _structure(
            spot, 'found a second ": ": quote the value if it is text, or check the indentation'
        )
    if "sequence entries are not allowed" in problem:
        return _structure(spot, 'found "- " after a key: put the list on its own lines, or use […]')
    if "simple key" in context:
        return _structure(start, 'expected "key: value", found text without ": "')
    if "flow" in context and "expected" in problem:
        return _in_flow(context, start, spot, lines)
    if "document start" in problem:
        return _structure(spot, "expected the end of the file, found more text")
    if "node content" in problem:
        return _structure(spot, f"expected a value, {_found(lines, spot)}")
    if lines[spot[0]][: spot[1]].strip() and "block" in context:
        return _structure(spot, "found more text after the value: quote all of it")
    if "'-' indicator" in problem or "block sequence" in context or "collection" in context:
        return _structure(spot, _misaligned('an item "- …"', start, spot, lines))
    if "block mapping" in context:
        return _structure(spot, _misaligned('"key: value"', start, spot, lines))
    if "incompatible YAML" in problem:
        return _structure(spot, "expected no %YAML line, or version 1.1 or 1.2")

    return None


def _in_flow(context: str, start: Spot, spot: Spot, lines: Lines) -> Broken:
    if "node" in context:
        return _structure(spot, f"expected a value inside {{…}} or […], {_found(lines, spot)}")

    opened, closed = ("{", "}") if "mapping" in context else ("[", "]")
    return _structure(
        spot,
        f'expected "," or "{closed}" to close the "{opened}" of line {start[0] + 1}, '
        f"{_found(lines, spot)}",
    )


def _structure(spot: Spot, message: str) -> Broken:
    return Broken(spot, message, About.STRUCTURE)


def _misaligned(wanted: str, start: Spot, spot: Spot, lines: Lines) -> str:
    message = f"expected {wanted} in column {start[1] + 1} as on line {start[0] + 1}, "
    if spot[1] != start[1]:
        return f"{message}found text in column {spot[1] + 1}: check the indentation"

    return message + _found(lines, spot)


def _found(lines: Lines, spot: Spot) -> str:
    char = lines.char(spot)
    if not char:
        return "found the end of the line" if lines[spot[0]] else "found nothing more"

    return f"found {char}" if not char.isalnum() else "found other text"
