"""Who is told when, over random routes and stories, against an obvious reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.endpoint import Severity
from monitor.core.model.service import Targets
from tests.support.attending import Told, Watch, make_route

if TYPE_CHECKING:
    from monitor.core.model.service import Route

NOTIFIERS: Final = ("a", "b", "c")
SERVICES: Final = ("shop", "shop", "db")
WORST_FIRST: Final = list(Severity)
Act = tuple[str, str, Severity, int]

subsets = st.lists(st.sampled_from(NOTIFIERS), min_size=1, unique=True).map(tuple)
times = st.integers(1, 6).map(lambda minutes: 60.0 * minutes)
route = st.builds(
    lambda notify, severities, services, go_on, remind_every, escalate: make_route(
        *notify,
        severities=severities,
        services=services,
        go_on=go_on,
        remind_every=remind_every,
        escalate=escalate,
    ),
    subsets,
    st.sampled_from([(), (), *((one,) for one in WORST_FIRST), (WORST_FIRST[0], WORST_FIRST[1])]),
    st.sampled_from([(), (), (), ("shop",), ("db", "shop")]),
    st.booleans(),
    st.none() | times,
    st.dictionaries(times, subsets, max_size=3),
)
target = st.dictionaries(
    st.sampled_from(WORST_FIRST), st.none() | times.map(lambda one: timedelta(seconds=one))
)
act = st.tuples(
    st.sampled_from(
        [
            *("fail", "fail", "fail held", "recover", "wait", "wait", "wait"),
            *("acknowledge", "hold", "release", "restart", "set clock"),
        ]
    ),
    st.sampled_from(SERVICES),
    st.sampled_from(WORST_FIRST),
    st.integers(1, 6),
)


@dataclass
class Story:
    """What is expected of one incident: stopwatches that run, and lists of what was done."""

    service: str
    open: set[Severity]
    severity: Severity
    known: bool = False
    watch: float = 0
    acknowledged: bool = False
    held: bool = False
    rose: bool = False
    followers: set[str] = field(default_factory=set)
    steps: set[tuple[tuple[str, ...], float]] = field(default_factory=set)
    reminded: dict[str, float] = field(default_factory=dict)
    breached: set[str] = field(default_factory=set)

    def begin(self) -> None:
        self.known, self.watch = True, 0
        self.steps, self.reminded, self.breached = set(), {}, set()


class Reference:
    """The same rules once more, in the plainest way: nothing here survives anything."""

    def __init__(self, routes: list[Route], targets: Targets) -> None:
        self.routes = routes
        self.targets = targets
        self.now = 0.0
        self.stories: dict[str, Story] = {}
        self.told: list[tuple[str, Told]] = []

    def matching(self, service: str, severity: Severity) -> list[Route]:
        found = []
        for one in self.routes:
            if one.severities and severity not in one.severities:
                continue
            if one.services and service not in one.services:
                continue
            found.append(one)
            if not one.go_on:
                break

        return found or [make_route(*NOTIFIERS, number=99)]

    def say(self, story: Story, names: set[str], event: str) -> None:
        self.told += [(story.service, (self.now, name, event)) for name in names]
        story.followers |= names

    def turn(self, service: str, event: str = "updated") -> None:
        story = self.stories[service]
        if story.held:
            return
        receivers = {name for one in self.matching(service, story.severity) for name in one.notify}
        new = receivers - story.followers
        if event == "opened":
            self.say(story, story.followers | receivers, "opened")
        else:
            self.say(story, set(story.followers), event)
            self.say(story, new, "opened")

    def fail(self, service: str, severity: Severity, *, held: bool) -> None:
        story = self.stories.get(service)
        if story is None:
            self.stories[service] = story = Story(service, {severity}, severity, held=held)
            self.turn(service, "opened")
            if not held:
                story.begin()
            return
        if severity in story.open:
            return
        story.open.add(severity)
        if severity.rank < story.severity.rank:
            story.severity, story.acknowledged = severity, False
            story.rose = True
        self.turn(service)
        if story.rose and not story.held:
            story.begin()
            story.rose = False

    def recover(self, service: str, severity: Severity) -> None:
        story = self.stories[service]
        story.open.discard(severity)
        if not story.open:
            self.say(story, set(story.followers), "resolved")
            del self.stories[service]
            return
        story.severity = min(story.open, key=lambda one: one.rank)
        self.turn(service)

    def release(self, service: str) -> None:
        story = self.stories[service]
        story.held = False
        if not story.known:
            self.turn(service, "opened")
            story.begin()
        else:
            self.turn(service)
            if story.rose:
                story.begin()
        story.rose = False

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for service, story in self.stories.items():
            if story.known and not story.held:
                story.watch += seconds
                self.attend(service, story)

    def attend(self, service: str, story: Story) -> None:
        routes = [] if story.acknowledged else self.matching(service, story.severity)
        late = self.late(story)
        loud = {name for one in routes for name in self.escalate(one, story)}
        quiet = {name for one in routes for name in self.remind(one, story)}
        if late:
            loud |= story.followers
        self.say(story, loud, "escalated")
        self.say(story, quiet - loud, "reminder")

    def escalate(self, one: Route, story: Story) -> set[str]:
        names: set[str] = set()
        for step in one.escalate:
            name = (step.notify, step.after.total_seconds())
            if story.watch >= name[1] and name not in story.steps:
                story.steps.add(name)
                names |= set(step.notify)

        return names

    def remind(self, one: Route, story: Story) -> set[str]:
        if one.remind_every is None:
            return set()
        if story.watch - story.reminded.get(one.name, 0) < one.remind_every.total_seconds():
            return set()

        story.reminded[one.name] = story.watch
        names = set(one.notify)
        for step in one.escalate:
            if (step.notify, step.after.total_seconds()) in story.steps:
                names |= set(step.notify)

        return names

    def late(self, story: Story) -> set[str]:
        targets = {"acknowledge": self.targets.acknowledge, "resolve": self.targets.resolve}
        if story.acknowledged:
            del targets["acknowledge"]
        late = {
            kind
            for kind, known in targets.items()
            if (within := known.get(story.severity)) is not None
            if kind not in story.breached and story.watch >= within.total_seconds()
        }
        story.breached |= late

        return late


def play(watch: Watch, reference: Reference, acts: list[Act]) -> None:
    for what, service, severity, number in acts:
        story = reference.stories.get(service)
        match what:
            case "fail" | "fail held":
                if story is None or severity not in story.open:
                    watch.fail(severity, service, held=what == "fail held")
                    reference.fail(service, severity, held=what == "fail held")
            case "recover" if story and severity in story.open:
                watch.recover(severity, service)
                reference.recover(service, severity)
            case "acknowledge" if story and not story.acknowledged:
                watch.acknowledge(service)
                story.acknowledged = True
                reference.say(story, set(story.followers), "acknowledged")
            case "hold" if story and not story.held:
                watch.hold(service)
                story.held = True
            case "release" if story and story.held:
                watch.release(service, rose=story.rose)
                reference.release(service)
            case "wait":
                watch.wait(number * 60)
                reference.wait(number * 60)
            case "restart":
                watch.restart()
            case "set clock":
                watch.set_clock((number - 3) * 1000)


@settings(max_examples=300, deadline=None)
@given(
    routes=st.lists(route, min_size=1, max_size=3) | st.just([]),
    acknowledge=target,
    resolve=target,
    acts=st.lists(act, min_size=12, max_size=40),
)
def test_each_is_told_when_an_obvious_reference_says_so_and_at_no_other_time(
    routes: list[Route],
    acknowledge: dict[Severity, timedelta | None],
    resolve: dict[Severity, timedelta | None],
    acts: list[Act],
) -> None:
    numbered = [
        make_route(
            *one.notify,
            number=number,
            severities=tuple(one.severities),
            services=tuple(one.services),
            go_on=one.go_on,
            remind_every=one.remind_every.total_seconds() if one.remind_every else None,
            escalate={step.after.total_seconds(): step.notify for step in one.escalate},
        )
        for number, one in enumerate(routes, 1)
    ]
    targets = Targets(acknowledge={one: acknowledge.get(one) for one in Severity}, resolve=resolve)
    watch = Watch(*numbered, notifiers=NOTIFIERS, targets=targets, services=("shop", "db"))
    reference = Reference(numbered, targets)

    play(watch, reference, acts)

    heard = [(row.notice.service, one) for row, one in zip(watch.told, watch.heard, strict=True)]

    assert sorted(heard) == sorted(reference.told)
    assert len({row.id for row in watch.told}) == len(watch.told)
