"""From what is written under `expect` and `policies` to what the core judges by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.expectations import ExpectationError, Source, compile_expectation
from monitor.core.headers.demands import PolicyError, read_policies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.core.expectations import Expectation
    from monitor.core.headers.demands import Demanded


class Rules:
    """Reads the rules of all endpoints; what is written alike is compiled once, and shared."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._known: dict[str, Expectation] = {}
        self._policies: dict[str, tuple[Demanded, ...]] = {}

    def expectations(
        self, raw: Sequence[object], at: At, *, only_headers: bool = False
    ) -> tuple[Expectation, ...]:
        """Compile a list of expectations; with `only_headers`, others are refused."""
        compiled = []
        for index, item in enumerate(raw):
            place = (*at, index)
            try:
                expectation = self._compile(item, place)
            except ExpectationError as error:
                self._findings.complain((*place, *error.path), error.message, key=error.at_key)
                continue

            if only_headers and expectation.source is not Source.HEADER:
                self._findings.complain(
                    place, f"expected an expectation on a header, found {expectation.source}"
                )
            compiled.append(expectation)

        return tuple(compiled)

    def _compile(self, item: object, place: At) -> Expectation:
        at = str(self._findings.document.position(place))
        if self._findings.has_variables(place):  # what they stand for is not seen in its repr
            return compile_expectation(item, at)

        written = repr(item)
        known = self._known.get(written)
        if known is None:
            known = self._known[written] = compile_expectation(item, at)

        return known.moved(at)

    def policies(self, raw: Sequence[object], at: At) -> tuple[Demanded, ...]:
        """Read a list of header policies and bundles."""
        varied = self._findings.has_variables(at)  # what they stand for is not seen in the repr
        written = repr(raw)
        known = self._policies.get(written)
        if known is not None and not varied:
            return known

        mistakes: list[PolicyError] = []
        demanded = read_policies(raw, mistakes.append)
        for mistake in mistakes:
            place = (*at, *mistake.path)
            self._findings.complain(place, mistake.message, key=mistake.at_key)
        if not mistakes and not varied:
            self._policies[written] = demanded

        return demanded
