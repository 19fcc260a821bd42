"""Who is told of an incident: the first route that matches, those that go on, and everybody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from monitor.core.alerting.routing import find_fallback, find_receivers
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import Incident, IncidentClass, IncidentPhase
from monitor.core.model.service import Directory
from tests.support.attending import Watch, make_route
from tests.support.watching import START

if TYPE_CHECKING:
    from monitor.core.model.service import Route

CRITICAL, HIGH, LOW = Severity.CRITICAL, Severity.HIGH, Severity.LOW
OUTAGE, FINDING, MONITOR = IncidentClass
PAGER = make_route("pager", severities=(CRITICAL,))
SHOP = make_route("chat", number=2, services=("shop",))
REST = make_route("mail", number=3)


def incident(
    severity: Severity = HIGH, service: str = "shop", klass: IncidentClass = OUTAGE
) -> Incident:
    return Incident(
        id="i",
        service=service,
        klass=klass,
        severity=severity,
        phase=IncidentPhase.INVESTIGATING,
        since=START,
        opened_at=START,
        members=(),
    )


def directory(*routes: Route, notifiers: tuple[str, ...] = ("pager", "chat", "mail")) -> Directory:
    return Directory(services={}, notifiers=notifiers, routes=routes)


@pytest.mark.parametrize(
    ("routes", "about", "told"),
    [
        pytest.param((), incident(), "pager chat mail", id="without routes everybody"),
        pytest.param((PAGER, SHOP, REST), incident(CRITICAL), "pager", id="the first that matches"),
        pytest.param((PAGER, SHOP, REST), incident(), "chat", id="else the next"),
        pytest.param((PAGER, SHOP, REST), incident(service="db"), "mail", id="the last takes all"),
        pytest.param(
            (replace(PAGER, go_on=True), SHOP, REST),
            incident(CRITICAL),
            "pager chat",
            id="one that goes on adds the next",
        ),
        pytest.param(
            (replace(PAGER, go_on=True), replace(SHOP, notify=("chat", "pager"))),
            incident(CRITICAL),
            "pager chat",
            id="each is named once",
        ),
        pytest.param((PAGER,), incident(LOW), "pager chat mail", id="no route: everybody"),
        pytest.param(
            (make_route("chat", classes=(OUTAGE, FINDING)),),
            incident(klass=MONITOR, service="production-monitor"),
            "pager chat mail",
            id="no route for the monitor itself: everybody",
        ),
        pytest.param(
            (make_route("chat", classes=(MONITOR,)), REST),
            incident(klass=MONITOR, service="production-monitor"),
            "chat",
            id="the monitor itself has routes as well",
        ),
        pytest.param(
            (make_route("chat", services=("db",), severities=(CRITICAL, HIGH)), REST),
            incident(),
            "mail",
            id="all that a match says has to hold",
        ),
    ],
)
def test_who_is_told(routes: tuple[Route, ...], about: Incident, told: str) -> None:
    assert " ".join(find_receivers(about, directory(*routes))) == told


def test_a_run_that_tells_nobody_tells_nobody_by_routes_either() -> None:
    assert find_receivers(incident(), directory(REST, notifiers=())) == ()


def test_the_fallback_is_that_of_the_route_which_leads_to_a_notifier() -> None:
    routes = (
        replace(PAGER, go_on=True, fallback="mail"),
        replace(SHOP, fallback="pager", go_on=True),
        make_route("record", number=3, escalate={60: ("boss",)}),
    )
    routes = (*routes[:2], replace(routes[2], fallback="chat"))
    known = directory(*routes, notifiers=("pager", "chat", "mail", "record", "boss"))

    assert [
        find_fallback(name, incident(CRITICAL), known)
        for name in ("pager", "chat", "record", "boss", "mail")
    ] == ["mail", "pager", "chat", "chat", None]
    assert find_fallback("pager", incident(LOW), known) is None


def test_the_end_goes_to_all_who_were_told_and_to_nobody_else() -> None:
    watch = Watch(make_route("a", severities=(LOW,)), make_route("b", number=2))
    watch.fail(LOW)
    watch.fail(HIGH)
    watch.recover(LOW)
    watch.recover(HIGH)

    assert watch.heard == [
        (0, "a", "opened"),
        (0, "a", "updated"),
        (0, "b", "opened"),
        (0, "a", "updated"),
        (0, "b", "updated"),
        (0, "a", "resolved"),
        (0, "b", "resolved"),
    ]
    assert len({row.key for row in watch.told}) == len(watch.told)


def test_the_end_of_what_was_withheld_is_told_to_nobody() -> None:
    watch = Watch()
    watch.fail(held=True)
    watch.wait(3600)
    watch.recover()

    assert watch.told == []


def test_the_end_of_what_is_withheld_goes_to_those_who_were_told_before() -> None:
    watch = Watch(make_route("a", severities=(LOW,)), make_route("b", number=2))
    watch.fail(LOW)
    watch.hold()
    watch.fail(HIGH)
    watch.acknowledge()
    watch.recover(HIGH)
    watch.recover(LOW)

    assert watch.heard == [(0, "a", "opened"), (0, "a", "acknowledged"), (0, "a", "resolved")]


def test_who_is_told_for_the_first_time_hears_the_beginning_with_what_is_wrong() -> None:
    watch = Watch(make_route("a", severities=(LOW,)), make_route("b", number=2))
    watch.fail(LOW)
    watch.wait(60)
    watch.fail(HIGH)
    update, opening = watch.told[1:]

    assert "the severity rises from low to high" in update.notice.headline
    assert opening.notice.headline.startswith("shop answers 500, expected 2xx")
    assert update.notice.sequence == opening.notice.sequence


def test_a_notifier_that_is_gone_is_not_told_and_others_are() -> None:
    watch = Watch(notifiers=("a", "b"))
    watch.fail()
    watch.directory = replace(watch.directory, notifiers=("b", "c"))
    watch.fail(LOW)
    watch.recover(LOW)
    watch.recover()

    assert [(name, event) for _, name, event in watch.heard[2:]] == [
        ("b", "updated"),
        ("c", "opened"),
        ("b", "updated"),
        ("c", "updated"),
        ("b", "resolved"),
        ("c", "resolved"),
    ]
