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


def read_expectations(
    findings: Findings, raw: Sequence[object], at: At, *, only_headers: bool = False
) -> tuple[Expectation, ...]:
    """Compile a list of expectations; with `only_headers`, those on anything else are refused."""
    compiled = []
    for index, item in enumerate(raw):
        place = (*at, index)
        try:
            expectation = compile_expectation(item, str(findings.document.position(place)))
        except ExpectationError as error:
            findings.complain((*place, *error.path), error.message, key=error.at_key)
            continue

        if only_headers and expectation.source is not Source.HEADER:
            findings.complain(
                place, f"expected an expectation on a header, found {expectation.source}"
            )
        compiled.append(expectation)

    return tuple(compiled)


def read_policies(findings: Findings, names: Sequence[str], at: At) -> tuple[Policy, ...]:
    """Give the header policies of these names."""
    policies: list[Policy] = []
    for index, name in enumerate(names):
        if name not in _POLICIES:
            meant = suggest(name, Policy) or f", expected one of {', '.join(Policy)}"
            findings.complain((*at, index), f"unknown policy {plain(name)}{meant}")
        elif Policy(name) in policies:
            findings.complain((*at, index), f"{name} is named twice")
        else:
            policies.append(Policy(name))

    return tuple(policies)
