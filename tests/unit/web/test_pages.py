"""What the status page shows of times and of what is worst."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from monitor.core.model.service import Directory, Service
from monitor.web.pages import _badness, _clock, _headline, _lasted, _services, _took, _versions

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.0, "0 ms"), (0.0129, "13 ms"), (9.99, "9990 ms"), (10.04, "10.0 s")],
)
def test_a_duration_has_a_unit_that_can_be_read(seconds: float | None, shown: str) -> None:
    assert _took(seconds) == shown


def test_times_are_utc_and_say_so() -> None:
    assert _clock("2026-03-01T11:22:33.456+00:00") == "2026-03-01 11:22:33 UTC"


@pytest.mark.parametrize(
    ("until", "lasted"),
    [(None, "1 h"), ("2026-03-01T11:02:00+00:00", "2 min")],
)
def test_an_incident_lasts_until_its_end_or_until_now(until: str | None, lasted: str) -> None:
    assert _lasted("2026-03-01T11:00:00+00:00", until, NOW) == lasted


@pytest.mark.parametrize(
    ("states", "verdict", "said"),
    [
        (["pass", "pass"], "pass", "Everything that is watched passes"),
        (["pass", "unknown"], "unknown", "Something cannot be judged right now"),
        (["pass", "pass"], "fail", "Something is failing"),
        (["fail", "pass"], "fail", "1 check is failing"),
        (["fail", "fail"], "pass", "2 checks are failing"),
    ],
)
def test_the_headline_says_the_worst_first(states: list[str], verdict: str, said: str) -> None:
    status: dict[str, Any] = {"checks": [{"state": one} for one in states], "verdict": verdict}

    assert _headline(status) == said


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("1.5.0", "1.4.0", "1.5.0 → 1.4.0"),
        ("1.5.0", None, "1.5.0 → none is known to be good"),
        (None, None, "none"),
    ],
)
def test_a_rollback_names_its_versions_if_there_are_any(
    before: str | None, after: str | None, shown: str
) -> None:
    assert _versions({"from": before, "to": after}) == shown


def test_the_worst_incident_is_first_and_of_equals_the_oldest() -> None:
    incidents = [
        {"severity": severity, "since": since}
        for severity, since in (("low", "1"), ("high", "3"), ("critical", "4"), ("high", "2"))
    ]

    ordered = sorted(incidents, key=_badness)

    assert [(one["severity"], one["since"]) for one in ordered] == [
        ("critical", "4"),
        ("high", "2"),
        ("high", "3"),
        ("low", "1"),
    ]


def test_checks_stand_with_their_service_in_the_order_of_the_configuration() -> None:
    checks = [{"service": one, "n": n} for n, one in enumerate(["shop", "api", "shop"])]
    shop = Service(name="shop", description="Public shop")
    status = {"checks": checks, "deploys": [{"service": "api", "version": "2.0"}]}

    found = _services(status, Directory(services={"shop": shop}))

    assert [(one["name"], [check["n"] for check in one["checks"]]) for one in found] == [
        ("shop", [0, 2]),
        ("api", [1]),
    ]
    assert [one["known"].description for one in found] == ["Public shop", ""]
    assert [one["deploy"] and one["deploy"]["version"] for one in found] == [None, "2.0"]
