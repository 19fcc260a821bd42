"""Whatever the verdicts are: one incident at a time, one end for each, no number twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.endpoint import InARow, KOfN, Severity, Signal
from tests.support.watching import Story, make_check, make_directory, make_endpoint, make_story

NOTIFIERS = ("slack", "pager")
PROBES = st.lists(
    st.tuples(st.sampled_from(["api", "page"]), st.sampled_from([200, 500, "cert", "?"])),
    max_size=60,
)


def tell(probes: list[tuple[str, int | str]]) -> Story:
    story = make_story(
        make_endpoint(
            make_check(),
            make_check(Signal.CERTIFICATE, opens=InARow(count=1), closes=1, severity=Severity.LOW),
        ),
        make_endpoint(
            make_check(endpoint="page", opens=KOfN(k=2, n=4), closes=1, severity=Severity.CRITICAL),
            name="page",
        ),
        directory=make_directory(notifiers=NOTIFIERS),
    )
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
