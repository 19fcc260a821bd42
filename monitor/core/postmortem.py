"""Post-mortems: what the records say of an incident as Markdown, and what people have to add.

The headings are those of the runbook's template. What is derived is derived from records alone, and
speaks of systems; the rest is marked as to be written by people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.incidents import CHECK, NewsKind
from monitor.core.markdown import escape, fence, link, table
from monitor.core.model.incident import STORE_CHECK
from monitor.core.model.notice import NoticeEvent
from monitor.core.postmortem_rollback import rollback_lines
from monitor.core.timeline import MONITOR, by_whom

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from monitor.core.model.deploy import Deploy
    from monitor.core.model.incident import Incident, Member, TimelineEntry
    from monitor.core.model.notice import Delivery
    from monitor.core.model.rollback import Rollback, Step
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation

_BEFORE: Final = timedelta(days=1)
_MOST_CHECKS: Final = 200
_TELLS_OF_OPENING: Final = (NoticeEvent.OPENED, NoticeEvent.BLIND, NoticeEvent.ESCALATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that the records have about one incident. `now` is when it is written down."""

    incident: Incident
    timeline: tuple[TimelineEntry, ...]
    deliveries: tuple[Delivery, ...]
    deploys: tuple[Deploy, ...]
    rollbacks: tuple[tuple[Rollback, tuple[Step, ...]], ...]
    directory: Directory
    now: datetime

    @property
    def end(self) -> datetime:
        """When it was over, or now."""
        return self.incident.resolved_at or self.now


def gather(
    incident: Incident,
    timeline: Iterable[TimelineEntry],
    situation: Situation,
    directory: Directory,
    now: datetime,
) -> Case:
    """Put together what is known about an incident."""
    end = incident.resolved_at or now
    rollbacks = [
        one
        for one in situation.rollbacks_of(incident.service)
        if one.incident == incident.id or one.id == incident.rollback_id
    ]

    return Case(
        incident=incident,
        timeline=tuple(timeline),
        deliveries=tuple(
            sorted(
                (
                    one
                    for one in situation.deliveries.values()
                    if one.notice.incident == incident.id
                ),
                key=lambda one: (one.delivered_at or now, one.id),
            )
        ),
        deploys=tuple(
            one
            for one in situation.deploys_of(incident.service)
            if incident.since - _BEFORE <= one.at <= end or one.id == incident.deploy_id
        ),
        rollbacks=tuple((one, tuple(situation.steps_of(one.id))) for one in rollbacks),
        directory=directory,
        now=now,
    )


def write(case: Case) -> str:
    """Write the post-mortem; ends in a line break."""
    parts = (
        _head(case),
        _summary(case),
        _checks(case),
        _timeline(case),
        _root_cause(case),
        _resolution(case),
        _lessons(),
        _links(case),
    )

    return "\n".join(line for part in parts for line in (*part, ""))


def _head(case: Case) -> Iterator[str]:
    incident = case.incident
    title = incident.title or f"{incident.service} {incident.klass}"
    yield f"# Post-Mortem: {incident.since.astimezone(UTC):%Y-%m-%d} {escape(title)}"
    yield ""
    state = "is over" if incident.resolved_at else "**goes on**: this is how it stands"
    yield (
        f"*Derived from the record of the incident, which {state}, on {_clock(case.now)} UTC. "
        "It is about what happened and what would help, and about nobody's fault. "
        "What stands in italics is for people to write.*"
    )


def _summary(case: Case) -> Iterator[str]:
    incident = case.incident
    environment = case.directory.environment
    yield "## Summary"
    yield ""
    yield f"- **Date**: {incident.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    lasted = exact(case.end - incident.since)
    yield f"- **Duration**: {lasted}{'' if incident.resolved_at else ' so far'}"
    yield "- **Impact**: *what users noticed, and how many of them*"
    yield "- **Root Cause**: *in one sentence*"
    yield f"- **Service**: {escape(incident.service)}" + (
        f", {escape(environment)}" if environment else ""
    )
    yield f"- **Severity**: {incident.severity} ({incident.klass})"
    yield f"- **Incident**: {escape(incident.id)}"
    if incident.labels:
        yield f"- **Labels**: {', '.join(map(escape, incident.labels))}"
    first = min(incident.members, key=lambda one: one.since, default=None)
    if first is not None:
        why = wording.reasons_text(first.reasons)
        yield f"- **First seen**: {escape(first.check)}: {escape(why)}"


