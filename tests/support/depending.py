"""Services that depend on each other, and what people hear of them: an engine without a clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from monitor.core.model.changes import Changes
from monitor.core.model.service import Maintenance, Service
from monitor.core.model.silence import Silence
from tests.support.watching import Story, at, make_directory, make_endpoint, make_story

if TYPE_CHECKING:
    from monitor.core.engine import Engine
    from monitor.core.model.incident import Hold, Incident
    from monitor.core.model.notice import Delivery

NAMES: Final = ("shop", "api", "database")
"""Each has one endpoint of its name; the shop depends on the api, and that on the database."""

NIGHTLY: Final = Maintenance(
    name="maintenance 1",
    starts_at=at(0),
    ends_at=at(600),
    services=frozenset({"shop"}),
    reason="new disks",
)


@dataclass
class Chain:
    """Three services of which each depends on the next, and what people were told of them."""

    story: Story
    seconds: float = 0
    told: list[Delivery] = field(default_factory=list)

    def look(self, **statuses: int | str) -> None:
        """Probe these services once, and let a second decide afterwards; then 30 s pass."""
        for name, status in statuses.items():
            self.story.seconds = self.seconds
            self.told += self.story.sees(status, endpoint=name).deliveries
        self.tick()
        self.seconds += 30

    def fail(self, *names: str) -> None:
        """Let services fail until their incidents are open."""
        for _ in range(3):
            self.look(**dict.fromkeys(names, 500))

    def recover(self, *names: str) -> None:
        """Let services pass until their incidents are over."""
        for _ in range(2):
            self.look(**dict.fromkeys(names, 200))

    def tick(self, seconds: float = 1) -> None:
        """Decide what time alone decides, so long after the last probes."""
        self.told += self.engine.tick(at(self.seconds + seconds)).deliveries

    @property
    def engine(self) -> Engine:
        return self.story.engine

    def of(self, service: str) -> Incident:
        """Give the newest incident of a service."""
        known = [one for one in self.engine.situation.incidents.values() if one.service == service]

        return max(known, key=lambda one: one.opened_at)

    def hold(self, service: str) -> Hold | None:
        return self.of(service).attention.hold

    @property
    def heard(self) -> list[tuple[str, str]]:
        """What people were told of, in order: service and event."""
        return [(row.notice.service, row.notice.event.value) for row in self.told]

    def lines(self, service: str) -> list[str]:
        """The events of the timeline of a service's newest incident."""
        timelines = self.engine.situation.timelines

        return [line.event for line in timelines[self.of(service).id]]


def make_chain(*maintenance: Maintenance, silence: Silence | None = None) -> Chain:
    shop, api, database = NAMES
    directory = replace(
        make_directory(
            Service(name=shop, depends_on=(api,)),
            Service(name=api, depends_on=(database,)),
            Service(name=database),
        ),
        maintenance=maintenance,
    )
    chain = Chain(
        make_story(*(make_endpoint(name=name, service=name) for name in NAMES), directory=directory)
    )
    if silence is not None:
        chain.engine.situation.apply(Changes(silences=(silence,)))

    return chain


def make_silence(**facts: object) -> Silence:
    silence = Silence(
        id="s1", services=("shop",), severities=(), starts_at=at(0), ends_at=at(600), by="ana"
    )

    return replace(silence, **facts)  # type: ignore[arg-type]  # the tests name fields only
