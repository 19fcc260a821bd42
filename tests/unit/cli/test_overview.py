"""The status on a terminal: what fails first, then incidents and rollbacks."""

from __future__ import annotations

from typing import Any

from monitor.cli.incident_text import write_incident
from monitor.cli.look import Look
from monitor.cli.overview import write_status


def check(name: str, verdict: str = "pass", state: str = "pass", **parts: Any) -> dict[str, Any]:
    return {
        "check": name,
        "verdict": verdict,
        "state": state,
        "consecutive_failures": 0,
        "reasons": [],
        **parts,
    }


def status(**parts: Any) -> dict[str, Any]:
    return {
        "at": "2026-07-01T12:05:00+00:00",
        "checks": [],
        "incidents": [],
        "rollbacks": [],
        "deploys": [],
        "undelivered": 0,
        **parts,
    }


def incident(**parts: Any) -> dict[str, Any]:
    return {
        "id": "shop-outage-1",
        "service": "shop",
        "class": "outage",
        "severity": "critical",
        "phase": "investigating",
        "since": "2026-07-01T12:00:00+00:00",
        "resolved_at": None,
        "timeline": [{"at": "2026-07-01T12:00:30+00:00", "text": "shop [api] answers 500"}],
        **parts,
    }


def written(**parts: Any) -> list[str]:
    return write_status(status(**parts), Look()).splitlines()


def test_who_acted_stands_beside_a_line_that_does_not_begin_with_them() -> None:
    told = [
        {"at": "2026-07-01T12:01:00+00:00", "actor": "ana", "text": "ana has taken it on"},
        {"at": "2026-07-01T12:02:00+00:00", "actor": "ana", "text": "the labels were removed"},
    ]
    found = write_incident(incident(timeline=told, checks=[], labels=[]), Look())

    assert "  12:01:00  ana has taken it on" in found.splitlines()
    assert "  12:02:00  the labels were removed (ana)" in found.splitlines()


def test_what_is_flapping_comes_before_what_passes() -> None:
    note = "flapping, failed 7 times since 2026-07-01 12:00:00 UTC"
    found = written(
        checks=[
            check("a.health"),
            check("b.health", note=note, flapping={"since": "", "openings": 7}),
        ]
    )

    assert found[0] == f"✔ pass     b.health  {note}"


def test_what_fails_comes_first_and_what_waits_says_for_what() -> None:
    failing = [{"message": "status is 500, expected 2xx"}]
    ending = {"samples": 22, "needed": 20, "ends_at": "2026-07-01T12:15:00+00:00"}
    found = written(
        checks=[
            check("a.health"),
            check("b.latency.max", "waiting", "unknown", waiting={"samples": 7, "needed": 20}),
            check("b.latency.p95", "waiting", "unknown", waiting=ending),
            check("c.health", "unknown", "pass", note="stood still"),
            check("d.health", "fail", "pass", reasons=failing, consecutive_failures=2),
            check("e.health", "pass", "fail"),
        ]
    )

    assert found == [
        "✘ FAIL     e.health",
        "✘ FAIL     d.health  status is 500, expected 2xx; 2 in a row, below its threshold",
        "? unknown  c.health  stood still",
        "✔ pass     a.health",
        "… waiting  b.latency.max  7 of 20 samples",
        "… waiting  b.latency.p95  22 of 20 samples, judged after 12:15 UTC",
        "",
        "6 checks, no open incident",
    ]


def test_an_open_incident_is_told_with_its_timeline() -> None:
    found = written(incidents=[incident(), incident(resolved_at="2026-07-01T12:01:00+00:00")])

    assert found == [
        "",
        "shop: outage, critical, investigating, for 5 min (shop-outage-1)",
        "  12:00:30  shop [api] answers 500",
        "",
        "0 checks, 1 open incident",
    ]


def rollback(state: str, **parts: Any) -> dict[str, Any]:
    return {
        "service": "shop",
        "state": state,
        "from": "1.0.9",
        "to": "1.0.0",
        "why": "api.health fails",
        "ended_at": None,
        **parts,
    }


def test_a_rollback_says_where_it_stands_and_why() -> None:
    found = written(
        rollbacks=[
            rollback("verifying"),
            rollback("blocked", to=None, why="COOLING_DOWN (too short a time ago)"),
        ]
    )

    assert "rollback of shop 1.0.9 → 1.0.0: verifying, api.health fails" in found
    assert "rollback of shop 1.0.9: blocked, COOLING_DOWN (too short a time ago)" in found


def test_what_waits_says_until_when_and_what_may_be_done() -> None:
    due = "2026-07-01T12:20:05+00:00"
    found = written(
        rollbacks=[
            rollback("awaiting", id="0123456789", due_at=due),
            rollback("countdown", id="abcdefabcdef", due_at=due, kind="remedy"),
        ]
    )

    assert "  until 12:20:05 UTC: rollback approve 01234567, or rollback veto 01234567" in found
    assert "  begins at 12:20:05 UTC, unless somebody says no: rollback veto abcdefab" in found
    assert "remedy for shop: countdown, api.health fails" in found


