"""From what is written under `expect` and `policies` to what the core judges by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.config.suggest import suggest
from monitor.core.expectations import ExpectationError, Source, compile_expectation
from monitor.core.expectations.shown import plain
from monitor.core.headers import Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.core.expectations import Expectation

_POLICIES: Final = frozenset(Policy)


class Rules:
    """Reads the rules of all endpoints; what is written alike is compiled once, and shared."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._known: dict[str, Expectation] = {}
        self._policies: dict[tuple[str, ...], tuple[Policy, ...]] = {}

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

    def policies(self, names: Sequence[str], at: At) -> tuple[Policy, ...]:
        """Give the header policies of these names."""
        written = tuple(names)
        if known := self._policies.get(written):
            return known

        policies: list[Policy] = []
        for index, name in enumerate(names):
            if name not in _POLICIES:
                meant = suggest(name, Policy) or f", expected one of {', '.join(Policy)}"
                self._findings.complain((*at, index), f"unknown policy {plain(name)}{meant}")
            elif Policy(name) in policies:
                self._findings.complain((*at, index), f"{name} is named twice")
            else:
                policies.append(Policy(name))

        if len(policies) == len(written):
            self._policies[written] = tuple(policies)

        return tuple(policies)
