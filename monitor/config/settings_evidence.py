"""The settings of evidence: what is run when an incident opens, under which name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.config.section import Section
from monitor.config.settings_fields import Line
from monitor.core.expectations.shown import plain
from monitor.runner.evidence import EvidenceCommand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.config.document import At
    from monitor.config.findings import Findings

_MOST: Final = 10
_LONGEST_NAME: Final = 60


class EvidenceSettings(Section):
    """One command, and what people call what it says."""

    name: Line
    command: EvidenceCommand


def read_evidence(findings: Findings, data: Sequence[object], at: At) -> dict[str, EvidenceCommand]:
    """Read the evidence of a service; each by its name."""
    if len(data) > _MOST:
        findings.complain(at, f"expected at most {_MOST} commands, found {len(data)}")
    known: dict[str, EvidenceCommand] = {}
    for index, item in enumerate(data):
        place = (*at, index)
        read = findings.read(EvidenceSettings, item, place)
        if read is None:
            continue
        if len(read.name) > _LONGEST_NAME:
            findings.complain((*place, "name"), f"expected at most {_LONGEST_NAME} characters")
        if read.name in known:
            findings.complain((*place, "name"), f"two are named {plain(read.name)}")
        known[read.name] = read.command

    return known
