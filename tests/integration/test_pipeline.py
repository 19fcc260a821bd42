"""One probe from the request to what becomes durable, and whose fault it is when it fails."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.core.engine import Engine
from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Endpoint, InARow
from monitor.core.model.observation import Code, Fault, Observation
from monitor.core.model.service import Directory
from monitor.core.model.verdict import Outcome
from monitor.core.model.witness import Witness
from monitor.core.situation import Situation
from monitor.pipeline import Pipeline
from monitor.store import StoreError
from monitor.store.journal import Journal
from monitor.witness import Witnesses
from tests.support.http_probe import ask_loopback, make_probe
from tests.support.servers import (
    HOST,
    answers_page,
    hang_up,
    page,
    say_nothing,
    serve_pages,
    serve_script,
    unused_port,
)
from tests.support.verdicts import health

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from monitor.probes.probe import Probe

DEAD = f"{HOST}:9"
ROOT = Path(__file__).parents[2]


class Told:
    """A probe that sees what it is told to."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        self.held = asyncio.Event()
        self.held.set()
        self.looking = asyncio.Event()

    async def observe(self) -> Observation:
        self.looking.set()
        await self.held.wait()
        facts: dict[str, object] = {
            "status": 200,
            "duration": timedelta(milliseconds=5),
            **self.facts,
        }
        return Observation(
            at=datetime.now(UTC),
            **facts,  # type: ignore[arg-type]  # each test gives facts that fit
        )

    async def close(self) -> None:
        """Nothing is held."""


def endpoint(name: str = "shop", *, witnessed: bool = True, opens: int = 1) -> Endpoint:
    check = replace(
        health(),
        id=f"{name}.health",
        endpoint=name,
        service=name,
        failure_threshold=InARow(count=opens),
    )
    return Endpoint(
        name=name,
        service=name,
        kind="url",
        target=f"http://{name}.test/",
        every=timedelta(seconds=30),
        retry_every=timedelta(seconds=10),
        timeout=timedelta(seconds=5),
        checks=(check,),
        witnessed=witnessed,
    )


@dataclass
class Line:
    """A pipeline over a real engine, a real journal and real witnesses, and what it did."""

    engine: Engine
    journal: Journal
    pipeline: Pipeline
    committed: list[Changes]
    observed: list[Observation] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    bundles: list[Changes] = field(default_factory=list)
    woken: int = 0

    async def run(self, name: str = "shop", *, scheduled: bool = True) -> None:
        await self.pipeline.run(self.engine.endpoints[name], scheduled)

    def outcome(self, name: str = "shop") -> Outcome | None:
        state = self.engine.situation.states.get(f"{name}.health")
        return state.last_outcome if state else None

    @property
    def fault(self) -> Fault | None:
        return self.observed[-1].fault


@asynccontextmanager
async def wired(
    probes: dict[str, Probe],
    *endpoints: Endpoint,
    witnesses: tuple[Witness, ...] = (),
    stalled: bool = False,
    slots: int = 10,
) -> AsyncIterator[Line]:
    """Wire a pipeline; `stalled` is what the scheduler would say of every probe."""
    committed: list[Changes] = []

    async def commit(changes: Changes) -> None:
        committed.append(changes)

    class Meter:
        def observed(self, endpoint: Endpoint, observation: Observation) -> None:
            line.observed.append(observation)

        def broke(self, endpoint: Endpoint) -> None:
            line.broken.append(endpoint.name)

        def changed(self, changes: Changes) -> None:
            line.bundles.append(changes)

    def wake() -> None:
        line.woken += 1

    engine = Engine(
        endpoints=endpoints or (endpoint(),),
        directory=Directory(services={}, notifiers=("log",)),
        situation=Situation(),
        mask=str,
    )
    journal = Journal(commit)
    asked = Witnesses(witnesses, ask=ask_loopback)
    pipeline = Pipeline(
        engine=engine,
        probes=probes,
        witnesses=asked,
        journal=journal,
        clock=lambda: datetime.now(UTC),
        disturbance=lambda _started: "the monitor stood still" if stalled else "",
        wake=wake,
        meter=Meter(),
        slots=slots,
    )
    line = Line(engine=engine, journal=journal, pipeline=pipeline, committed=committed)
    try:
        yield line
    finally:
        await journal.close()
        await asked.close()
        for probe in probes.values():
            await probe.close()


