"""Many incidents in one message: which, in which words, and that none is lost or told twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import outbox
from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import Incident, IncidentClass, IncidentPhase
from monitor.core.model.notice import (
    Delivered,
    Delivery,
    DeliveryState,
    Earlier,
    Link,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.core.outbox import Crowd, Errand, Style
from monitor.core.situation import Situation
from tests.support.notices import NOON, make_delivery, make_notice, make_rollback

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.core.model.notice import Receipt

DIGESTS = Style(digests=True)
TRACKS = Style(digests=True, tracks=True)
PERHAPS = TryAgain(reason="timeout", error="too late")
NOT_SENT = TryAgain(reason="unreachable", error="no connection")


def opening(number: int, **parts: Any) -> Delivery:
    at = NOON + timedelta(seconds=number)
    wanted = {"incident": f"i-{number:02}", "service": f"s-{number:02}", "since": at, "at": at}

    return make_delivery(make_notice(**{**wanted, **parts}))


def ending(number: int, **parts: Any) -> Delivery:
    at = NOON + timedelta(seconds=number)
    over = at + timedelta(minutes=3)
    wanted = {"incident": f"i-{number:02}", "service": f"s-{number:02}", "since": at, "at": over}

    return make_delivery(
        make_notice(NoticeEvent.RESOLVED, **{**wanted, "resolved_at": over, **parts})
    )


def openings(count: int) -> list[Delivery]:
    return [opening(number) for number in range(count)]


def knowing(*rows: Delivery, incidents: Iterable[str] = ()) -> Situation:
    situation = Situation()
    situation.apply(
        Changes(
            deliveries=rows,
            incidents=tuple(
                Incident(
                    id=id,
                    service=id,
                    klass=IncidentClass.OUTAGE,
                    severity=Severity.HIGH,
                    phase=IncidentPhase.INVESTIGATING,
                    since=NOON,
                    opened_at=NOON,
                    members=(),
                )
                for id in incidents
            ),
        )
    )

    return situation


def only(errands: Sequence[Errand]) -> Errand:
    [errand] = errands

    return errand


def ids(rows: Iterable[Delivery]) -> set[str]:
    return {row.id for row in rows}


def test_nine_incidents_are_told_one_by_one_and_ten_in_one_message() -> None:
    nine = outbox.plan_errands(openings(9), DIGESTS)
    ten = only(outbox.plan_errands(openings(10), DIGESTS))

    assert len(nine) == 9
    assert ids(ten.rows) == ids(openings(10))
    assert (ten.row.id, ten.message.key) == (opening(0).id, opening(0).key)
    assert ten.message.notice.event is NoticeEvent.DIGEST


def test_who_takes_no_digests_is_told_of_each() -> None:
    assert len(outbox.plan_errands(openings(30))) == 30


def test_a_digest_says_how_much_how_bad_and_where_the_worst_first() -> None:
    rows = [*openings(9), opening(39, severity=Severity.CRITICAL)]

    notice = only(outbox.plan_errands(rows, DIGESTS)).message.notice

    assert notice.headline == (
        "10 incidents in 39 s (1 critical, 9 high): s-39, s-00, s-01, s-02, s-03 and 5 more"
    )
    assert notice.severity is Severity.CRITICAL
    assert (notice.service, notice.members, notice.resolved_at) == ("10 services", (), None)
    assert notice.incident.startswith("digest-")
    assert [line.service for line in notice.lines[:2]] == ["s-39", "s-00"]
    assert notice.lines[1].since == notice.lines[1].at == NOON


def test_what_is_over_and_was_never_told_is_one_line_with_both_times() -> None:
    rows = [*openings(10), *(ending(number) for number in range(4))]

    notice = only(outbox.plan_errands(rows, DIGESTS)).message.notice

    assert notice.headline.startswith("10 incidents in 9 s (10 high), 4 of them over: ")
    assert len(notice.lines) == 10
    over = [line for line in notice.lines if line.resolved_at is not None]
    assert [line.incident for line in over] == ["i-00", "i-01", "i-02", "i-03"]
    assert over[0].since == NOON
    assert over[0].resolved_at == NOON + timedelta(minutes=3)
    assert notice.lines[-4:] == tuple(over)


def test_ends_are_told_together_and_after_the_beginnings() -> None:
    mixed = [*openings(8), *(ending(number) for number in range(20, 24))]
    ends = [ending(number) for number in range(12)]

    both = only(outbox.plan_errands(mixed, DIGESTS)).message.notice
    alone = only(outbox.plan_errands(ends, DIGESTS)).message.notice

    assert both.headline.startswith("8 incidents in 7 s (8 high); 4 incidents are over: ")
    assert [line.event for line in both.lines[-4:]] == [NoticeEvent.RESOLVED] * 4
    assert alone.headline.startswith("12 incidents are over: ")
    assert alone.phase is IncidentPhase.RESOLVED
    assert alone.resolved_at == NOON + timedelta(minutes=3, seconds=11)


@pytest.mark.parametrize(
    "parts",
    [
        {"rollback": replace(make_rollback("blocked"), approvable=True)},
        {"rollback": replace(make_rollback("executing"), vetoable=True)},
        {"rollback": make_rollback("not_recovered")},
        {"klass": IncidentClass.MONITOR, "event": NoticeEvent.BLIND},
    ],
    ids=["to approve", "to veto", "a rollback that did not help", "the monitor is blind"],
)
def test_what_calls_a_person_is_not_hidden_among_others(parts: dict[str, Any]) -> None:
    calling = opening(70, **parts)
    errands = outbox.plan_errands([*openings(20), calling], DIGESTS)

    assert sorted(len(errand.rows) for errand in errands) == [1, 20]
    [alone] = [errand for errand in errands if not errand.digest]
    assert alone.row == calling


def test_a_rollback_that_went_well_or_is_held_back_may_be_a_line() -> None:
    rows = [opening(n, rollback=make_rollback(state)) for n, state in enumerate(["blocked"] * 10)]

    assert only(outbox.plan_errands(rows, DIGESTS)).digest


def test_what_may_have_arrived_keeps_its_own_key() -> None:
    perhaps = replace(opening(50), maybe_sent=True)
    errands = outbox.plan_errands([*openings(10), perhaps], DIGESTS)

    assert {errand.message.key: len(errand.rows) for errand in errands} == {
        opening(0).key: 10,
        perhaps.key: 1,
    }


def test_much_that_may_have_arrived_is_told_together_under_a_key_of_which_nobody_knows() -> None:
    perhaps = [replace(row, maybe_sent=True) for row in openings(10)]
    fresh = opening(50)

    told = only(outbox.plan_errands([*perhaps, fresh], DIGESTS))

    assert (told.message.key, told.message.maybe_sent) == (fresh.key, True)
    assert ids(told.rows) == ids([*perhaps, fresh])
    assert len(outbox.plan_errands(perhaps, DIGESTS)) == 10
    assert len(outbox.plan_errands([*perhaps, fresh], TRACKS)) == 11


def begin_and_settle(
    situation: Situation, errand: Errand, receipt: Receipt
) -> tuple[Errand, tuple[Delivery, ...]]:
    begun = outbox.begin(errand)
    situation.apply(Changes(deliveries=begun.rows))
    settled = outbox.settle(begun, receipt, NOON, jitter=0)
    situation.apply(Changes(deliveries=settled))

    return begun, settled


def next_errands(situation: Situation, style: Style = DIGESTS) -> list[Errand]:
    return outbox.plan_errands(situation.pending_deliveries("oncall"), style)


def test_all_its_rows_are_settled_with_it_and_say_in_what_they_were_told() -> None:
    situation = knowing(*openings(12))

    _, settled = begin_and_settle(situation, only(next_errands(situation)), Delivered())

    assert {row.state for row in settled} == {DeliveryState.DELIVERED}
    assert {row.told_in for row in settled} == {opening(0).id}
    assert next_errands(situation) == []


def test_a_digest_that_may_have_arrived_is_sent_again_as_it_was() -> None:
    situation = knowing(*openings(10))
    begun, _ = begin_and_settle(situation, only(next_errands(situation)), PERHAPS)
    situation.apply(Changes(deliveries=(ending(3), *(opening(number) for number in range(30, 45)))))

    again, new = sorted(next_errands(situation), key=lambda errand: errand.row.id)

    assert ids(again.rows) == ids(begun.rows)
    assert again.message.key == begun.message.key
    assert again.message.notice.lines == begun.message.notice.lines
    assert ids(new.rows) == {opening(number).id for number in range(30, 45)}
    begin_and_settle(situation, again, Delivered())
    assert ending(3).id in {row.id for errand in next_errands(situation) for row in errand.rows}


def test_after_a_crash_a_digest_is_the_same_again() -> None:
    situation = knowing(*openings(10))
    begun = outbox.begin(only(next_errands(situation)))
    situation.apply(Changes(deliveries=begun.rows))

    # The process ended here; another takes up what it left.
    taken = outbox.take_up(situation.pending_deliveries("oncall"), NOON)
    situation.apply(Changes(deliveries=(*taken, opening(40))))
    again, single = sorted(next_errands(situation), key=lambda errand: errand.row.id)

    assert ids(again.rows) == ids(begun.rows)
    assert again.message.maybe_sent
    assert single.row == opening(40)


def test_a_digest_that_was_surely_not_sent_takes_in_what_comes() -> None:
    situation = knowing(*openings(10))
    begin_and_settle(situation, only(next_errands(situation)), NOT_SENT)
    situation.apply(Changes(deliveries=(opening(40), ending(2))))

    again = only(next_errands(situation))

    assert ids(again.rows) == ids([*openings(10), opening(40), ending(2)])
    assert again.row.id == opening(0).id
    assert again.row.attempts == 1


def test_a_digest_that_is_refused_leaves_dead_letters_that_are_told_alone_again() -> None:
    situation = knowing(*openings(10))
    refusal = Refused(reason="refused", error="no")
    _, settled = begin_and_settle(situation, only(next_errands(situation)), refusal)
    assert {(row.state, row.told_in) for row in settled} == {(DeliveryState.DEAD, "")}

    situation.apply(Changes(deliveries=tuple(outbox.requeue(row) for row in settled[:3])))

    assert len(next_errands(situation)) == 3


def test_who_keeps_incidents_open_is_told_of_each_end_by_itself() -> None:
    rows = [*openings(12), ending(0), *(ending(number) for number in range(20, 32))]

    errands = outbox.plan_errands(rows, TRACKS)

    [digest] = [errand for errand in errands if errand.digest]
    assert ids(digest.rows) == ids(openings(12)[1:])
    assert sum(errand.message.notice.event is NoticeEvent.RESOLVED for errand in errands) == 13


def test_a_message_of_its_own_is_kept_up_to_date_rather_than_told_in_a_digest() -> None:
    told = replace(opening(0), state=DeliveryState.DELIVERED, reference="c:1")
    situation = knowing(told, ending(0), *openings(13)[1:])

    planned = outbox.plan(
        [rows.values() for rows in situation.pending_incidents("oncall").values()],
        DIGESTS,
        is_tracked=lambda incident: outbox.has_reference(situation, "oncall", incident),
    )

    errands = [one.errand(DIGESTS) for one in planned]
    assert sorted(len(errand.rows) for errand in errands) == [1, 12]
    [alone] = [errand for errand in errands if not errand.digest]
    assert outbox.find_earlier(situation, alone) == Earlier(reference="c:1")


def test_what_follows_a_digest_knows_of_it_and_how_many_others_go_on() -> None:
    situation = knowing(*openings(12), incidents=[f"i-{number:02}" for number in range(7)])
    begin_and_settle(situation, only(next_errands(situation)), Delivered(reference="c:9"))
    situation.apply(Changes(deliveries=(ending(0), ending(3))))

    follow = {errand.row.id: errand for errand in next_errands(situation)}

    expected = Earlier(digest=opening(0).key, others=6)
    assert outbox.find_earlier(situation, follow[ending(0).id]) == expected
    assert outbox.find_earlier(situation, follow[ending(3).id]) == expected


def test_a_digest_links_to_the_page_with_all_incidents() -> None:
    link = Link(name="incident", url="https://status.example/#i-00")
    rows = [opening(number, links=(link,)) for number in range(10)]

    notice = only(outbox.plan_errands(rows, DIGESTS)).message.notice

    assert notice.links == (Link(name="incidents", url="https://status.example/"),)


def by_incident(rows: Iterable[Delivery]) -> dict[str, dict[str, Delivery]]:
    return {row.notice.incident: {row.id: row} for row in rows}


def test_it_storms_from_the_tenth_incident_of_a_minute_also_if_each_was_told_at_once() -> None:
    crowd = Crowd()
    for number in range(9):
        row = opening(number)
        assert not crowd.storms(by_incident([row]), row.queued_at)

    assert crowd.storms(by_incident([opening(9)]), opening(9).queued_at)
    assert not crowd.storms({}, NOON + timedelta(seconds=62))


def test_in_a_storm_what_comes_is_gathered_for_a_moment() -> None:
    rows = [opening(30), opening(34)]

    [digest] = outbox.plan([[row] for row in rows], DIGESTS, storms=True, waits=True)
    [single] = outbox.plan([rows[:1]], DIGESTS, storms=True, waits=True)
    [urgent] = outbox.plan(
        [[opening(35, rollback=replace(make_rollback("blocked"), approvable=True))]],
        DIGESTS,
        storms=True,
        waits=True,
    )

    until = NOON + timedelta(seconds=30) + outbox.GATHER
    assert digest.errand(DIGESTS).digest
    assert (digest.not_before, single.not_before) == (until, until)
    assert single.errand(DIGESTS).row == rows[0]
    assert (urgent.not_before, urgent.urgency) == (None, -1)


RECEIPTS: dict[str, Receipt] = {
    "ok": Delivered(),
    "perhaps": PERHAPS,
    "not sent": NOT_SENT,
    "no": Refused(reason="refused", error="x"),
}


class Play:
    """One notifier's outbox through whatever happens; it fails once a promise is broken."""

    def __init__(self, style: Style) -> None:
        self.situation = Situation()
        self.told: list[Delivery] = []
        self._style = style
        self._queued = 0
        self._begun: set[int] = set()
        self._perhaps: dict[str, set[str]] = {}

    @property
    def pending(self) -> list[Delivery]:
        return self.situation.pending_deliveries("oncall")

    def queue(self, incident: int, event: NoticeEvent) -> None:
        event = event if incident in self._begun else NoticeEvent.OPENED
        self._begun.add(incident)
        self._queued += 1
        notice = make_notice(event, incident=f"i-{incident}", sequence=self._queued)
        row = make_delivery(notice, queued_at=NOON + timedelta(seconds=self._queued))
        self.situation.apply(Changes(deliveries=(row,)))

    def attempt(self, outcome: str) -> None:
        errand = next_errands(self.situation, self._style)[0]
        key = errand.message.key
        assert ids(errand.rows) == self._perhaps.get(key, ids(errand.rows))
        if outcome in ("perhaps", "crash"):
            self._perhaps[key] = ids(errand.rows)
        if outcome == "crash":
            self.situation.apply(Changes(deliveries=outbox.begin(errand).rows))
            taken = outbox.take_up(self.pending, NOON)
            self.situation.apply(Changes(deliveries=taken))
            return

        begun, _ = begin_and_settle(self.situation, errand, RECEIPTS[outcome])
        if outcome == "ok":
            self.told += sorted(begun.rows, key=lambda row: row.notice.sequence)


