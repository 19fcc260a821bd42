"""Which turns are told, to whom, and what a notice carries."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core import alerting, incidents, timeline
from monitor.core.model.changes import Changes
from monitor.core.model.check_state import Change, CheckEvent, CheckState
from monitor.core.model.deploy import Deploy, DeployKind, DeployState
from monitor.core.model.endpoint import Severity, Signal
from monitor.core.model.incident import IncidentClass, IncidentPhase
from monitor.core.model.notice import Contact, Link, NoticeEvent
from monitor.core.model.observation import Code
from monitor.core.model.rollback import Blocked, Mode, Rollback, RollbackState
from monitor.core.model.service import Service
from monitor.core.model.verdict import Outcome
from monitor.core.situation import Situation
from tests.support.rolling import make_policy
from tests.support.watching import at, make_check, make_directory, make_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.incidents import IncidentStep
    from monitor.core.model.endpoint import Check
    from monitor.core.model.notice import Delivery
    from monitor.core.model.service import Directory

HEALTH = make_check()
LATENCY = make_check(Signal.LATENCY, severity=Severity.MEDIUM)
PAGE = make_check(endpoint="page", severity=Severity.CRITICAL)
OTHER = make_check(endpoint="other", severity=Severity.MEDIUM)
CHECKS = {check.id: check for check in (HEALTH, LATENCY, PAGE, OTHER)}
OPENED, CLOSED = Change.OPENED, Change.CLOSED
BLIND, SEES = Change.WENT_BLIND, Change.SEES_AGAIN


class Desk:
    """Files events and plans what is told of them."""

    def __init__(
        self, directory: Directory | None = None, checks: Mapping[str, Check] = CHECKS
    ) -> None:
        self.checks = checks
        self.situation = Situation()
        self.directory = directory or make_directory()
        self.seconds = 0.0

    def file(
        self,
        *happened: tuple[Change, str],
        code: Code = Code.STATUS,
        message: str = "status is 500, expected 2xx",
    ) -> tuple[Delivery, ...]:
        self.seconds += 60
        events = [
            CheckEvent(
                change=change,
                check=check,
                at=at(self.seconds),
                since=at(self.seconds - 60),
                failures=3,
                reasons=(replace(make_reason(message), code=code),),
            )
            for change, check in happened
        ]

        return self.take(incidents.apply(events, self.checks, self.situation, at(self.seconds)))

    def take(self, step: IncidentStep) -> tuple[Delivery, ...]:
        self.situation.apply(step.changes)

        planned = alerting.plan(step, self.directory, self.situation, at(self.seconds))
        self.situation.apply(planned)

        return planned.deliveries


@pytest.fixture
def desk() -> Desk:
    return Desk()


def events(deliveries: tuple[Delivery, ...]) -> list[NoticeEvent]:
    return [delivery.notice.event for delivery in deliveries]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        pytest.param([], [(OPENED, HEALTH.id)], ["opened"], id="an opening is told"),
        pytest.param(
            [],
            [(OPENED, HEALTH.id), (OPENED, PAGE.id)],
            ["opened"],
            id="what opens in one probe is one notice",
        ),
        pytest.param(
            [(OPENED, HEALTH.id)], [(OPENED, LATENCY.id)], ["updated"], id="joining is an update"
        ),
        pytest.param(
            [(OPENED, HEALTH.id)],
            [(OPENED, PAGE.id)],
            ["updated"],
            id="joining with a rise of severity is one update",
        ),
        pytest.param(
            [(OPENED, HEALTH.id), (OPENED, LATENCY.id)],
            [(CLOSED, LATENCY.id)],
            ["updated"],
            id="one of two closing is an update",
        ),
        pytest.param(
            [(OPENED, HEALTH.id)], [(CLOSED, HEALTH.id)], ["resolved"], id="the end is told"
        ),
        pytest.param(
            [(OPENED, HEALTH.id), (OPENED, LATENCY.id)],
            [(CLOSED, LATENCY.id), (CLOSED, HEALTH.id)],
            ["resolved"],
            id="the end takes the updates of its moment along",
        ),
        pytest.param(
            [],
            [(OPENED, HEALTH.id), (CLOSED, HEALTH.id)],
            ["opened", "resolved"],
            id="an incident of one moment has a beginning and an end",
        ),
        pytest.param([], [(BLIND, HEALTH.id)], ["blind"], id="blindness is told as such"),
        pytest.param(
            [(BLIND, HEALTH.id)], [(BLIND, PAGE.id)], ["updated"], id="worse blindness is told"
        ),
        pytest.param(
            [(BLIND, HEALTH.id)], [(BLIND, LATENCY.id)], [], id="more blindness is only recorded"
        ),
        pytest.param(
            [(BLIND, HEALTH.id), (BLIND, LATENCY.id)],
            [(SEES, LATENCY.id)],
            [],
            id="less blindness is only recorded",
        ),
        pytest.param(
            [(BLIND, HEALTH.id)], [(SEES, HEALTH.id)], ["resolved"], id="sight is told as an end"
        ),
    ],
)
def test_what_is_told(
    desk: Desk,
    before: list[tuple[Change, str]],
    now: list[tuple[Change, str]],
    told: list[str],
) -> None:
    if before:
        desk.file(*before)
    deliveries = desk.file(*now)

    assert events(deliveries) == told


@pytest.mark.parametrize(
    ("now", "better"),
    [
        ([(CLOSED, LATENCY.id)], True),
        ([(CLOSED, LATENCY.id), (OPENED, PAGE.id)], False),
        ([(OPENED, PAGE.id)], False),
    ],
)
def test_an_update_that_only_tells_of_what_passes_is_marked(
    desk: Desk, now: list[tuple[Change, str]], better: bool
) -> None:
    desk.file((OPENED, HEALTH.id), (OPENED, LATENCY.id))

    (delivery,) = desk.file(*now)

    assert delivery.notice.better is better


@pytest.mark.parametrize(
    ("mode", "may"), [(Mode.OFF, False), (Mode.OBSERVE, True), (Mode.AUTOMATIC, True)]
)
def test_a_notice_knows_whether_its_service_is_rolled_back_at_all(mode: Mode, may: bool) -> None:
    service = Service(name="shop", rollback=make_policy(mode))
    (delivery,) = Desk(make_directory(service)).file((OPENED, HEALTH.id))

    assert delivery.notice.may_roll_back is may


def test_blindness_for_another_reason_is_told_and_so_is_its_end(desk: Desk) -> None:
    """A file that cannot be read keeps nobody from hearing that the network is gone."""
    desk.file((BLIND, HEALTH.id), code=Code.INTERNAL)
    cut_off = desk.file((BLIND, LATENCY.id), code=Code.WITNESS)
    more = desk.file((BLIND, OTHER.id), code=Code.WITNESS)
    less = desk.file((SEES, OTHER.id))
    back = desk.file((SEES, LATENCY.id))

    assert [events(one) for one in (cut_off, more, less, back)] == [
        ["updated"],
        [],
        [],
        ["updated"],
    ]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        pytest.param("cache:6379 LLEN jobs", "postgresql://db/shop", True, id="two carriers"),
        pytest.param("http://a:9090/m up", "http://b:9090/m up", True, id="two of one kind"),
        pytest.param("http://a:9090/m up", "http://a:9090/m errors", False, id="one carrier"),
        pytest.param("cache:6379 LLEN jobs", "cache:6379 LLEN mails", False, id="one port"),
        pytest.param("sqlite:///a.db", "sqlite:///b.db", True, id="two files"),
    ],
)
@pytest.mark.parametrize("code", [Code.CONNECTION_REFUSED, Code.TIMEOUT, Code.STATUS])
def test_each_carrier_that_is_silent_is_told(
    first: str, second: str, told: bool, code: Code
) -> None:
    """Both stop in one moment and in the same way: the second notice is not a repetition."""
    checks = {
        HEALTH.id: replace(HEALTH, target=first),
        OTHER.id: replace(OTHER, target=second),
    }
    desk = Desk(checks=checks)
    began = desk.file((BLIND, HEALTH.id), code=code)
    joined = desk.file((BLIND, OTHER.id), code=code)
    less = desk.file((SEES, HEALTH.id))

    assert events(began) == ["blind"]
    assert events(joined) == (["updated"] if told else [])
    assert events(less) == (["updated"] if told else [])


@pytest.mark.parametrize("code", [Code.WITNESS, Code.INTERNAL])
def test_the_trouble_of_the_monitor_itself_is_told_once_for_all_targets(code: Code) -> None:
    checks = {
        HEALTH.id: replace(HEALTH, target="https://a.test/"),
        OTHER.id: replace(OTHER, target="https://b.test/"),
    }
    desk = Desk(checks=checks)
    desk.file((BLIND, HEALTH.id), code=code)

    assert desk.file((BLIND, OTHER.id), code=code) == ()


def test_a_figure_that_nobody_gives_is_told_to_those_who_can_help() -> None:
    """The monitor is well: it is their database that is down."""
    mail = Service(
        name="mail",
        contacts=(Contact(role="on_call", name="@mail"), Contact(role="on_call", name="@web")),
        links=(
            Link(name="runbook", url="https://wiki.test/mail"),
            Link(name="board", url="https://board.test/"),
        ),
    )
    queued = replace(PAGE, id="queue.value", service="mail", target="cache:6379 LLEN jobs")
    desk = Desk(make_directory(mail), checks={HEALTH.id: HEALTH, queued.id: queued})
    said = "cache:6379 refused the connection"
    (first,) = desk.file((BLIND, queued.id), code=Code.CONNECTION_REFUSED, message=said)
    second, *_ = desk.file((BLIND, HEALTH.id), code=Code.CREDENTIALS, message="token: 401")
    (over,) = desk.file((SEES, queued.id), (SEES, HEALTH.id))[-1:]

    assert first.notice.headline == f"queue.value is not known, for 60 s: {said}"
    assert [one.name for one in first.notice.contacts] == ["@mail, @web"]
    assert [one.name for one in first.notice.links] == ["runbook", "board", "incident"]
    assert second.notice.headline.startswith("api.health is not known either: token: 401, for 60 s")
    assert [one.name for one in second.notice.contacts] == ["@mail, @web"]
    assert [(one.name, one.url) for one in second.notice.links][:3] == [
        ("runbook", "https://wiki.test/mail"),
        ("board", "https://board.test/"),
        ("runbook of shop", "https://wiki.test/shop"),
    ]
    assert over.notice.event is NoticeEvent.RESOLVED
    assert over.notice.headline == "queue.value and api.health are known again, after 3 min"
    assert over.notice.contacts == second.notice.contacts


def test_where_the_monitor_is_cut_off_nobody_else_is_called(desk: Desk) -> None:
    (told,) = desk.file((BLIND, HEALTH.id), code=Code.WITNESS)

    assert told.notice.contacts == ()
    assert [link.name for link in told.notice.links] == ["incident"]


def test_another_query_that_cannot_be_asked_of_the_same_database_is_told() -> None:
    target = "postgresql://db/shop"
    desk = Desk(checks={one.id: replace(one, target=target) for one in (HEALTH, OTHER)})
    desk.file((BLIND, HEALTH.id), code=Code.QUERY, message="no table a")
    more = desk.file((BLIND, OTHER.id), code=Code.QUERY, message="no table b")

    assert events(more) == ["updated"]


def test_the_store_is_told_even_to_those_who_know_that_the_monitor_is_blind(desk: Desk) -> None:
    desk.file((BLIND, PAGE.id), code=Code.WITNESS, message="no witness answered")
    failed = desk.take(incidents.store_failed("disk full", desk.situation, at(61)))
    works = desk.take(incidents.store_works_again(desk.situation, at(62)))

    assert [one.notice.headline for one in (*failed, *works)] == [
        "the monitor: the store cannot be relied on: disk full",
        "the monitor: the store can be relied on again; page.health still cannot be judged: "
        "no witness answered",
    ]


def test_a_lower_severity_is_only_recorded(desk: Desk) -> None:
    desk.file((OPENED, HEALTH.id))
    lower = {HEALTH.id: replace(HEALTH, severity=Severity.LOW)}

    assert desk.take(incidents.adopt(lower, desk.situation, at(100))) == ()


def test_every_notifier_gets_everything_under_a_key_of_its_own() -> None:
    desk = Desk(make_directory(notifiers=("slack", "pager")))
    deliveries = desk.file((OPENED, HEALTH.id))

    assert [delivery.notifier for delivery in deliveries] == ["slack", "pager"]
    assert len({delivery.key for delivery in deliveries}) == 2
    assert all(delivery.id == delivery.key for delivery in deliveries)


def test_without_notifiers_nothing_is_queued() -> None:
    assert Desk(make_directory(notifiers=())).file((OPENED, HEALTH.id)) == ()


def test_planning_again_gives_the_same_keys() -> None:
    first, second = Desk(), Desk()

    assert [one.key for one in first.file((OPENED, HEALTH.id))] == [
        one.key for one in second.file((OPENED, HEALTH.id))
    ]


def test_each_turn_has_another_key(desk: Desk) -> None:
    deliveries = (
        *desk.file((OPENED, HEALTH.id)),
        *desk.file((OPENED, PAGE.id)),
        *desk.file((CLOSED, PAGE.id)),
        *desk.file((CLOSED, HEALTH.id)),
    )

    assert len({delivery.key for delivery in deliveries}) == 4
    sequences = [delivery.notice.sequence for delivery in deliveries]
    assert sequences == sorted(set(sequences))


def test_a_notice_carries_all_that_a_receiver_needs(desk: Desk) -> None:
    deploy = Deploy(
        id="build-7",
        service="shop",
        version="v2",
        kind=DeployKind.PLANNED,
        state=DeployState.FINISHED,
        at=at(0),
    )
    desk.situation.apply(Changes(deploys=(deploy,)))
    notice = desk.file((OPENED, HEALTH.id))[0].notice

    assert notice.headline == (
        "shop answers 500, expected 2xx, for 60 s (api.health, 3 times in a row)"
    )
    assert (notice.service, notice.klass) == ("shop", IncidentClass.OUTAGE)
    assert (notice.environment, notice.location) == ("production", "eu-west")
    assert (notice.severity, notice.phase) == (Severity.HIGH, IncidentPhase.INVESTIGATING)
    assert (notice.since, notice.at, notice.resolved_at) == (at(0), at(60), None)
    assert [member.check for member in notice.members] == [HEALTH.id]
    assert notice.description == "Public shop"
    assert notice.contacts == (Contact(role="on_call", name="@web"),)
    assert notice.links == (
        Link(name="runbook", url="https://wiki.test/shop"),
        Link(name="incident", url=f"https://status.test/incidents/{notice.incident}"),
    )
    assert (notice.deploy, notice.deployed_at) == ("v2 (build-7)", at(0))
    assert notice.rollback is None


def test_without_a_public_address_there_is_no_link_to_the_incident() -> None:
    desk = Desk(replace(make_directory(), public_url=""))
    notice = desk.file((OPENED, HEALTH.id))[0].notice

    assert [link.name for link in notice.links] == ["runbook"]


def test_a_service_that_nobody_described_is_told_of_all_the_same() -> None:
    desk = Desk(replace(make_directory(), services={}))
    notice = desk.file((OPENED, HEALTH.id))[0].notice

    assert (notice.service, notice.description, notice.contacts) == ("shop", "", ())


def test_an_update_says_what_is_wrong_now(desk: Desk) -> None:
    desk.file((OPENED, HEALTH.id))
    refused = replace(make_reason("connection refused"), found="")
    state = CheckState(
        check=HEALTH.id,
        fingerprint="one",
        state=Outcome.FAIL,
        consecutive_failures=9,
        last_outcome=Outcome.FAIL,
        last_at=at(110),
        last_reasons=(refused,),
    )
    desk.situation.apply(Changes(states=(state,)))
    notice = desk.file((OPENED, LATENCY.id))[0].notice

    assert notice.headline.startswith("shop: api.latency.p95 fails as well: status is 500")
    assert (notice.members[0].failures, notice.members[0].reasons) == (9, (refused,))


def make_rollback(incident: str, state: RollbackState, blocked: Blocked | None = None) -> Rollback:
    return Rollback(
        id="r-1",
        service="shop",
        deploy_id="v2@noon",
        incident=incident,
        state=state,
        blocked=blocked,
        mode=Mode.AUTOMATIC,
        severity=Severity.HIGH,
        reason="api.health is failing",
        triggers=(HEALTH.id,),
        tripped_at=at(60),
        verify_within=timedelta(minutes=5),
        from_version="v2",
        to_version="v1",
    )


@pytest.mark.parametrize(
    ("state", "blocked", "told"),
    [
        (RollbackState.BLOCKED, Blocked.MODE, False),
        (RollbackState.BLOCKED, Blocked.COOLING_DOWN, True),
        (RollbackState.EXECUTING, None, True),
        (RollbackState.UNCERTAIN, None, True),
        (RollbackState.VERIFYING, None, False),
        (RollbackState.RECOVERED, None, True),
        (RollbackState.NOT_RECOVERED, None, True),
        (RollbackState.INCONCLUSIVE, None, True),
        (RollbackState.FAILED, None, True),
        (RollbackState.CANCELLED, None, True),
    ],
)
def test_people_hear_of_the_beginning_and_of_every_end_of_a_rollback(
    desk: Desk, state: RollbackState, blocked: Blocked | None, told: bool
) -> None:
    incident = desk.file((OPENED, HEALTH.id))[0].notice.incident
    rollback = make_rollback(incident, state, blocked)
    desk.situation.apply(Changes(rollbacks=(rollback,)))
    desk.situation.apply(timeline.follow_rollback(None, rollback, desk.situation, at(70)))
    changes = alerting.tell_rollback(rollback, desk.directory, desk.situation, at(70))
    deliveries = changes.deliveries

    assert events(deliveries) == ([NoticeEvent.ROLLBACK] if told else [])
    for delivery in deliveries:
        assert delivery.notice.incident == incident
        assert delivery.notice.sequence == 2
        assert delivery.notice.headline.startswith("shop: rollback from v2 to v1")
        assert delivery.notice.rollback is not None
        assert delivery.notice.rollback.state == state


def test_the_end_of_an_incident_tells_of_its_rollback(desk: Desk) -> None:
    incident = desk.file((OPENED, HEALTH.id))[0].notice.incident
    rollback = make_rollback(incident, RollbackState.RECOVERED)
    desk.situation.apply(Changes(rollbacks=(rollback,)))
    desk.situation.apply(timeline.follow_rollback(None, rollback, desk.situation, at(70)))
    summary = desk.file((CLOSED, HEALTH.id))[0].notice.rollback

    assert summary is not None
    assert (summary.id, summary.from_version, summary.to_version) == ("r-1", "v2", "v1")


def test_what_is_held_back_later_does_not_hide_the_rollback_that_ran(desk: Desk) -> None:
    incident = desk.file((OPENED, HEALTH.id))[0].notice.incident
    ran = replace(make_rollback(incident, RollbackState.FAILED), started_at=at(60))
    later = replace(
        make_rollback(incident, RollbackState.BLOCKED, Blocked.UNHEALTHY_BEFORE), id="r-2"
    )
    told: list[Delivery] = []
    for rollback in (ran, later):
        desk.situation.apply(Changes(rollbacks=(rollback,)))
        desk.situation.apply(timeline.follow_rollback(None, rollback, desk.situation, at(70)))
        turn = alerting.tell_rollback(rollback, desk.directory, desk.situation, at(70))
        told += turn.deliveries
    told += desk.file((OPENED, PAGE.id)) + desk.file((CLOSED, PAGE.id), (CLOSED, HEALTH.id))

    assert [one.notice.rollback and one.notice.rollback.id for one in told] == [
        *("r-1", "r-2", "r-1", "r-1")
    ]


def test_a_rollback_whose_incident_is_forgotten_is_told_all_the_same(desk: Desk) -> None:
    ends = [
        alerting.tell_rollback(
            make_rollback("gone", state), desk.directory, desk.situation, at(9)
        ).deliveries
        for state in (RollbackState.EXECUTING, RollbackState.FAILED)
    ]

    assert [delivery.notice.incident for (delivery,) in ends] == ["gone", "gone"]
    assert len({delivery.key for (delivery,) in ends}) == 2