async def test_an_answer_becomes_a_verdict_that_waits_for_company() -> None:
    async with (
        serve_pages({"/": page(b"hi")}) as server,
        wired({"shop": make_probe(server.url())}) as line,
    ):
        await line.run()
        waiting = list(line.committed)
    committed = Changes.merge(line.committed)

    assert line.outcome() is Outcome.PASS
    assert waiting == [], "a settled pass joins a batch"
    assert line.woken == 0
    assert [state.check for state in committed.states] == ["shop.health"]
    assert [result.status for result in committed.results] == [200]


async def test_a_failure_that_opens_an_incident_is_written_at_once_and_wakes_the_deliverers() -> (
    None
):
    async with (
        serve_pages({"/": page(status=500)}) as server,
        wired({"shop": make_probe(server.url())}) as line,
    ):
        await line.run()
        async with asyncio.timeout(0.5):
            while not line.committed:
                await asyncio.sleep(0.005)

    assert line.outcome() is Outcome.FAIL
    assert line.woken == 1
    assert [incident.service for incident in line.committed[0].incidents] == ["shop"]
    assert [delivery.notifier for delivery in line.committed[0].deliveries] == ["log"]


async def test_a_failure_that_only_counts_is_written_at_once_too() -> None:
    async with wired({"shop": Told(status=500)}, endpoint(opens=3)) as line:
        await line.run()
        async with asyncio.timeout(0.5):
            while not line.committed:
                await asyncio.sleep(0.005)

    assert line.committed[0].states[0].consecutive_failures == 1
    assert line.committed[0].incidents == ()


async def test_retry_samples_are_marked() -> None:
    async with wired({"shop": Told()}) as line:
        await line.run(scheduled=False)

    assert [result.scheduled for result in Changes.merge(line.committed).results] == [False]


async def test_a_dead_target_is_a_failure_where_a_witness_answers() -> None:
    async with serve_script(answers_page()) as witness:
        probe = make_probe(f"http://{HOST}:{unused_port()}/")
        async with wired(
            {"shop": probe}, witnesses=(Witness(url=witness.url()), Witness(tcp=DEAD))
        ) as line:
            await line.run()

    assert line.outcome() is Outcome.FAIL
    assert line.pipeline.sees
    assert witness.connections == 1


@pytest.mark.parametrize(
    "code",
    [
        Code.DNS,
        Code.CONNECTION_REFUSED,
        Code.CONNECTION_RESET,
        Code.TIMEOUT,
        Code.TLS_HANDSHAKE,
    ],
)
async def test_without_any_answer_and_any_witness_the_monitor_doubts_itself(code: Code) -> None:
    probe = Told(status=None, fault=Fault(code=code, message="shop.test is gone"))
    async with wired({"shop": probe}, witnesses=(Witness(tcp=DEAD),)) as line:
        await line.run()

        assert line.outcome() is Outcome.UNKNOWN
        assert line.fault is not None
        assert line.fault.code is Code.WITNESS
        assert line.fault.own
        assert "shop.test is gone" in line.fault.message
        assert not line.pipeline.sees
        assert line.engine.situation.open_incidents() == []


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"status": 500}, id="a 500 proves that the network works"),
        pytest.param(
            {"fault": Fault(code=Code.BAD_RESPONSE, message="no HTTP")}, id="so does nonsense"
        ),
        pytest.param(
            {"fault": Fault(code=Code.TLS_CERT_EXPIRED, message="expired")},
            id="so does an expired certificate",
        ),
    ],
)
async def test_witnesses_are_not_asked_where_something_answered(facts: dict[str, object]) -> None:
    async with (
        serve_script(answers_page()) as witness,
        wired({"shop": Told(**facts)}, witnesses=(Witness(url=witness.url()),)) as line,
    ):
        line.pipeline.sees = False
        await line.run()

    assert witness.connections == 0
    assert line.outcome() is Outcome.FAIL
    assert line.pipeline.sees