events = st.sampled_from([NoticeEvent.UPDATED, NoticeEvent.ROLLBACK, NoticeEvent.RESOLVED])
outcomes = st.sampled_from(["ok", "ok", *RECEIPTS, "crash"])
batches = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 25), events), min_size=1, max_size=30),
        st.lists(outcomes, max_size=8),
    ),
    max_size=6,
)


@given(batches=batches, style=st.sampled_from([DIGESTS, TRACKS]))
def test_whatever_happens_each_notice_is_settled_once_in_order_and_under_one_key(
    batches: list[tuple[list[tuple[int, NoticeEvent]], list[str]]], style: Style
) -> None:
    play = Play(style)
    for happens, said in batches:
        for incident, event in happens:
            play.queue(incident, event)
        for outcome in said:
            if play.pending:
                play.attempt(outcome)
    while play.pending:
        before = len(play.pending)
        play.attempt("ok")
        assert len(play.pending) < before

    assert len(play.told) == len(ids(play.told))
    dead = sum(row.state is DeliveryState.DEAD for row in play.situation.deliveries.values())
    assert len(play.told) + dead == len(play.situation.deliveries)
    for name in {row.notice.incident for row in play.told}:
        order = [row.notice.sequence for row in play.told if row.notice.incident == name]
        assert order == sorted(order)
