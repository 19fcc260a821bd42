"""From what is written under `expect` and `policies` to what the core judges by."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import (
    HTTP_SOURCES,
    ExpectationError,
    Source,
    compile_expectation,
)
from monitor.core.headers.demands import PolicyError, read_policies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.config.settings import ValueSettings
    from monitor.core.expectations import Expectation
    from monitor.core.headers.demands import Demanded

NOTHING: Final[Mapping[Source, str]] = MappingProxyType({})
_LARGEST: Final = 1024 * 1024


def read_text(file: Path) -> str:
    """Read a text file, as far as it may be read."""
    with file.open("rb") as opened:
        return opened.read(_LARGEST + 1).decode()


class Rules:
    """Reads the rules of all endpoints; what is written alike is compiled once, and shared."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._known: dict[tuple[str, str, str], tuple[Expectation, ...]] = {}

    def expectations(
        self,
        raw: Sequence[object],
        at: At,
        *,
        kind: str = "url",
        sources: frozenset[Source] = HTTP_SOURCES,
        untold: Mapping[Source, str] = NOTHING,
        only_headers: bool = False,
    ) -> tuple[Expectation, ...]:
        """Compile a list of expectations on answers to a kind of probe, which tell `sources`.

        Where that is `untold` all the same, it is said why.
        With `only_headers`, those on anything else are refused.
        """
        compiled: list[Expectation] = []
        for index, item in enumerate(raw):
            place = (*at, index)
            try:
                expectations = self._compile(item, place, kind, sources)
            except ExpectationError as error:
                self._findings.complain((*place, *error.path), error.message, key=error.at_key)
                continue

            source = expectations[0].source
            if only_headers and source is not Source.HEADER:
                self._findings.complain(
                    place, f"expected an expectation on a header, found {source}"
                )
            elif source not in sources:
                told = ", ".join(one for one in Source if one in sources)
                self._findings.complain(
                    (*place, str(source)),
                    f"an answer to {kind} has no {source}, expected one of {told}",
                    key=True,
                )
            elif why := untold.get(source):
                self._findings.complain((*place, str(source)), why, key=True)
            compiled += expectations

        return tuple(compiled)

    def value(
        self, settings: ValueSettings, at: At, *, kind: str, sources: frozenset[Source]
    ) -> Expectation | None:
        """Compile what is expected of the value of an answer, of a column or at a JSONPath."""
        raw: dict[str, object]
        if settings.json_path is not None:
            source, raw = Source.JSON, {"json": settings.json_path, **settings.operators}
        elif settings.column is not None:
            below = {"column": settings.column, **settings.operators}
            source, raw = Source.ROWS, {"rows": below}
        else:
            source, raw = Source.VALUE, {"value": settings.operators}

        if source not in sources:
            also = ": say where it stands, as in json: $.queue" if Source.JSON in sources else ""
            self._findings.complain(at, f"an answer to {kind} has no {source}{also}", key=True)
            return None

        try:
            return compile_expectation(raw, str(self._findings.document.position(at)))[0]
        except ExpectationError as error:
            way = error.path[1:] if error.path[:1] in (("value",), ("rows",)) else error.path
            self._findings.complain((*at, *way), error.message, key=error.at_key)
            return None

    def _compile(
        self, item: object, place: At, kind: str, sources: frozenset[Source]
    ) -> tuple[Expectation, ...]:
        at = str(self._findings.document.position(place))
        if self._findings.has_variables(place):  # what they stand for is not seen in its repr
            return self._compile_anew(item, at, place, sources)

        written = (kind, repr(item), self._folder(item, place))
        known = self._known.get(written)
        if known is None:
            known = self._known[written] = self._compile_anew(item, at, place, sources)

        return tuple([replace(one, at=at) for one in known])

    def _compile_anew(
        self, item: object, at: str, place: At, sources: frozenset[Source]
    ) -> tuple[Expectation, ...]:
        def read_file(name: str) -> str:
            return read_text(self._findings.base(place) / name)

        return compile_expectation(item, at, sources=sources, read_file=read_file)

    def _folder(self, item: object, place: At) -> str:
        """Give the folder to which a file that is named is relative; without a file, none."""
        names_file = isinstance(item, dict) and Source.JSON_SCHEMA in item

        return str(self._findings.base(place)) if names_file else ""

    def policies(self, raw: Sequence[object], at: At) -> tuple[Demanded, ...]:
        """Read a list of header policies and bundles."""
        mistakes: list[PolicyError] = []
        demanded = read_policies(raw, mistakes.append)
        for mistake in mistakes:
            place = (*at, *mistake.path)
            self._findings.complain(place, mistake.message, key=mistake.at_key)

        return demanded
