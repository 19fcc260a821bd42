"""Whatever the verdicts are: one incident at a time, one end for each, no number twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import InARow, KOfN, Severity, Signal
from monitor.core.model.incident import IncidentClass
from monitor.core.situation import Situation
from monitor.store.codec import decode, encode
from tests.support.watching import Story, make_check, make_directory, make_endpoint, make_story

NOTIFIERS = ("slack", "pager")
PROBES = st.lists(
    st.tuples(st.sampled_from(["api", "page"]), st.sampled_from([200, 500, "cert", "?"])),
    max_size=60,
)


def begin(situation: Situation | None = None) -> Story:
    return make_story(
        make_endpoint(
            make_check(),
            make_check(Signal.CERTIFICATE, opens=InARow(count=1), closes=1, severity=Severity.LOW),
        ),
        make_endpoint(
            make_check(endpoint="page", opens=KOfN(k=2, n=4), closes=1, severity=Severity.CRITICAL),
            name="page",
        ),
        directory=make_directory(notifiers=NOTIFIERS),
        situation=situation,
    )


def tell(probes: list[tuple[str, int | str]]) -> Story:
    story = begin()
    for endpoint, status in probes:
        story.sees(status, endpoint=endpoint)
        names = Counter((one.service, one.klass) for one in story.open)
        assert max(names.values(), default=1) == 1, "two open incidents of one service and class"

    return story


@settings(max_examples=60, deadline=None)
@given(PROBES)
def test_a_service_never_has_two_open_incidents_of_a_class(
    probes: list[tuple[str, int | str]],
) -> None:
    tell(probes)


@settings(max_examples=60, deadline=None)
@given(PROBES)
def test_every_incident_begins_once_and_ends_once_for_every_notifier(
    probes: list[tuple[str, int | str]],
) -> None:
    story = tell(probes)
    told = Counter(
        (one.notice.incident, one.notice.event.value, one.notifier) for one in story.told
    )

    for incident in story.engine.situation.incidents.values():
        for notifier in NOTIFIERS:
            begun = told[incident.id, "opened", notifier] + told[incident.id, "blind", notifier]
            assert begun == 1
            assert told[incident.id, "resolved", notifier] == (not incident.open)


@settings(max_examples=60, deadline=None)
@given(PROBES)
def test_the_turns_of_an_incident_are_numbered_upwards_and_told_under_different_keys(
    probes: list[tuple[str, int | str]],
) -> None:
    story = tell(probes)
    written: dict[str, list[int]] = {}
    for changes in story.said:
        for entry in changes.timeline:
            written.setdefault(entry.incident, []).append(entry.sequence)

    for numbers in written.values():
        assert numbers == list(range(1, len(numbers) + 1))
    assert len({one.key for one in story.told}) == len(story.told)
    for incident in story.engine.situation.incidents.values():
        assert incident.sequence == len(written[incident.id])


@settings(max_examples=60, deadline=None)
@given(PROBES)
def test_an_incident_is_as_bad_as_its_worst_open_check(
    probes: list[tuple[str, int | str]],
) -> None:
    for incident in tell(probes).open:
        open_members = [one for one in incident.members if one.closed_at is None]

        assert open_members
        assert incident.severity.rank == min(one.severity.rank for one in open_members)
        assert incident.since <= incident.opened_at


def restart(story: Story) -> Story:
    """Begin anew with nothing but what was written down."""
    written = Changes.merge(story.said)
    situation = Situation()
    situation.apply(
        Changes(
            states=tuple(decode(type(one), encode(one)) for one in written.states),
            incidents=tuple(decode(type(one), encode(one)) for one in written.incidents),
            timeline=tuple(decode(type(one), encode(one)) for one in written.timeline),
            deliveries=tuple(decode(type(one), encode(one)) for one in written.deliveries),
        )
    )
    later = begin(situation)
    later.seconds = story.seconds
    later.said = list(story.said)

    return later


@settings(max_examples=60, deadline=None)
@given(PROBES, st.integers(min_value=0, max_value=60))
def test_a_restart_changes_nothing_that_anybody_is_told(
    probes: list[tuple[str, int | str]], cut: int
) -> None:
    through, story = tell(probes), begin()
    for endpoint, status in probes[:cut]:
        story.sees(status, endpoint=endpoint)
    story = restart(story)
    for endpoint, status in probes[cut:]:
        story.sees(status, endpoint=endpoint)

    assert story.told == through.told
    assert story.open == through.open


@settings(max_examples=60, deadline=None)
@given(PROBES)
def test_what_is_unknown_neither_opens_nor_closes_anything_of_a_service(
    probes: list[tuple[str, int | str]],
) -> None:
    known = [(endpoint, status) for endpoint, status in probes if status != "?"]

    assert turns(tell(probes)) == turns(tell(known))


def turns(story: Story) -> list[tuple[str, str]]:
    return [
        (one.notice.klass.value, one.notice.event.value)
        for one in story.told
        if one.notice.klass is not IncidentClass.MONITOR
    ]