def _checks(case: Case) -> Iterator[str]:
    members = sorted(case.incident.members, key=lambda one: (one.since, one.check))
    yield "## Contributing Checks"
    yield ""
    if not members:
        yield "No check failed: a person saw it."
        return

    yield from table(
        (
            "Check",
            "Severity",
            "First failing sample",
            "Opened",
            "Told",
            "Recovered",
            "Failed for",
            "Why",
        ),
        (_check_row(member, case) for member in members[:_MOST_CHECKS]),
    )
    if len(members) > _MOST_CHECKS:
        yield ""
        yield f"And {len(members) - _MOST_CHECKS} more."


def _check_row(member: Member, case: Case) -> list[str]:
    told = (one.delivered_at for one in case.deliveries if _names(one, member.check))
    closed = member.closed_at
    recovered = (
        _clock(closed) if closed else "still failing" if not case.incident.open else "not yet"
    )
    name = "the monitor's store" if member.check == STORE_CHECK else member.check

    return [
        escape(name),
        member.severity.value,
        _clock(member.since),
        _clock(_opened_at(member, case)),
        _clock(min((at for at in told if at is not None), default=None)),
        recovered,
        exact((closed or case.end) - member.since),
        escape(wording.reasons_text(member.reasons)),
    ]


def _names(delivery: Delivery, check: str) -> bool:
    return any(member.check == check for member in delivery.notice.members)


def _opened_at(member: Member, case: Case) -> datetime:
    """Say when a check had failed often enough: it joined, or opened the incident."""
    joined = (
        entry.at
        for entry in case.timeline
        if entry.event == NewsKind.JOINED and _is_of(entry, member.check)
    )

    return min(joined, default=case.incident.opened_at)


def _is_of(entry: TimelineEntry, check: str) -> bool:
    """Say whether a line is about a check: the words alone say it in those of older releases."""
    named = dict(entry.details).get(CHECK)

    return named == check if named else entry.text.startswith(f"{check} ")


def _timeline(case: Case) -> Iterator[str]:
    yield "## Timeline"
    yield ""
    yield from table(
        ("Moment", "When", "After the first failing sample"),
        (
            (what, _clock(at), exact(at - case.incident.since))
            for what, at in sorted(
                ((what, at) for what, at in _moments(case) if at is not None),
                key=lambda moment: moment[1],
            )
        ),
    )
    yield ""
    yield "All times are UTC."
    yield ""
    day = case.incident.since.astimezone(UTC).date()
    for entry in case.timeline:
        at = entry.at.astimezone(UTC)
        when = f"{at:%H:%M:%S}" if at.date() == day else f"{at:%Y-%m-%d %H:%M:%S}"
        actor = by_whom(entry.actor, entry.text)
        by = f" ({escape(actor)})" if actor else ""
        yield f"- {when} - {escape(entry.text)}{by}"


def _moments(case: Case) -> Iterator[tuple[str, datetime | None]]:
    incident = case.incident
    yield "First failing sample", incident.since
    yield "Opened", incident.opened_at
    yield "Notices queued", incident.attention.told_at
    for notifier, at in _told(case):
        yield f"Told: {escape(notifier)}", at
    if (taken := incident.acknowledgement) is not None:
        yield f"Acknowledged by {escape(taken.by)}", taken.at
    for rollback, _ in case.rollbacks:
        what = rollback.kind.value.capitalize()
        yield f"{what} begun", rollback.started_at
        yield f"{what} done", rollback.effect_done_at
        if rollback.started_at:
            ended = f"{what} {rollback.state.value.replace('_', ' ')}"
            yield ended, rollback.ended_at
    recovered = [one.closed_at for one in incident.members if one.closed_at is not None]
    if recovered and len(recovered) == len(incident.members):
        yield "Last check recovered", max(recovered)
    yield "Resolved", incident.resolved_at