async def test_an_endpoint_without_witnesses_fails_by_itself_and_says_nothing_of_the_network() -> (
    None
):
    probe = make_probe(f"http://{HOST}:{unused_port()}/")
    async with wired(
        {"shop": probe}, endpoint(witnessed=False), witnesses=(Witness(tcp=DEAD),)
    ) as line:
        line.pipeline.sees = False
        await line.run()

    assert line.outcome() is Outcome.FAIL
    assert not line.pipeline.sees, "a loopback answer proves nothing about the network"


async def test_a_name_that_fails_while_no_witness_s_name_resolves_is_the_resolver_s_fault() -> None:
    async with serve_script(answers_page()) as witness:
        by_address = Witness(url=witness.url())
        by_name = Witness(url="http://nowhere.invalid/")
        gone, refusing = make_probe("http://gone.invalid/"), make_probe(f"http://{DEAD}/")
        async with wired(
            {"gone": gone, "refusing": refusing},
            endpoint("gone"),
            endpoint("refusing"),
            witnesses=(by_address, by_name),
        ) as line:
            await line.run("gone")
            await line.run("refusing")

    assert line.outcome("gone") is Outcome.UNKNOWN
    assert line.outcome("refusing") is Outcome.FAIL


async def test_a_name_that_fails_alone_is_the_target_s_fault() -> None:
    async with (
        serve_script(answers_page()) as witness,
        wired(
            {"shop": make_probe("http://gone.invalid/")},
            witnesses=(Witness(url=witness.url(host="witness.test")),),
        ) as line,
    ):
        await line.run()

    assert line.outcome() is Outcome.FAIL
    assert line.fault is not None
    assert line.fault.code is Code.DNS


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"status": 500}, id="whatever was answered"),
        pytest.param({"fault": Fault(code=Code.TIMEOUT, message="late")}, id="a timeout"),
        pytest.param({}, id="even a pass"),
    ],
)
async def test_a_loop_that_stood_still_leaves_the_verdict_unknown(
    facts: dict[str, object],
) -> None:
    async with wired({"shop": Told(**facts)}, stalled=True) as line:
        await line.run()

    assert line.outcome() is Outcome.UNKNOWN
    assert line.fault is not None
    assert line.fault.own
    assert "the monitor stood still" in line.fault.message


async def test_our_own_fault_is_not_put_before_the_witnesses() -> None:
    async with serve_script(answers_page()) as witness:
        fault = Fault(code=Code.INTERNAL, message="no descriptor", own=True)
        async with wired(
            {"shop": Told(fault=fault)}, witnesses=(Witness(url=witness.url()),)
        ) as line:
            await line.run()

    assert witness.connections == 0
    assert line.outcome() is Outcome.UNKNOWN


async def test_a_cancelled_probe_has_no_consequences() -> None:
    async with (
        serve_script(say_nothing) as server,
        wired({"shop": make_probe(server.url())}) as line,
    ):
        task = asyncio.create_task(line.run())
        async with asyncio.timeout(5):
            while not server.heads:
                await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert line.observed == []
    assert line.broken == []
    assert line.engine.situation.states == {}
    assert line.committed == []


async def test_an_answer_to_what_is_no_longer_asked_is_dropped() -> None:
    probe = Told(status=500)
    probe.held.clear()
    async with wired({"shop": probe}) as line:
        task = asyncio.create_task(line.run())
        await probe.looking.wait()
        changed = replace(endpoint(), target="http://elsewhere.test/")
        line.engine.adopt((changed,), Directory(services={}), datetime.now(UTC))
        probe.held.set()
        await task

    assert line.observed == []
    assert line.outcome() is None


async def test_an_answer_of_a_probe_that_a_reload_closed_is_dropped() -> None:
    probe = Told(fault=Fault(code=Code.CONNECTION_RESET, message="the session was closed"))
    probe.held.clear()
    async with wired({"shop": probe}) as line:
        task = asyncio.create_task(line.run())
        await probe.looking.wait()
        line.pipeline.probes = {"shop": Told()}
        probe.held.set()
        await task

    assert line.observed == []
    assert line.outcome() is None


