"""Whatever fails, is silenced or restarts: nobody hears of what is withheld, nothing is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.changes import Changes
from monitor.core.model.incident import IncidentClass
from monitor.core.model.notice import NoticeEvent
from tests.support.depending import NAMES, NIGHTLY, Chain, make_chain, make_silence
from tests.support.watching import at

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery
    from monitor.core.model.silence import Silence

WINDOW: Final = replace(NIGHTLY, starts_at=at(900), ends_at=at(1_800))
BENEATH: Final = {"shop": ("api", "database"), "api": ("database",), "database": ()}
_ENDS: Final = (NoticeEvent.RESOLVED,)


@dataclass(frozen=True)
class Look:
    """Probe all services `times`; those in `failing` answer 500."""

    failing: frozenset[str]
    times: int


@dataclass(frozen=True)
class Silent:
    """Somebody silences a service for so long."""

    service: str
    seconds: int


@dataclass(frozen=True)
class Restart:
    """The process dies and another goes on, so much later."""

    after: int


Step = Look | Silent | Restart
STEPS: Final = st.lists(
    st.one_of(
        st.builds(Look, st.frozensets(st.sampled_from(NAMES)), st.integers(1, 5)),
        st.builds(Silent, st.sampled_from(NAMES), st.integers(10, 900)),
        st.builds(Restart, st.integers(0, 600)),
    ),
    max_size=25,
)


@dataclass
class World:
    """The chain, and by whom its services are silenced, without looking at what the core says."""

    chain: Chain = field(default_factory=lambda: make_chain(WINDOW))
    silences: list[Silence] = field(default_factory=list)
    told: list[Delivery] = field(default_factory=list)

    def go(self, step: Step) -> None:
        match step:
            case Look(failing=failing, times=times):
                for _ in range(times):
                    for name in NAMES:
                        self._probe(name, 500 if name in failing else 200)
                    self._tick()
                    self.chain.seconds += 30
            case Silent(service=service, seconds=seconds):
                silence = make_silence(
                    id=f"s{len(self.silences)}",
                    services=(service,),
                    starts_at=self.now,
                    ends_at=self.now + timedelta(seconds=seconds),
                )
                self.silences.append(silence)
                self.chain.engine.situation.apply(Changes(silences=(silence,)))
            case Restart(after=after):
                self._restart(after)

    @property
    def now(self) -> datetime:
        return at(self.chain.seconds)

    def _probe(self, name: str, status: int) -> None:
        self.chain.story.seconds = self.chain.seconds
        self._hear(self.chain.story.sees(status, endpoint=name), self.now)

    def _tick(self) -> None:
        now = at(self.chain.seconds + 1)
        self._hear(self.chain.engine.tick(now), now)

    def _restart(self, after: int) -> None:
        before = self.chain
        self.chain = make_chain(WINDOW)
        self.chain.engine.situation.apply(before.engine.situation.everything())
        self.chain.seconds = before.seconds + after
        engine = self.chain.engine
        self._hear(engine.adopt(engine.endpoints.values(), engine.directory, self.now), self.now)

    def _hear(self, changes: Changes, now: datetime) -> None:
        for row in changes.deliveries:
            self.told.append(row)
            if row.notice.event not in _ENDS:
                assert not self._withheld(row.notice.service, now), row.notice

    def _withheld(self, service: str, now: datetime) -> bool:
        situation = self.chain.engine.situation

        return (
            (service in WINDOW.services and at(900) <= now < at(1_800))
            or any(
                situation.open_incident(one, IncidentClass.OUTAGE) and not self._silenced(one, now)
                for one in BENEATH[service]
            )
            or self._silenced(service, now)
        )

    def _silenced(self, service: str, now: datetime) -> bool:
        return any(one.services == (service,) and one.active(now) for one in self.silences)


@given(steps=STEPS, failing=st.frozensets(st.sampled_from(NAMES), max_size=1))
def test_nobody_hears_of_what_is_withheld_and_all_that_still_fails_is_told_once(
    steps: list[Step], failing: frozenset[str]
) -> None:
    world = World()
    for step in steps:
        world.go(step)
    world.chain.seconds = max(world.chain.seconds, 1_800) + 900  # every silence is over
    world.go(Look(failing, 8))

    events = Counter((row.notice.incident, row.notice.event) for row in world.told)
    for incident in world.chain.engine.situation.incidents.values():
        opened = events[incident.id, NoticeEvent.OPENED]
        assert opened <= 1
        assert events[incident.id, NoticeEvent.RESOLVED] == (opened if not incident.open else 0)
        if incident.open:
            assert opened == 1, incident
            assert incident.attention.hold is None
    still = {one.service for one in world.chain.engine.situation.open_incidents()}
    assert still == failing
