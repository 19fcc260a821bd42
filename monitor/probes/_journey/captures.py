"""What is captured of an answer: from where, and what is found there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import re2
from pydantic import AfterValidator, Field, model_validator

from monitor.core.expectations.html_body import (
    SelectorError,
    compile_selector,
    select_elements,
)
from monitor.core.expectations.json_body import BodyError, PathError, compile_path, select
from monitor.core.expectations.shown import plain, quote
from monitor.fields import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yarl import URL

    from monitor.core.expectations import Evidence
    from monitor.probes._http.cookies import Jar
    from monitor.probes._journey.templates import Scalar

LONGEST: Final = 64 * 1024
"""Characters of a captured value; a token or a signed assertion is shorter."""

_SOURCES: Final = ("json", "header", "html", "cookie", "body")
_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class NothingCaptured(Exception):
    """An answer without what should be captured of it, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer, the URL at which it was given, and the cookies that are known by then."""

    evidence: Evidence
    url: URL
    jar: Jar


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A value and the URL of the answer in which it was found."""

    value: Scalar
    url: URL


def _read_path(text: str) -> str:
    try:
        compile_path(text)
    except PathError as error:
        raise ValueError(f"the JSONPath {quote(text)} cannot be read: {error}") from error

    return text


def _read_selector(text: str) -> str:
    try:
        compile_selector(text)
    except SelectorError as error:
        raise ValueError(f"the CSS selector {quote(text)} cannot be read") from error

    return text


def _read_name(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(f"expected a name, found {quote(text)}")

    return text


def _read_pattern(text: str) -> str:
    try:
        groups = _compile(text).groups
    except re2.error as error:
        said = error.args[0]
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"the pattern {quote(text)} is wrong: {why}") from error
    if groups != 1:
        raise ValueError(f"expected one group ( ) around what is captured, found {groups}")

    return text


class Capture(Options):
    """Where a value is found: exactly one of `json`, `header`, `html`, `cookie` and `body`.

    `html` gives the text of the element, or one of its attributes; `body` is a pattern of RE2 with
    one group.
    """

    json_path: Annotated[str, AfterValidator(_read_path)] | None = Field(default=None, alias="json")
    header: Annotated[str, AfterValidator(_read_name)] | None = None
    html: Annotated[str, AfterValidator(_read_selector)] | None = None
    attribute: Annotated[str, AfterValidator(_read_name)] | None = None
    cookie: Annotated[str, AfterValidator(_read_name)] | None = None
    body: Annotated[str, AfterValidator(_read_pattern)] | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        given = [name for name, value in zip(_SOURCES, self._places(), strict=True) if value]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"expected exactly one of {', '.join(_SOURCES)}, found {found}")
        if self.attribute is not None and self.html is None:
            raise ValueError("attribute is of an element: expected html beside it")

        return self

    def find(self, answered: Answered) -> Captured:
        """Give what is captured; raises NothingCaptured."""
        try:
            found = list(dict.fromkeys(self._candidates(answered)))
        except BodyError as error:
            raise NothingCaptured(f"its body {error}") from error
        except PathError as error:
            raise NothingCaptured(f"{self} {error}") from error

        if not found:
            raise NothingCaptured(f"the answer has no {self}{self._advice(answered)}")
        if len(found) > 1:
            raise NothingCaptured(f"the answer has {len(found)} different values of {self}")

        return Captured(value=_checked(found[0], str(self)), url=answered.url)

    def _places(self) -> tuple[str | None, ...]:
        return self.json_path, self.header, self.html, self.cookie, self.body

    def _candidates(self, answered: Answered) -> Sequence[Any]:
        """Give all that is found. Any: what JSON holds is checked afterwards."""
        evidence = answered.evidence
        if self.json_path is not None:
            nodes = select(compile_path(self.json_path), evidence.json())
            return [_hashable(node.value) for node in nodes]
        if self.header is not None:
            return evidence.observation.header(self.header)
        if self.html is not None:
            return self._elements(evidence)
        if self.cookie is not None:
            return _cookies(answered, self.cookie)

        assert self.body is not None
        found = _compile(self.body).search(evidence.text.encode(errors="replace"))
        group = found.group(1) if found else None

        return [] if group is None else [group.decode(errors="replace")]

    def _elements(self, evidence: Evidence) -> list[str]:
        assert self.html is not None
        selector, page = compile_selector(self.html), evidence.html()
        texts = [str(node.value) for node in select_elements(selector, page)]
        if self.attribute is None:
            return texts

        values = (element.attributes.get(self.attribute) for element in page.css(selector))

        return [value for value in values if value is not None]

    def _advice(self, answered: Answered) -> str:
        followed = len(answered.evidence.observation.redirects)
        if self.header is None or not followed:
            return ""

        return f" after {followed} redirect{'s' if followed > 1 else ''} (follow_redirects: false)"

    def __str__(self) -> str:
        name, place = next(
            (name, place)
            for name, place in zip(_SOURCES, self._places(), strict=True)
            if place is not None
        )
        of = f" with the attribute {self.attribute}" if self.attribute else ""

        return f"{name} {plain(place)}{of}"


def _hashable(value: object) -> object:
    return type(value) if isinstance(value, dict | list) else value


def _cookies(answered: Answered, name: str) -> list[str]:
    pairs = (pair.partition("=") for pair in answered.jar.header_for(answered.url).split("; "))

    return [value for key, _, value in pairs if key == name][:1]


def _checked(value: object, what: str) -> Scalar:
    match value:
        case bool() | int() | float():
            return value
        case str() if value.strip():
            return _checked_text(value, what)
        case str():
            raise NothingCaptured(f"{what} is empty")
        case None:
            raise NothingCaptured(f"{what} is null")
        case _:
            kind = "an object" if value is dict else "an array"
            raise NothingCaptured(f"{what} is {kind}, expected one value")


def _checked_text(value: str, what: str) -> str:
    if len(value) > LONGEST:
        size = f"{len(value)} characters, expected at most {LONGEST}"
        raise NothingCaptured(f"{what} has {size}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise NothingCaptured(f"{what} is no valid text") from error

    return value


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False

    return re2.compile(pattern, options)
