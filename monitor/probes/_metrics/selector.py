"""Which samples of a page are meant: the name of a metric and what its labels have to be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import re2

from monitor.core.expectations.regex import compile_pattern, search
from monitor.options import found

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*")
_MATCHER: Final = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*
        (?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t"}
_LONGEST: Final = 10_000
_EXAMPLE: Final = """expected the name of a series such as http_requests_total{code="500"}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """What one label has to be; a label that is not there is empty, as in PromQL."""

    label: str
    wanted: str
    negated: bool = False
    pattern: Any = field(default=None, compare=False, repr=False)

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a sample with these labels is meant."""
        value = labels.get(self.label, "")
        met = value == self.wanted if self.pattern is None else search(self.pattern, value)

        return met is not self.negated


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """The series that are meant, and how that was written."""

    name: str
    matchers: tuple[Matcher, ...]
    text: str

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a sample of this name and with these labels is meant."""
        return all(matcher.accepts(labels) for matcher in self.matchers)

    def __str__(self) -> str:
        return self.text


def read_selector(value: object) -> Selector:
    """Read a selector as PromQL has it: `up`, `http_requests_total{code=~"5..", job!="old"}`.

    Raises ValueError.
    """
    if isinstance(value, Selector):
        return value
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(f"{_EXAMPLE}, found {found(value)}")

    name = _NAME.match(value)
    if name is None:
        raise ValueError(f"{_EXAMPLE}, found {found(value)}")

    rest = value[name.end() :]
    if not rest:
        return Selector(name=name[1], matchers=(), text=value.strip())
    if rest[:1] == "{" and rest.rstrip()[-1:] == "}":
        inside = rest.rstrip()[1:-1]
        return Selector(name=name[1], matchers=_read_matchers(inside), text=value.strip())

    hint = ""
    if rest[:1] in "([" or any(sign in rest for sign in "+-*/"):
        hint = ": a page has no PromQL, that is asked of a Prometheus with query"
    raise ValueError(f"{_EXAMPLE}, found {found(value)}{hint}")


def _read_matchers(text: str) -> tuple[Matcher, ...]:
    matchers: list[Matcher] = []
    place = 0
    while place < len(text) and text[place:].strip():
        one = _MATCHER.match(text, place)
        if one is None:
            wanted = 'expected labels such as code="500", method!="GET"'
            raise ValueError(f"{wanted}, found {found(text[place:].strip())}")
        matchers.append(_matcher(one))
        place = one.end()
        if place < len(text):
            if text[place] != ",":
                raise ValueError(f"expected a comma before {found(text[place:])}")
            place += 1

    return tuple(matchers)


def _matcher(one: re.Match[str]) -> Matcher:
    label, sign = one[1], one[2]
    wanted = _ESCAPE.sub(
        lambda escape: _ESCAPES.get(escape[1], escape[1]), one[3] if one[3] is not None else one[4]
    )
    pattern = None
    if sign.endswith("~"):
        try:
            pattern = compile_pattern(rf"\A(?:{wanted})\z")
        except re2.error as error:
            said = error.args[0]
            why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            raise ValueError(f"{label}: the pattern {found(wanted)} is wrong: {why}") from error

    return Matcher(label=label, wanted=wanted, negated=sign.startswith("!"), pattern=pattern)
