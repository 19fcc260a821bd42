"""Evidence: which commands are wanted for which incidents, and what is kept of what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.core.evidence import FRESH, KEPT, Seen, clean, evidence_of, find_wanted, keep
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import Incident, IncidentClass, IncidentPhase

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NAMES = {"shop": ("logs", "disk")}


def make_incident(id: str = "shop-1", service: str = "shop") -> Incident:
    return Incident(
        id=id,
        service=service,
        klass=IncidentClass.OUTAGE,
        severity=Severity.HIGH,
        phase=IncidentPhase.INVESTIGATING,
        since=NOON,
        opened_at=NOON,
        members=(),
        sequence=1,
    )


def test_each_command_is_wanted_until_it_has_a_line() -> None:
    incident = make_incident()
    assert find_wanted([incident], {}, NAMES, NOON) == [(incident, "logs"), (incident, "disk")]

    step = keep(incident, Seen(name="logs", ending="exit 0", exit_code=0, said="x"), NOON)
    after = step.changes.incidents[0]
    lines = {incident.id: list(step.changes.timeline)}

    assert find_wanted([after], lines, NAMES, NOON) == [(after, "disk")]


@pytest.mark.parametrize(
    ("incident", "late"),
    [
        (make_incident(service="other"), timedelta()),
        (replace(make_incident(), klass=IncidentClass.MONITOR), timedelta()),
        (make_incident(), FRESH + timedelta(seconds=1)),
    ],
    ids=["of another service", "of the monitor itself", "that opened long ago"],
)
def test_an_incident_has_no_evidence(incident: Incident, late: timedelta) -> None:
    assert find_wanted([incident], {}, NAMES, NOON + late) == []


def test_what_was_said_is_a_line_of_the_timeline_of_which_nobody_is_told_alone() -> None:
    seen = Seen(name="logs", ending="exit 3", exit_code=3, said="one\r\ntwo\n")
    step = keep(make_incident(), seen, NOON)

    [entry] = step.changes.timeline
    assert step.news == ()
    assert (entry.sequence, entry.actor, entry.event) == (2, "monitor", "evidence")
    assert (entry.text, entry.evidence) == ("evidence logs: exit 3", "one\ntwo")
    assert entry.details == (("name", "logs"), ("exit_code", "3"))
    assert step.changes.incidents[0].sequence == 2


def test_of_much_the_end_is_kept_and_of_that_a_notice_shows_the_end() -> None:
    said = "\n".join(f"line {number}" for number in range(5_000))
    step = keep(make_incident(), Seen(name="logs", ending="exit 0", exit_code=0, said=said), NOON)
    silent = keep(make_incident(), Seen(name="disk", ending="not collected"), NOON)

    [entry] = step.changes.timeline
    assert len(entry.evidence) == KEPT
    assert entry.text == "evidence logs: exit 0, the end of what it said"
    (name, told), (_, nothing) = evidence_of([entry, *silent.changes.timeline])
    assert name == "logs"
    assert told.endswith("line 4999")
    assert len(told) <= 1_400
    assert nothing == "evidence disk: not collected"


def test_what_acts_on_a_terminal_is_taken_out() -> None:
    said = "\x1b[31mred\x1b[0m \x1b]0;title\x07 a\tb \x00 \u202egnal\rover\x1b"

    assert clean(said) == "red  a  b \ufffd \ufffdgnal\nover"