def _told(case: Case) -> list[tuple[str, datetime]]:
    """Give when each receiver heard of it first."""
    first: dict[str, datetime] = {}
    for one in case.deliveries:
        if one.delivered_at is not None and one.notice.event in _TELLS_OF_OPENING:
            first.setdefault(one.notifier, one.delivered_at)

    return sorted(first.items(), key=lambda pair: (pair[1], pair[0]))


def _root_cause(case: Case) -> Iterator[str]:
    yield "## Root Cause Analysis"
    yield ""
    yield (
        "*Why it happened, and why nothing stopped it before: ask why until the answer is "
        "something that can be changed.*"
    )
    yield ""
    yield "### Deploys"
    yield ""
    if case.deploys:
        yield from table(
            ("Version", "Kind", "State", "When", "Before the first failing sample"),
            (_deploy_row(one, case.incident) for one in case.deploys),
        )
    else:
        yield "No deploy of this service is known in the day before it."
    yield ""
    yield "### Evidence"
    yield ""
    seen = [entry for entry in case.timeline if entry.evidence]
    if not seen:
        yield "None was recorded."
    for entry in seen:
        yield f"{_clock(entry.at)}: {escape(entry.text)}"
        yield ""
        yield from fence(entry.evidence)
        yield ""


def _deploy_row(deploy: Deploy, incident: Incident) -> list[str]:
    at = deploy.finished_at or deploy.at
    live = ", live when it began" if deploy.id == incident.deploy_id else ""
    before = incident.since - at

    return [
        escape(f"{deploy.version}{live}"),
        deploy.kind.value,
        deploy.state.value,
        _clock(at),
        exact(before) if before >= timedelta() else f"{exact(-before)} after it",
    ]


def _resolution(case: Case) -> Iterator[str]:
    over = [entry for entry in case.timeline if entry.event == NewsKind.RESOLVED]
    yield "## Resolution"
    yield ""
    yield escape(over[-1].text) if over else "It goes on."
    yield ""
    yield "*What was done, and what made the difference.*"
    yield ""
    yield "### Rollback"
    yield ""
    if not case.rollbacks:
        yield "Nothing was rolled back."
    for rollback, steps in case.rollbacks:
        yield from rollback_lines(rollback, steps, case.incident)
    yield ""
    yield "### Who Did What"
    yield ""
    acts = [entry for entry in case.timeline if entry.actor != MONITOR]
    if not acts:
        yield "No act of a person is recorded."
        return

    yield from table(
        ("When", "Who", "What"),
        ((_clock(one.at), escape(one.actor), escape(one.text)) for one in acts),
    )


def _lessons() -> Iterator[str]:
    yield from (
        "## Lessons Learned",
        "",
        "1. What went well: *…*",
        "2. What went wrong: *…*",
        "3. Where we got lucky: *…*",
        "",
        "## Action Items",
        "",
        "- [ ] *Owner* - *what, and until when*",
        "- [ ] *Owner* - *what, and until when*",
        "",
        "## Prevention Measures",
        "",
        "*What keeps this from happening again, or makes it shorter.*",
    )


def _links(case: Case) -> Iterator[str]:
    incident, directory = case.incident, case.directory
    links = [link(one.name, one.url) for one in directory.service(incident.service).links]
    if directory.public_url:
        links.append(link("incident", f"{directory.public_url}/incidents/{incident.id}"))
    yield "## Links"
    yield ""
    yield from (f"- {one}" for one in links)
    if not links:
        yield "None is configured for this service."


def exact(value: timedelta) -> str:
    """Write a duration without rounding it to what a sentence needs: `1 h 2 min 3 s`, `4.2 s`."""
    seconds = value / timedelta(seconds=1)
    if seconds < 60:
        return f"{max(seconds, 0):.1f}".removesuffix(".0") + " s"

    whole = round(seconds)
    parts = (
        (whole // 86_400, "d"),
        (whole % 86_400 // 3_600, "h"),
        (whole % 3_600 // 60, "min"),
        (whole % 60, "s"),
    )

    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _clock(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else ""