async def test_a_reload_that_changes_nothing_drops_no_answer() -> None:
    probe = Told()
    probe.held.clear()
    async with wired({"shop": probe}) as line:
        task = asyncio.create_task(line.run())
        await probe.looking.wait()
        line.engine.adopt((endpoint(),), Directory(services={}), datetime.now(UTC))
        probe.held.set()
        await task

    assert line.outcome() is Outcome.PASS


async def test_an_endpoint_that_was_removed_before_its_turn_is_no_bug() -> None:
    probe = Told()
    probe.held.clear()
    async with wired(
        {"shop": probe, "late": Told()}, endpoint(), endpoint("late"), slots=1
    ) as line:
        first = asyncio.create_task(line.run("shop"))
        await probe.looking.wait()
        second = asyncio.create_task(line.run("late"))
        await asyncio.sleep(0)
        line.pipeline.probes = {"shop": probe}
        line.engine.adopt((endpoint(),), Directory(services={}), datetime.now(UTC))
        probe.held.set()
        await asyncio.gather(first, second)

    assert len(line.observed) == 1
    assert line.broken == []


async def test_slots_bound_how_many_probes_look_at_once() -> None:
    probes = {f"shop-{number}": Told() for number in range(5)}
    for probe in probes.values():
        probe.held.clear()
    endpoints = [endpoint(name) for name in probes]
    async with wired(dict(probes), *endpoints, slots=2) as line:
        tasks = [asyncio.create_task(line.run(name)) for name in probes]
        await asyncio.sleep(0.02)
        looking = sum(probe.looking.is_set() for probe in probes.values())
        for probe in probes.values():
            probe.held.set()
        await asyncio.gather(*tasks)

    assert looking == 2
    assert len(line.observed) == 5


class Wide(Told):
    """A probe that holds several sockets at once, as a burst does."""

    def __init__(self, sockets: int) -> None:
        super().__init__()
        self.sockets = sockets
        self.held.clear()


async def test_a_burst_holds_a_slot_for_each_of_its_sockets() -> None:
    wide, narrow, wider = Wide(3), Told(), Wide(100)
    probes = {"wide": wide, "narrow": narrow, "wider": wider}
    async with wired(dict(probes), *[endpoint(name) for name in probes], slots=3) as line:
        first = asyncio.create_task(line.run("wide"))
        await wide.looking.wait()
        others = [asyncio.create_task(line.run(name)) for name in ("narrow", "wider")]
        await asyncio.sleep(0.02)
        waited = not narrow.looking.is_set() and not wider.looking.is_set()
        wide.held.set()
        await wider.looking.wait()  # more than there are is all that there are
        wider.held.set()
        await asyncio.gather(first, *others)

    assert waited
    assert len(line.observed) == 3


async def test_two_bursts_do_not_wait_for_each_other_and_who_gives_up_holds_nothing() -> None:
    one, two, after = Wide(3), Wide(3), Told()
    probes = {"busy": Wide(1), "one": one, "two": two, "after": after}
    async with wired(dict(probes), *[endpoint(name) for name in probes], slots=4) as line:
        tasks = [asyncio.create_task(line.run(name)) for name in ("busy", "one", "two")]
        await one.looking.wait()
        await asyncio.sleep(0.02)
        tasks[2].cancel()
        await asyncio.wait({tasks[2]})
        for probe in (probes["busy"], one):
            probe.held.set()
        await asyncio.gather(*tasks[:2])
        two.held.set()
        async with asyncio.timeout(5):
            await asyncio.gather(line.run("one"), line.run("two"), line.run("after"))

    assert len(line.observed) == 5
    assert line.broken == []


async def test_waiting_for_witnesses_holds_no_slot() -> None:
    async with serve_script(say_nothing) as silent:
        gone = Told(fault=Fault(code=Code.TIMEOUT, message="late"))
        async with wired(
            {"gone": gone, "fine": Told()},
            endpoint("gone"),
            endpoint("fine"),
            witnesses=(Witness(url=silent.url()),),
            slots=1,
        ) as line:
            doubtful = asyncio.create_task(line.run("gone"))
            async with asyncio.timeout(5):
                while not silent.heads:
                    await asyncio.sleep(0.005)
            async with asyncio.timeout(0.5):
                await line.run("fine")
            await line.pipeline.witnesses.close()
            await doubtful

    assert line.outcome("fine") is Outcome.PASS
    assert line.outcome("gone") is Outcome.UNKNOWN, "nobody confirmed the network"


