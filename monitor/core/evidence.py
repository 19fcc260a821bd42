"""Evidence: what commands said that ran when an incident opened, and which still have to run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.incidents import IncidentStep
from monitor.core.model.changes import Changes
from monitor.core.model.incident import IncidentClass
from monitor.core.timeline import MONITOR, record
from monitor.unseen import show_lines, without_sequences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from monitor.core.model.incident import Incident, TimelineEntry

EVIDENCE: Final = "evidence"
"""The timeline's name of what a command said."""

KEPT: Final = 16 * 1024
"""How much of what a command said is kept, in characters: its end."""

FRESH: Final = timedelta(minutes=10)
"""For how long after an incident opened it still says something about that."""

_TOLD: Final = 1_400
_NAME: Final = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of one command: how it ended in a few words, and what it said, masked already.

    `exit_code` is None where it did not end by itself.
    """

    name: str
    ending: str
    exit_code: int | None = None
    said: str = ""


def find_wanted(
    incidents: Iterable[Incident],
    timelines: Mapping[str, Sequence[TimelineEntry]],
    names: Mapping[str, Sequence[str]],
    now: datetime,
) -> list[tuple[Incident, str]]:
    """Give which commands are to be run for which incidents; `names` is by service.

    One that opened long ago gets none any more: what is seen now is not what was.
    """
    return [
        (incident, name)
        for incident in incidents
        if incident.service in names
        and incident.klass is not IncidentClass.MONITOR
        and now - incident.opened_at <= FRESH
        for name in _missing(names[incident.service], timelines.get(incident.id, ()))
    ]


def keep(incident: Incident, seen: Seen, now: datetime) -> IncidentStep:
    """Write what a command said into the timeline of its incident; nobody is told of that alone."""
    said = clean(seen.said)
    text = f"evidence {seen.name}: {seen.ending}"
    if len(said) > KEPT:
        said = said[-KEPT:]
        text += ", the end of what it said"
    code = () if seen.exit_code is None else (("exit_code", str(seen.exit_code)),)
    incident, entry = record(
        incident, now, MONITOR, EVIDENCE, text, details=((_NAME, seen.name), *code), evidence=said
    )

    return IncidentStep(changes=Changes(incidents=(incident,), timeline=(entry,)))


def evidence_of(timeline: Sequence[TimelineEntry]) -> tuple[tuple[str, str], ...]:
    """Give what a notice shows of it: of each command the end of what it said."""
    return tuple(
        (dict(entry.details).get(_NAME, ""), entry.evidence[-_TOLD:] or entry.text)
        for entry in timeline
        if entry.event == EVIDENCE
    )


def clean(said: str) -> str:
    """Take out of what a command said whatever is not seen, or acts on a terminal."""
    return show_lines(without_sequences(said))


def _missing(names: Sequence[str], timeline: Sequence[TimelineEntry]) -> list[str]:
    have = {dict(entry.details).get(_NAME) for entry in timeline if entry.event == EVIDENCE}

    return [name for name in names if name not in have]
