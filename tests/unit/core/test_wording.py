"""What the woken person reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core import wording
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import (
    STORE_CHECK,
    Incident,
    IncidentClass,
    IncidentPhase,
    Member,
)
from monitor.core.model.notice import Contact, Link, Notice, NoticeEvent, RollbackSummary
from monitor.core.model.observation import Code
from monitor.core.model.rollback import Blocked, Mode, Rollback, RollbackState, Step, StepState
from monitor.core.model.verdict import Reason
from tests.support.watching import at, make_reason

if TYPE_CHECKING:
    from datetime import datetime


def member(
    check: str = "api.health",
    *reasons: Reason,
    severity: Severity = Severity.HIGH,
    since: float = 0,
    failures: int = 5,
    closed_at: datetime | None = None,
) -> Member:
    return Member(
        check=check,
        severity=severity,
        since=at(since),
        failures=failures,
        reasons=reasons or (make_reason(),),
        closed_at=closed_at,
    )


def incident(
    *members: Member, klass: IncidentClass = IncidentClass.OUTAGE, resolved: float | None = None
) -> Incident:
    return Incident(
        id="i",
        service="api",
        klass=klass,
        severity=Severity.HIGH,
        phase=IncidentPhase.INVESTIGATING,
        since=at(0),
        opened_at=at(60),
        members=members or (member(),),
        resolved_at=None if resolved is None else at(resolved),
    )


def reason(code: Code, message: str, expected: str = "", found: str = "") -> Reason:
    return Reason(code=code, message=message, expected=expected, found=found)


CUT_OFF = reason(Code.WITNESS, "no witness answered")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (89, "89 s"),
        (120, "2 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_are_read_aloud(seconds: int, text: str) -> None:
    assert wording.duration_text(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        (
            reason(Code.STATUS, "status is 500, expected 200", "200", "500"),
            "api answers 500, expected 200, for 2 min (api.health, 5 times in a row)",
        ),
        (
            reason(Code.STATUS, "status is absent, expected 200", "200", "absent"),
            "api is failing: status is absent, expected 200, for 2 min "
            "(api.health, 5 times in a row)",
        ),
        (
            reason(Code.CONNECTION_REFUSED, "127.0.0.1:80 refuses"),
            "api cannot be reached: 127.0.0.1:80 refuses, for 2 min (api.health, 5 times in a row)",
        ),
        (
            reason(Code.TIMEOUT, "no answer within 10s"),
            "api does not answer in time: no answer within 10s, for 2 min "
            "(api.health, 5 times in a row)",
        ),
        (
            reason(Code.TLS_CERT_EXPIRED, "expired yesterday"),
            "api cannot be trusted: expired yesterday, for 2 min (api.health, 5 times in a row)",
        ),
        (
            reason(Code.EXPECTATION, "$.database is 'lost', expected 'connected'"),
            "api is failing: $.database is 'lost', expected 'connected', for 2 min "
            "(api.health, 5 times in a row)",
        ),
    ],
)
def test_an_outage_says_what_since_when_and_how_often(first: Reason, sentence: str) -> None:
    assert wording.headline(incident(member("api.health", first)), at=at(120)) == sentence


def test_one_fail_at_once_has_no_duration_and_no_row() -> None:
    assert (
        wording.headline(incident(member(failures=1)), at=at(0))
        == "api answers 500, expected 2xx (api.health)"
    )


def test_more_reasons_are_counted() -> None:
    two = member("api.health", make_reason(), make_reason("body is empty"))

    assert "answers 500, expected 2xx (and 1 more)" in wording.headline(incident(two), at=at(60))


def test_a_fail_without_a_reason_is_still_a_sentence() -> None:
    silent = Member(check="api.health", severity=Severity.LOW, since=at(0), failures=2, reasons=())

    assert (
        wording.headline(incident(silent), at=at(60))
        == "api is failing, for 60 s (api.health, 2 times in a row)"
    )


def test_the_worst_open_check_speaks_and_names_the_others() -> None:
    told = wording.headline(
        incident(
            member("a.health", severity=Severity.LOW),
            member("b.health", severity=Severity.CRITICAL, since=30),
            member("c.health", severity=Severity.CRITICAL, closed_at=at(50)),
            member("d.health", severity=Severity.LOW, since=10),
        ),
        at=at(90),
    )

    assert "(b.health, 5 times in a row); a.health and d.health fail as well" in told


def test_many_checks_are_counted_after_three() -> None:
    told = wording.headline(incident(*(member(f"{name}.health") for name in "abcdef")), at=at(90))

    assert told.endswith("; b.health, c.health, d.health and 2 more fail as well")


def test_a_finding_needs_attention() -> None:
    told = wording.headline(
        incident(
            member("api.certificate", reason(Code.EXPECTATION, "expires in 3d"), failures=1),
            klass=IncidentClass.FINDING,
        ),
        at=at(0),
    )

    assert told == "api needs attention: expires in 3d (api.certificate)"


def test_blindness_blames_the_monitor() -> None:
    blind = member("api.health", reason(Code.WITNESS, "no witness answered either"), failures=0)

    assert (
        wording.headline(incident(blind, klass=IncidentClass.MONITOR), at=at(90))
        == "the monitor is blind, for 2 min: it cannot judge api.health: no witness answered either"
    )


def test_a_broken_store_comes_before_blindness() -> None:
    blind = member("api.health", reason(Code.WITNESS, "cut off"))
    store = member(STORE_CHECK, reason(Code.INTERNAL, "disk full"), since=60)

    assert (
        wording.headline(incident(blind, store, klass=IncidentClass.MONITOR), at=at(90))
        == "the monitor cannot rely on its store, for 30 s: disk full; nor can it judge api.health"
    )


@pytest.mark.parametrize(
    ("klass", "checks", "sentence"),
    [
        (IncidentClass.OUTAGE, ["api.health"], "api has recovered after 5 min (api.health)"),
        (IncidentClass.FINDING, ["api.csp"], "api: the finding is over after 5 min (api.csp)"),
        (
            IncidentClass.MONITOR,
            ["api.health", STORE_CHECK],
            "the monitor can rely on its store and judge api.health again, after 5 min",
        ),
    ],
)
def test_the_end_says_how_long_it_was(
    klass: IncidentClass, checks: list[str], sentence: str
) -> None:
    over = incident(
        *(member(check, CUT_OFF, closed_at=at(300)) for check in checks),
        klass=klass,
        resolved=300,
    )

    assert wording.headline(over, at=at(999)) == sentence


@pytest.mark.parametrize(
    ("klass", "sentence"),
    [
        (
            IncidentClass.OUTAGE,
            "b.health passes again; a.health still fails: status is 500, expected 2xx",
        ),
        (
            IncidentClass.FINDING,
            "b.health passes again; a.health still needs attention: status is 500, expected 2xx",
        ),
        (
            IncidentClass.MONITOR,
            "b.health can be judged again; a.health still cannot be judged: no witness answered",
        ),
    ],
)
def test_a_check_that_closes_leaves_the_rest(klass: IncidentClass, sentence: str) -> None:
    own = klass is IncidentClass.MONITOR
    rest = member("a.health", CUT_OFF) if own else member("a.health")

    assert wording.left("b.health", [rest], klass) == sentence


def test_more_than_one_rest_is_named() -> None:
    rest = [member("a.health"), member("c.health", since=5)]
    told = wording.left("b.health", rest, IncidentClass.OUTAGE, removed=True)

    assert told.startswith("b.health is no longer configured; a.health still fails")
    assert told.endswith("(c.health as well)")


def test_a_store_that_is_left_is_named_as_such() -> None:
    told = wording.left("b.health", [member(STORE_CHECK)], IncidentClass.MONITOR)

    assert told == "b.health can be judged again; the store still cannot be relied on"


@pytest.mark.parametrize(
    ("klass", "how"),
    [
        (IncidentClass.OUTAGE, "fails as well"),
        (IncidentClass.FINDING, "needs attention as well"),
        (IncidentClass.MONITOR, "is not known either"),
    ],
)
def test_a_check_that_joins_says_why(klass: IncidentClass, how: str) -> None:
    assert (
        wording.joined(member("b.health"), klass, at=at(120))
        == f"b.health {how}: status is 500, expected 2xx, for 2 min (5 times in a row)"
    )


def test_a_check_that_joins_the_blindness_of_the_monitor_says_so() -> None:
    told = wording.joined(member("b.health", CUT_OFF, failures=0), IncidentClass.MONITOR, at=at(0))

    assert told == "b.health cannot be judged either: no witness answered"


def test_what_nobody_answers_is_told_by_its_reason() -> None:
    cache = reason(Code.CONNECTION_REFUSED, "cache:6379 refused the connection")
    base = reason(Code.TIMEOUT, "db:5432 did not answer within 4 s")
    told = wording.headline(
        incident(
            member("jobs.value", cache),
            member("mails.value", cache),
            member("failed.value", base, since=1),
            klass=IncidentClass.MONITOR,
        ),
        at=at(15),
    )

    assert told == (
        "jobs.value and mails.value are not known, for 15 s: cache:6379 refused the connection; "
        "failed.value is not known, for 14 s: db:5432 did not answer within 4 s"
    )


def test_of_many_reasons_the_first_are_told() -> None:
    silent = [
        member(f"{name}.value", reason(Code.TIMEOUT, f"{name} hangs"), since=number)
        for number, name in enumerate("abcde")
    ]
    told = wording.headline(incident(*silent, klass=IncidentClass.MONITOR), at=at(4))

    assert told == (
        "a.value is not known: a hangs; b.value is not known: b hangs; "
        "c.value is not known: c hangs; d.value and e.value are not known either"
    )


def test_the_blindness_of_the_monitor_comes_before_what_nobody_answers() -> None:
    silent = member("jobs.value", reason(Code.TIMEOUT, "cache hangs"))
    both = incident(member("a.health", CUT_OFF), silent, klass=IncidentClass.MONITOR)

    assert wording.headline(both, at=at(0)) == (
        "the monitor is blind: it cannot judge a.health: no witness answered; "
        "jobs.value is not known: cache hangs"
    )
    assert wording.update(both, ["news"]) == "the monitor: news"


def test_a_figure_that_still_nobody_gives_is_told_with_the_one_that_is_back() -> None:
    told = wording.left(
        "a.value", [member("b.value", reason(Code.TIMEOUT, "b hangs"))], IncidentClass.MONITOR
    )

    assert told == "a.value can be judged again; b.value is still not known: b hangs"


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (Severity.HIGH, Severity.CRITICAL, "the severity rises from high to critical"),
        (Severity.HIGH, Severity.LOW, "the severity falls from high to low"),
    ],
)
def test_a_severity_rises_or_falls(before: Severity, after: Severity, text: str) -> None:
    assert wording.severity_changed(before, after) == text


def test_a_sentence_is_one_line_of_bounded_length() -> None:
    flood = reason(Code.EXPECTATION, "found\n" + "<p>\t" * 5_000)
    many = [member(f"{'long' * 60}{n}.health", flood) for n in range(9)]
    told = [
        wording.headline(incident(*many), at=at(60)),
        wording.joined(many[0], IncidentClass.OUTAGE, at=at(60)),
        wording.left("x", many, IncidentClass.OUTAGE),
        wording.update(incident(*many), ["word " * 400] * 3),
        wording.closed(incident(*many), "word " * 400),
    ]

    for sentence in told:
        assert len(sentence) <= 600
        assert "\n" not in sentence
        assert "\t" not in sentence


@pytest.mark.parametrize(
    ("closed_at", "line"),
    [
        (
            None,
            "api.health (high): status is 500, expected 2xx, since 2026-07-01 12:00:00 UTC, "
            "5 times in a row",
        ),
        (at(120), "api.health: over at 2026-07-01 12:02:00 UTC, after 2 min"),
    ],
)
def test_a_member_is_one_line(closed_at: datetime | None, line: str) -> None:
    assert wording.member_line(member(closed_at=closed_at)) == line


def test_a_member_says_what_was_asked() -> None:
    line = wording.member_line(replace(member(), target="https://shop.example/health"))

    assert line.startswith("api.health (high) at https://shop.example/health: status is 500")


@pytest.mark.parametrize(("seconds", "said"), [(4.4, ""), (5.0, ", for 5 s")])
def test_what_has_just_begun_has_no_duration_yet(seconds: float, said: str) -> None:
    found = wording.headline(incident(member(since=0)), at=at(seconds))

    assert found == f"api answers 500, expected 2xx{said} (api.health, 5 times in a row)"


def make_rollback(state: RollbackState, blocked: Blocked | None = None) -> Rollback:
    return Rollback(
        id="r",
        service="api",
        deploy_id="v2",
        incident="i",
        state=state,
        blocked=blocked,
        mode=Mode.AUTOMATIC,
        severity=Severity.HIGH,
        reason="api.health is failing",
        triggers=(),
        tripped_at=at(0),
        verify_within=timedelta(minutes=5),
        from_version="v2",
        to_version="v1" if blocked is None else None,
    )


@pytest.mark.parametrize("state", RollbackState)
def test_every_state_of_a_rollback_has_a_sentence(state: RollbackState) -> None:
    told = wording.rollback_headline(replace(make_rollback(state), detail="that is why"))

    assert told.startswith("api: rollback from v2 to v1 ")
    assert told.endswith(": that is why") is (
        state not in (RollbackState.EXECUTING, RollbackState.VERIFYING, RollbackState.RECOVERED)
    )


@pytest.mark.parametrize(
    ("state", "how"),
    [
        (RollbackState.EXECUTING, "under way"),
        (RollbackState.VERIFYING, "done, recovery is being verified"),
        (RollbackState.RECOVERED, "done, and it helped"),
    ],
)
def test_what_tripped_a_rollback_is_not_told_as_if_it_went_on(
    state: RollbackState, how: str
) -> None:
    told = wording.rollback_headline(make_rollback(state))

    assert told == f"api: rollback from v2 to v1 {how}"


@pytest.mark.parametrize("state", RollbackState)
def test_that_no_version_is_known_to_be_good_is_told_while_it_matters(
    state: RollbackState,
) -> None:
    told = wording.rollback_headline(replace(make_rollback(state), to_version=None))

    assert ("rollback of v2 (no version is known to be good) " in told) is (
        state in (RollbackState.EXECUTING, RollbackState.FAILED, RollbackState.UNCERTAIN)
    )


@pytest.mark.parametrize(
    "state",
    [
        RollbackState.UNCERTAIN,
        RollbackState.NOT_RECOVERED,
        RollbackState.INCONCLUSIVE,
        RollbackState.FAILED,
    ],
)
def test_an_end_that_needs_a_person_says_so(state: RollbackState) -> None:
    assert ", a person has to " in wording.rollback_headline(make_rollback(state))


def test_where_a_rollback_stands_has_room_behind_the_longest_sentence() -> None:
    blocked = make_rollback(RollbackState.BLOCKED, Blocked.NO_DEPLOY)
    told = wording.with_rollback("word " * 300, replace(blocked, detail="why " * 300))

    assert len(told) <= 600
    assert "…; rollback of v2 blocked: NO_DEPLOY (why why" in told


@pytest.mark.parametrize("blocked", Blocked)
def test_every_reason_to_be_blocked_has_a_sentence(blocked: Blocked) -> None:
    told = wording.rollback_headline(make_rollback(RollbackState.BLOCKED, blocked))

    assert told.startswith(f"api: rollback of v2 blocked: {blocked} (")


@pytest.mark.parametrize("state", StepState)
def test_every_state_of_a_step_has_a_sentence(state: StepState) -> None:
    step = Step(
        key="k",
        rollback="r",
        level=0,
        number=2,
        kind="webhook",
        state=state,
        attempt=2,
        at=at(0),
        detail="answered\n202",
    )

    assert wording.step_text(step).startswith("rollback step 2 (webhook, attempt 2) ")
    assert wording.step_text(step).endswith(": answered 202")


def make_notice(
    *,
    klass: IncidentClass = IncidentClass.OUTAGE,
    resolved: bool = False,
    rollback: RollbackSummary | None = None,
    **facts: object,
) -> Notice:
    notice = Notice(
        event=NoticeEvent.OPENED,
        incident="i-1",
        sequence=1,
        klass=klass,
        service="api",
        environment="production",
        location="",
        severity=Severity.HIGH,
        phase=IncidentPhase.INVESTIGATING,
        headline="api answers 500",
        since=at(0),
        at=at(120),
        members=(),
        resolved_at=at(180) if resolved else None,
        contacts=(Contact(role="on_call", name="@ana"),),
        rollback=rollback,
    )

    return replace(notice, **facts)  # type: ignore[arg-type]  # the tests name fields only


ROLLED_BACK = RollbackSummary(
    id="r", state="executing", from_version="v2", to_version="v1", reason="api.health is failing"
)

BLOCKED = RollbackSummary(
    id="r",
    state="blocked",
    from_version="v2",
    to_version=None,
    reason="MODE (its mode only observes)",
)


@pytest.mark.parametrize(
    ("notice", "second"),
    [
        pytest.param(
            make_notice(may_roll_back=True),
            "Since 2026-07-01 12:00:00 UTC (2 min), severity high. No rollback so far.",
            id="an outage says that nothing was rolled back",
        ),
        pytest.param(
            make_notice(),
            "Since 2026-07-01 12:00:00 UTC (2 min), severity high.",
            id="where nothing is ever rolled back, nothing is said of it",
        ),
        pytest.param(
            make_notice(klass=IncidentClass.FINDING, may_roll_back=True),
            "Since 2026-07-01 12:00:00 UTC (2 min), severity high.",
            id="a finding has nothing to do with rollbacks",
        ),
        pytest.param(
            make_notice(resolved=True, may_roll_back=True),
            "From 2026-07-01 12:00:00 UTC to 2026-07-01 12:03:00 UTC (3 min), severity high.",
            id="the end gives both times",
        ),
        pytest.param(
            make_notice(rollback=ROLLED_BACK),
            "Since 2026-07-01 12:00:00 UTC (2 min), severity high. "
            "Rollback from v2 to v1 under way.",
            id="a rollback is told",
        ),
        pytest.param(
            make_notice(rollback=BLOCKED),
            "Since 2026-07-01 12:00:00 UTC (2 min), severity high. "
            "Rollback of v2 blocked: MODE (its mode only observes).",
            id="what would have been done is told",
        ),
        pytest.param(
            make_notice(resolved=True, rollback=BLOCKED),
            "From 2026-07-01 12:00:00 UTC to 2026-07-01 12:03:00 UTC (3 min), severity high. "
            "Nothing was rolled back.",
            id="once it is over, what held a rollback back is past",
        ),
        pytest.param(
            make_notice(
                rollback=BLOCKED,
                headline="api: rollback of v2 blocked: MODE (its mode only observes)",
            ),
            "Since 2026-07-01 12:00:00 UTC (2 min), severity high.",
            id="what the first line says is not said again",
        ),
    ],
)
def test_two_lines_are_enough(notice: Notice, second: str) -> None:
    assert wording.summary(notice) == (notice.headline, second)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("recovered", "Rollback from v2 to v1 done, and it helped."),
        ("not_recovered", "Rollback from v2 to v1 was done, and had not helped: still 500."),
        ("inconclusive", "Rollback from v2 to v1 was done, and was not seen to help: still 500."),
        ("failed", "Rollback from v2 to v1 had failed: still 500."),
        (
            "uncertain",
            "Rollback from v2 to v1 uncertain, a person has to look: still 500.",
        ),
    ],
)
def test_once_all_is_over_nobody_has_to_act_for_a_rollback_that_did_not_help(
    state: str, said: str
) -> None:
    """What is half done may be half done still: that alone goes on."""
    summary = replace(ROLLED_BACK, state=state, reason="still 500")
    notice = make_notice(resolved=True, rollback=summary)

    assert wording.summary(notice)[1].endswith(f"severity high. {said}")
    assert dict(wording.facts(notice))["Rollback"] == said


RUNBOOK = (Link(name="board", url="https://b.test"), Link(name="runbook", url="https://r.test"))
WHEN = (
    "Since 2026-07-01 12:00:00 UTC (2 min), severity high. "
    "Take it on: production-monitor incident ack api."
)


@pytest.mark.parametrize(
    ("headline", "asked", "rest"),
    [
        pytest.param(
            "queue is failing: value is 7, expected less than 5",
            ["cache:6379 LLEN jobs"],
            " Asked: cache:6379 LLEN jobs. Runbook: https://r.test",
            id="what a figure is of",
        ),
        pytest.param(
            "db:5432 refused the connection",
            ["postgresql://db:5432"],
            " Runbook: https://r.test",
            id="what is named already",
        ),
        pytest.param("api answers 500", ["api"], " Runbook: https://r.test", id="a bare name"),
        pytest.param(
            "api answers 500",
            ["https://a.test/", "https://a.test/", "https://b.test/", "dns://c", "dns://d"],
            " Asked: https://a.test/; https://b.test/; dns://c. Runbook: https://r.test",
            id="the first of many",
        ),
    ],
)
def test_who_sees_nothing_but_text_reads_what_was_asked_and_what_to_do(
    headline: str, asked: list[str], rest: str
) -> None:
    members = tuple(replace(member("api.health"), target=one) for one in asked)
    notice = make_notice(headline=headline, members=members, links=RUNBOOK)

    assert wording.whole_text(notice) == f"{headline}\n{WHEN}{rest}"


@pytest.mark.parametrize(
    ("facts", "press"),
    [
        ({}, "Take it on: production-monitor incident ack api."),
        ({"event": NoticeEvent.UPDATED}, ""),
        ({"acknowledged_by": "ana"}, ""),
        (
            {"event": NoticeEvent.ROLLBACK, "rollback": replace(ROLLED_BACK, approvable=True)},
            "Begin it: production-monitor rollback approve api.",
        ),
        (
            {
                "event": NoticeEvent.ROLLBACK,
                "rollback": replace(ROLLED_BACK, approvable=True, vetoable=True),
            },
            "Begin it: production-monitor rollback approve api. "
            "Stop it: production-monitor rollback veto api.",
        ),
        ({"event": NoticeEvent.TEST}, ""),
    ],
)
def test_who_has_no_buttons_reads_which_command_to_give(facts: dict[str, Any], press: str) -> None:
    assert wording.what_to_press(replace(make_notice(), **facts)) == press


def test_of_several_requests_the_one_that_failed_is_named() -> None:
    failing = replace(make_reason("step 2 of 2, order: 500"), asked="POST https://shop.test/order")
    one = replace(member("buy.health", failing), target="https://shop.test/login")
    told = wording.whole_text(make_notice(members=(one,)))

    assert told.endswith("ack api. Asked: POST https://shop.test/order.")
    assert " at POST https://shop.test/order: " in wording.member_line(one)


def test_once_it_is_over_nobody_needs_the_runbook() -> None:
    over = replace(member("a.health", closed_at=at(180)), target="https://a.test/")
    notice = make_notice(resolved=True, members=(over,), links=RUNBOOK)

    assert wording.whole_text(notice) == "\n".join(wording.summary(notice))


def test_facts_that_are_empty_are_left_out() -> None:
    facts = dict(wording.facts(make_notice(resolved=True, rollback=ROLLED_BACK)))

    assert facts["On call"] == "@ana"
    assert facts["Resolved"] == "2026-07-01 12:03:00 UTC"
    assert facts["Rollback"].startswith("Rollback from v2")
    assert "Location" not in facts
    assert "Deploy" not in facts