class HeldUp(Told):
    """A probe during which the loop is held up, for seconds, and that gives up after one more."""

    def __init__(self, held_up: float, calm: float) -> None:
        took = timedelta(seconds=held_up + calm)
        fault = Fault(code=Code.TIMEOUT, message="shop.test did not answer within 400ms")
        super().__init__(status=None, duration=took, fault=fault)
        self.held_up, self.calm = held_up, calm

    async def observe(self) -> Observation:
        await asyncio.sleep(0)
        time.sleep(self.held_up)
        await asyncio.sleep(self.calm)
        return await super().observe()


@pytest.mark.parametrize(
    ("probe", "outcome"),
    [
        pytest.param(HeldUp(held_up=0.3, calm=0.1), Outcome.UNKNOWN, id="for most of the time"),
        pytest.param(HeldUp(held_up=0.1, calm=0.9), Outcome.FAIL, id="for some of it"),
    ],
)
async def test_a_timeout_while_the_loop_was_late_is_our_own_fault(
    probe: HeldUp, outcome: Outcome
) -> None:
    async with wired({"shop": probe}) as line:
        await line.run()

    assert line.outcome() is outcome
    assert line.fault is not None
    assert "shop.test did not answer" in line.fault.message


async def test_a_bug_in_judging_ends_one_probe_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with wired({"shop": Told()}) as line:
        with monkeypatch.context() as broken:
            broken.setattr(line.engine, "take", lambda *_args, **_named: 1 / 0)
            await line.run()
        counted = list(line.broken)
        await line.run()

    assert counted == line.broken == ["shop"]
    assert "probe_broke" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert line.outcome() is Outcome.PASS


async def test_a_store_that_fails_does_not_end_the_probes() -> None:
    async with wired({"shop": Told(status=500)}) as line:

        async def fail(_changes: Changes) -> None:
            raise StoreError("disk full")

        commit, line.journal._commit = line.journal._commit, fail
        await line.run()
        async with asyncio.timeout(2):
            while line.journal.error is None:
                await asyncio.sleep(0.005)
        line.journal._commit = commit

    assert line.outcome() is Outcome.FAIL
    assert line.broken == []
    assert line.woken == 1, "people are told from memory"


async def test_nothing_that_changed_is_nothing_to_record() -> None:
    async with wired({"shop": Told()}) as line:
        line.pipeline.record(Changes())

    assert line.bundles == []
    assert line.committed == []


async def test_a_target_that_hangs_up_is_asked_once_per_run() -> None:
    async with (
        serve_script(hang_up) as server,
        wired({"shop": make_probe(server.url())}) as line,
    ):
        await line.run()

    assert server.connections == 1
    assert line.outcome() is Outcome.FAIL


STARVED = """
import asyncio
from tests.integration.test_pipeline import starve
print(*asyncio.run(starve()))
"""


async def starve() -> tuple[str, ...]:
    """Probe an address and a name while the process has no free descriptor; in its own process."""
    import os
    import resource

    from monitor.names import Resolver

    outcomes: list[str] = []
    async with serve_script(answers_page()) as server:
        probes: dict[str, Probe] = {
            "address": make_probe(server.url()),
            "name": make_probe(server.url(host="localhost"), names=Resolver()),
        }
        endpoints = [endpoint(name) for name in probes]
        async with wired(probes, *endpoints) as line:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
            filler = []
            try:
                while True:
                    filler.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                pass
            for name in probes:
                await line.run(name)
                outcomes.append(str(line.outcome(name)))
            for descriptor in filler:
                os.close(descriptor)
            for name in probes:
                await line.run(name)
                outcomes.append(str(line.outcome(name)))

    return tuple(outcomes)


def test_54_without_a_free_descriptor_nothing_is_blamed_on_the_target() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(STARVED)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stdout.splitlines()[-1:] == ["unknown unknown pass pass"], done.stderr
