"""How verdicts are counted: when a check opens, when it closes, and what moves nothing."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.check_state import Change, CheckEvent, CheckState, Flapping
from monitor.core.model.endpoint import Check, FailureThreshold, HealthRule, InARow, KOfN
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome, Reason, Verdict
from monitor.core.tracker import adopt, advance, settled
from monitor.store.codec import decode, encode
from tests.support.judging import NOON, latency_rule, make_check

EVERY = timedelta(seconds=30)
HEALTH = HealthRule(expectations=())
OUTCOMES = {
    "F": Outcome.FAIL,
    "P": Outcome.PASS,
    "?": Outcome.UNKNOWN,
    "w": Outcome.WAITING,
    "r": Outcome.WAITING,
}
MARKS = {
    Change.OPENED: "O",
    Change.CLOSED: "C",
    Change.PAUSED: "C",  # as one that flaps closes
    Change.SETTLED: "",
    Change.WENT_BLIND: "B",
    Change.SEES_AGAIN: "S",
}

TURNS = (Change.OPENED, Change.CLOSED)


def tick(number: int) -> datetime:
    """Give the time of the sample with a number, from 0 on."""
    return NOON + number * EVERY


def verdict(letter: str, number: int = 0) -> Verdict:
    """Give the verdict of a letter: F P ? as in pass and fail, w waits, r waits and resets."""
    reasons: tuple[Reason, ...] = ()
    if letter in "F?":
        reasons = (Reason(code=Code.STATUS, message=f"sample {number} is bad"),)

    return Verdict(
        outcome=OUTCOMES[letter],
        at=tick(number),
        reasons=reasons,
        restarts=letter == "r",
    )


def in_a_row(count: int, success: int = 1) -> Check:
    """Give a check that opens after so many fails in a row."""
    return make_check(HEALTH, threshold=InARow(count=count), success=success)


def k_of_n(k: int, n: int, success: int = 1) -> Check:
    """Give a check that opens after K fails among N."""
    return make_check(HEALTH, threshold=KOfN(k=k, n=n), success=success)


def follow(
    check: Check, letters: str, state: CheckState | None = None, *, restart: bool = False
) -> tuple[CheckState, list[CheckEvent], str]:
    """Count the verdicts; gives the last state, all events, and a mark for each verdict."""
    all_events: list[CheckEvent] = []
    marks = ""
    for number, letter in enumerate(letters):
        state, events = advance(check, state, verdict(letter, number), every=EVERY)
        all_events += events
        marks += "".join(MARKS[event.change] for event in events) or "-"
        if restart:
            state = decode(CheckState, encode(state))
    assert state is not None

    return state, all_events, marks


SEQUENCES = [
    (in_a_row(3), "FFF", "--O"),
    (in_a_row(3), "FFFF", "--O-"),
    (in_a_row(1), "F", "O"),
    (in_a_row(3), "FFPFF", "-----"),
    (in_a_row(3), "FFPFFF", "-----O"),
    (in_a_row(3), "FF?F", "---O"),
    (in_a_row(3), "FFwF", "---O"),
    (in_a_row(3), "F?wF?wF", "------O"),
    (in_a_row(3), "FFrF", "----"),
    (in_a_row(3), "FFrFFF", "-----O"),
    (in_a_row(3), "FFFP", "--OC"),
    (in_a_row(3), "FFFPFFF", "--OC--O"),
    (in_a_row(3, success=2), "FFFPP", "--O-C"),
    (in_a_row(3, success=2), "FFFPFPP", "--O---C"),
    (in_a_row(3, success=2), "FFFP?P", "--O--C"),
    (in_a_row(3, success=2), "FFFPwP", "--O--C"),
    (in_a_row(3, success=2), "FFFPrPP", "--O---C"),
    (in_a_row(1, success=3), "FPPPF", "O--CO"),
    (in_a_row(3), "PPPP", "----"),
    (in_a_row(3), "FPFPFPF", "-------"),
    (k_of_n(3, 5), "FPFPF", "----O"),
    (k_of_n(3, 5), "FFF", "--O"),
    (k_of_n(3, 5), "FFPPPF", "------"),
    (k_of_n(3, 5), "FPPFPF", "------"),
    (k_of_n(3, 5), "F?F?wF", "-----O"),
    (k_of_n(3, 5), "FFPPF", "----O"),
    (k_of_n(3, 5), "FFrFF", "-----"),
    (k_of_n(3, 5), "FFFPFF", "--OC--"),
    (k_of_n(3, 5), "FFFPFFF", "--OC--O"),
    (k_of_n(2, 2, success=2), "FPFFPP", "---O-C"),
    (k_of_n(1, 5), "PF", "-O"),
]


def _promise(check: Check, letters: str, marks: str) -> str:
    match check.failure_threshold:
        case InARow(count=count):
            threshold = f"{count} in a row"
        case KOfN(k=k, n=n):
            threshold = f"{k} of {n}"

    return f"{threshold}, {check.success_threshold} to close: {letters} -> {marks}"


@pytest.mark.parametrize(
    ("check", "letters", "marks"), SEQUENCES, ids=[_promise(*case) for case in SEQUENCES]
)
def test_a_check_opens_and_closes_exactly_then(check: Check, letters: str, marks: str) -> None:
    assert follow(check, letters)[2] == marks
    assert follow(check, letters, restart=True)[2] == marks


def reference(threshold: FailureThreshold, success: int, letters: str) -> str:
    """Count over the whole past at each step: slow, and obviously right."""
    marks, is_open, judged = "", False, ""
    for letter in letters:
        mark = "-"
        if letter in "FP":
            judged += letter
        if is_open and judged.endswith("P" * success):
            is_open, judged, mark = False, "", "C"
        elif not is_open and letter == "F":
            match threshold:
                case InARow(count=count):
                    enough = judged.endswith("F" * count)
                case KOfN(k=k, n=n):
                    enough = judged[-n:].count("F") >= k
            if enough:
                is_open, judged, mark = True, "", "O"
        marks += mark

    return marks


THRESHOLDS = st.one_of(
    st.builds(InARow, count=st.integers(1, 5)),
    st.integers(1, 6).flatmap(lambda n: st.builds(KOfN, k=st.integers(1, n), n=st.just(n))),
)


@given(
    threshold=THRESHOLDS,
    success=st.integers(1, 4),
    letters=st.text("FP?w", min_size=1, max_size=60),
    restart=st.booleans(),
)
def test_counting_agrees_with_counting_slowly_over_any_restarts(
    threshold: FailureThreshold, success: int, letters: str, restart: bool
) -> None:
    check = make_check(HEALTH, threshold=threshold, success=success)

    state, events, _ = follow(check, letters, restart=restart)

    turns = {event.at: MARKS[event.change] for event in events if event.change in TURNS}
    marks = "".join(turns.get(tick(number), "-") for number in range(len(letters)))
    assert marks == reference(threshold, success, letters)
    assert state.open is (marks.rfind("O") > marks.rfind("C"))


@given(threshold=THRESHOLDS, success=st.integers(1, 4), letters=st.text("FP", min_size=1))
def test_unknown_and_waiting_move_no_counter(
    threshold: FailureThreshold, success: int, letters: str
) -> None:
    check = make_check(HEALTH, threshold=threshold, success=success)
    before, _, _ = follow(check, letters)

    for letter in "?w":
        after, events = advance(check, before, verdict(letter, len(letters)), every=EVERY)
        assert events == ()
        assert (
            replace(
                after,
                consecutive_unknown=0,
                unknown_since=None,
                last_at=before.last_at,
                last_outcome=before.last_outcome,
                last_reasons=before.last_reasons,
            )
            == before
        )


def test_a_pass_keeps_whatever_else_is_known() -> None:
    counted = {
        "state",
        *("consecutive_failures", "consecutive_passes", "consecutive_unknown"),
        *("recent", "recent_fails", "failing_since", "blind", "unknown_since", "judged"),
        *("last_outcome", "last_at", "last_reasons"),
    }
    names = {field.name for field in fields(CheckState)} - counted - {"check", "fingerprint"}
    known: dict[str, Any] = {name: object() for name in names}
    known["flapping"] = Flapping(since=NOON, openings=7, turned_at=NOON)
    state, _, _ = follow(k_of_n(2, 3), "PFP")

    after, events = advance(
        k_of_n(2, 3), replace(state, **known), verdict("P", number=3), every=EVERY
    )

    assert {name: getattr(after, name) for name in names} == known
    assert (after.consecutive_passes, after.judged, after.recent) == (2, 4, (True, False, False))
    assert not events


def test_the_state_before_any_opening_is_pass_or_unknown() -> None:
    assert follow(in_a_row(3), "?")[0].state is Outcome.UNKNOWN
    assert follow(in_a_row(3), "FF")[0].state is Outcome.UNKNOWN
    assert follow(in_a_row(3), "P")[0].state is Outcome.PASS
    assert follow(in_a_row(3), "PFF")[0].state is Outcome.PASS
    assert follow(in_a_row(3), "FFF")[0].state is Outcome.FAIL
    assert follow(in_a_row(3, success=2), "FFFP")[0].state is Outcome.FAIL


def test_an_opening_tells_when_it_began_and_why() -> None:
    _, events, _ = follow(in_a_row(3), "PFF?F")

    assert events == [
        CheckEvent(
            change=Change.OPENED,
            check="api.health",
            at=tick(4),
            since=tick(1),
            failures=3,
            reasons=(Reason(code=Code.STATUS, message="sample 4 is bad"),),
        )
    ]


def test_an_opening_among_passes_began_with_the_oldest_fail_that_counts() -> None:
    _, events, _ = follow(k_of_n(3, 5), "FPPFPFF")

    assert [(event.change, event.since, event.at) for event in events] == [
        (Change.OPENED, tick(3), tick(6))
    ]


def test_a_closing_tells_since_when_it_was_open() -> None:
    _, events, _ = follow(in_a_row(2, success=2), "FFFPP")

    assert events[-1].change is Change.CLOSED
    assert (events[-1].since, events[-1].at) == (tick(0), tick(4))


def test_a_window_that_fails_began_at_its_start() -> None:
    check = make_check(latency_rule(), threshold=InARow(count=2))
    state: CheckState | None = None
    events: tuple[CheckEvent, ...] = ()
    for number in (0, 1):
        end = NOON + (number + 1) * timedelta(minutes=5)
        failed = Verdict(outcome=Outcome.FAIL, at=end, since=end - timedelta(minutes=5))
        state, events = advance(check, state, failed, every=EVERY)

    assert [(event.since, event.at) for event in events] == [(NOON, NOON + timedelta(minutes=10))]
    assert state is not None
    assert state.window_end == NOON + timedelta(minutes=10)


def test_a_waiting_window_was_judged_as_well() -> None:
    check = make_check(latency_rule())

    state, _ = advance(check, None, verdict("w", 7), every=EVERY)

    assert state.window_end == tick(7)


BLINDNESS = [
    ("???", "---"),
    ("????", "---B"),
    ("?????", "---B-"),
    ("????P", "---BS"),
    ("????F", "---BS"),
    ("??P??", "-----"),
    ("??w??", "---B-"),
    ("FF????F", "-----BSO"),
    ("FFF????P", "--O---BSC"),
]


@pytest.mark.parametrize(
    ("letters", "marks"), BLINDNESS, ids=[f"{letters} -> {marks}" for letters, marks in BLINDNESS]
)
def test_three_intervals_without_sight_are_blindness(letters: str, marks: str) -> None:
    assert follow(in_a_row(3), letters)[2] == marks
    assert follow(in_a_row(3), letters, restart=True)[2] == marks


def test_what_is_blind_is_unknown_save_that_it_was_open() -> None:
    assert follow(in_a_row(3), "P????")[0].state is Outcome.UNKNOWN
    assert follow(in_a_row(3), "FFF????")[0].state is Outcome.FAIL
    assert follow(in_a_row(3), "P????P")[0].state is Outcome.PASS


def test_retries_in_quick_succession_are_not_blindness() -> None:
    state = None
    for number in range(20):
        unknown = Verdict(outcome=Outcome.UNKNOWN, at=NOON + number * timedelta(seconds=1))
        state, events = advance(in_a_row(3), state, unknown, every=EVERY)
        assert events == ()


def test_a_clock_that_was_set_back_moves_no_counter() -> None:
    state, _, _ = follow(in_a_row(3), "FF")
    earlier = replace(verdict("?"), at=NOON - timedelta(hours=1))

    after, events = advance(in_a_row(3), state, earlier, every=EVERY)

    assert (after.consecutive_failures, events) == (2, ())


@pytest.mark.parametrize(
    ("check", "letters", "is_settled"),
    [
        (in_a_row(3), "P", True),
        (in_a_row(3), "PF", False),
        (in_a_row(3), "FF", False),
        (in_a_row(3), "FFF", True),
        (in_a_row(3, success=2), "FFFP", False),
        (in_a_row(3, success=2), "FFFPF", True),
        (in_a_row(3, success=2), "FFFPP", True),
        (in_a_row(3), "PF?", False),
        (k_of_n(2, 5), "FP", True),
        (in_a_row(3), "?", True),
    ],
    ids=str,
)
def test_a_check_is_settled_unless_it_is_on_its_way(
    check: Check, letters: str, is_settled: bool
) -> None:
    assert settled(check, follow(check, letters)[0]) is is_settled


def test_what_changed_meanwhile_is_settled_until_it_is_judged() -> None:
    state, _, _ = follow(in_a_row(3), "F")

    assert settled(replace(in_a_row(3), fingerprint="new"), state)


def test_a_changed_threshold_keeps_the_counts_and_opens_with_the_next_fail() -> None:
    state, _, _ = follow(in_a_row(5), "FFF")

    kept = adopt(in_a_row(2), state, NOON)
    after, events = advance(in_a_row(2), kept, verdict("F", 3), every=EVERY)

    assert not kept.open
    assert kept.consecutive_failures == 3
    assert after.open
    assert events[0].since == tick(0)


def test_fails_in_a_row_count_among_n_after_a_change_of_the_threshold() -> None:
    state, _, _ = follow(in_a_row(5), "FF")

    assert follow(k_of_n(3, 5), "PF", adopt(k_of_n(3, 5), state, NOON))[2] == "-O"


def test_a_shorter_memory_forgets_the_oldest() -> None:
    state, _, _ = follow(k_of_n(4, 6), "FFPPF")

    assert adopt(k_of_n(2, 3), state, NOON).recent == (False, False, True)
    assert adopt(k_of_n(2, 3), state, NOON).failing_since == tick(4)
    assert adopt(in_a_row(3), state, NOON).recent == ()
    assert follow(in_a_row(3), "FF", state)[2] == "-O"


def test_what_failed_before_the_last_pass_is_no_part_of_a_row() -> None:
    passed, _, _ = follow(k_of_n(3, 5), "FPFP")
    failed, _, _ = follow(k_of_n(4, 5), "FPFF")

    assert adopt(in_a_row(3), passed, NOON).failing_since is None
    assert adopt(in_a_row(3), failed, NOON).failing_since == tick(2)


def test_a_changed_rule_restarts_the_counts() -> None:
    state, _, _ = follow(in_a_row(3), "PFF")
    changed = replace(in_a_row(3), fingerprint="new")

    adopted = adopt(changed, state, NOON)

    assert (adopted.consecutive_failures, adopted.judged) == (0, 0)
    assert adopted.state is Outcome.UNKNOWN
    assert follow(changed, "FFF", state)[2] == "--O"


def test_what_is_open_closes_by_the_new_rule() -> None:
    state, _, _ = follow(in_a_row(3), "FFF")
    changed = replace(in_a_row(3, success=2), fingerprint="new")

    adopted = adopt(changed, state, NOON)

    assert adopted.open
    assert adopted.failing_since == tick(0)
    assert follow(changed, "FPP", state)[2] == "--C"


def test_blindness_outlives_a_changed_rule() -> None:
    state, _, _ = follow(in_a_row(3), "????")
    changed = replace(in_a_row(3), fingerprint="new")

    assert follow(changed, "P", state)[2] == "S"


def test_sight_is_lost_from_the_first_unknown_on_and_found_with_its_reasons() -> None:
    state, events, _ = follow(in_a_row(3), "P????P")

    assert [(event.change, event.since, event.at) for event in events] == [
        (Change.WENT_BLIND, tick(1), tick(4)),
        (Change.SEES_AGAIN, tick(1), tick(5)),
    ]
    assert events[0].reasons == (Reason(code=Code.STATUS, message="sample 4 is bad"),)
    assert (state.consecutive_unknown, state.unknown_since) == (0, None)


def test_an_interval_that_came_a_little_early_still_counts_as_one() -> None:
    state = None
    happened: list[Change] = []
    for seconds in (0, 29, 59, 88):
        unknown = Verdict(outcome=Outcome.UNKNOWN, at=NOON + timedelta(seconds=seconds))
        state, events = advance(in_a_row(3), state, unknown, every=EVERY)
        happened += [event.change for event in events]

    assert happened == [Change.WENT_BLIND]


def test_only_what_was_judged_is_counted_as_judged() -> None:
    state, _, _ = follow(in_a_row(3), "PF?wP")

    assert state.judged == 3
    assert (state.last_outcome, state.last_at) == (Outcome.PASS, tick(4))