def test_rollbacks_of_the_last_day_say_how_they_ended() -> None:
    early, late = "2026-06-30T12:04:59+00:00", "2026-07-01T01:52:00+00:00"
    found = written(
        rollbacks=[
            rollback("recovered", ended_at=early),
            rollback("recovered", ended_at=late),
            rollback("not_recovered", ended_at=late, **{"from": None}),
        ]
    )

    assert found[1:-2] == [
        "rolled back shop 1.0.9 → 1.0.0 at 2026-07-01 01:52 UTC (recovered)",
        "rollback of shop at 2026-07-01 01:52 UTC: not recovered, api.health fails",
    ]


def test_what_runs_and_that_rollbacks_are_off_is_said() -> None:
    at = "2026-07-01T01:52:00+00:00"
    deploys = [
        {"service": one, "version": "1.0", "state": state, "at": at, "finished_at": None}
        for one, state in (("api", "certified"), ("shop", "started"), ("web", "bad"))
    ]

    assert written(deploys=deploys, rollbacks_off="/state/rollbacks-off")[1:-2] == [
        "api runs 1.0 since 2026-07-01 01:52 UTC",
        "shop: 1.0 is being deployed",
        "web runs 1.0 since 2026-07-01 01:52 UTC, which is bad",
        "rollbacks are off (/state/rollbacks-off)",
    ]


def test_a_version_that_was_rolled_back_is_not_said_to_run() -> None:
    at, undone = "2026-07-01T01:52:00+00:00", "2026-07-01T01:55:00+00:00"
    deploy = {"service": "web", "version": "2.0", "state": "bad", "at": at, "finished_at": at}

    assert written(deploys=[{**deploy, "rolled_back_at": undone}])[1] == (
        "web: 2.0 is bad, and was rolled back at 2026-07-01 01:55 UTC"
    )


def test_what_is_wrong_with_the_configuration_is_shown() -> None:
    assert "the last reload was refused: why" in written(
        configuration=["the last reload was refused: why"]
    )


def test_what_nobody_heard_yet_is_counted() -> None:
    assert written(undelivered=1)[-1].endswith("1 notice not delivered yet")
    assert written(undelivered=2)[-1].endswith("2 notices not delivered yet")
    assert written(given_up=1)[-1].endswith("1 notice of the last day given up")


def test_who_could_not_be_told_is_named_with_what_to_do() -> None:
    quiet = {"notifier": "mail", "undelivered": 0, "oldest_undelivered_at": None, "dead_letters": 0}
    silent = {
        "notifier": "pager",
        "undelivered": 2,
        "oldest_undelivered_at": "2026-07-01T01:52:00+00:00",
        "dead_letters": 1,
    }

    assert written(notifiers=[quiet, silent])[-2] == (
        "pager: 2 notices not delivered, since 2026-07-01 01:52 UTC; "
        "1 notice refused (notify requeue pager)"
    )


def test_what_is_in_maintenance_now_or_soon_is_shown() -> None:
    def window(name: str, active: bool, since: str) -> dict[str, Any]:
        span = {"since": f"{since}+00:00", "until": "2026-07-02T13:00:00+00:00"}
        own = {"active": span, "next": None} if active else {"active": None, "next": span}
        return {"name": name, "services": ["api", "shop"], "reason": "disks", **own}

    found = written(
        maintenance=[
            window("maintenance 1", True, "2026-07-01T12:00:00"),
            window("maintenance 2", False, "2026-07-02T12:00:00"),
            window("maintenance 3", False, "2026-07-02T12:30:00"),
        ]
    )

    assert [line for line in found if "maintenance" in line] == [
        "api, shop in maintenance until 2026-07-02 13:00 UTC: disks (maintenance 1)",
        "api, shop in maintenance from 2026-07-02 12:00 UTC to 2026-07-02 13:00 UTC: disks"
        " (maintenance 2)",
    ]


def test_an_incident_says_whom_it_affects_and_what_is_to_be_done() -> None:
    tasks = [("Somebody leads", True), ("Tell support", None), ("Steps are done", False)]
    text = write_incident(
        incident(
            checks=[],
            labels=[],
            affected=["api", "page"],
            stage="before",
            checklists={
                "before": [{"text": text, "done": done} for text, done in tasks],
                "after": [{"text": "Rest", "done": None}],
            },
        ),
        Look(),
    )

    lines = [line.strip() for line in text.splitlines()]
    assert "also affected: api, page" in lines
    assert lines[lines.index("to do now:") + 1 :] == [
        "[x] Somebody leads",
        "[?] Tell support",
        "[ ] Steps are done",
    ]
