"""Trying everything that the monitor needs before it needs it; nothing is fired, nobody told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from monitor.config.doubts import find_doubts
from monitor.core.model.verdict import Outcome
from monitor.examination import Examinable, Unfit
from monitor.names import Resolver
from monitor.options import format_address, format_duration, is_loopback
from monitor.plugins import Surroundings, make_hook, make_notifier, make_probe
from monitor.runner.elsewhere import CommandsElsewhere
from monitor.tools.doctor_machine import (
    examine_descriptors,
    examine_listen,
    examine_runner,
    examine_store,
)
from monitor.tools.examined import Examined, Fitness
from monitor.tools.explain import explain
from monitor.witness import Witnesses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from monitor.config import Compiled, Plugin
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.observation import Observation
    from monitor.plugins import Closable

_AT_ONCE: Final = 32


async def examine(
    compiled: Compiled,
    *,
    mask: Callable[[str], str],
    hook_runner: Path | None = None,
    probe_runner: Path | None = None,
) -> AsyncIterator[Examined]:
    """Try everything that a configuration names, part by part, and say what was found."""
    around = Surroundings(
        clock=lambda: datetime.now(UTC),
        mask=mask,
        resolver=Resolver(),
        commands=CommandsElsewhere(probe_runner) if probe_runner else None,
    )
    for doubt in find_doubts(compiled):
        name, _, text = doubt.partition(": ")
        yield Examined(part="configuration", name=name, fitness=Fitness.WARNING, text=text)
    yield examine_descriptors(min(len(compiled.endpoints), _AT_ONCE))
    yield examine_store(compiled.store)
    yield examine_listen(compiled)

    async for finding in _in_order(
        [_examine_endpoint(compiled, one, around) for one in compiled.endpoints]
    ):
        yield finding
    for finding in await _examine_witnesses(compiled):
        yield finding

    plugins: list[tuple[str, str, Closable]] = [
        ("notifier", name, make_notifier(name, plugin, around))
        for name, plugin in compiled.notifiers.items()
    ]
    plugins += [(kind, step, make_hook(plugin, around)) for kind, step, plugin in _steps(compiled)]
    async for finding in _in_order([_examine_plugin(*plugin) for plugin in plugins]):
        yield finding
    if hook_runner is not None:
        yield examine_runner("hook runner", hook_runner, "production-monitor-hooks.socket")
    if probe_runner is not None:
        yield examine_runner("probe runner", probe_runner, "production-monitor-probes.socket")


def describe(seen: Observation) -> str:
    """Say in a few words what was seen of a target that answered."""
    parts = ["answers" if seen.status is None else f"answers {seen.status}"]
    parts.append(f"in {format_duration(seen.duration)}")
    if seen.tls_version is not None:
        parts.append(f"over {seen.tls_version}")
    told = [" ".join(parts)]
    if seen.certificate is not None:
        told.append(f"certificate until {seen.certificate.earliest_not_after:%Y-%m-%d}")
    if figure := seen.summary or _figure(seen.values):
        told.append(figure)

    return ", ".join(told)


def _figure(values: Mapping[str, object]) -> str:
    match dict(values):
        case {"value": value} if value is not None:
            return f"value {value}"
        case {"rows": list() | tuple() as rows}:
            return "1 row" if len(rows) == 1 else f"{len(rows)} rows"
        case {"exit_code": code}:
            return f"exit code {code}"

    return ""


def _steps(compiled: Compiled) -> Iterator[tuple[str, str, Plugin]]:
    """Give each step of a rollback or a remedy, where it stands, and its options."""
    for service, plugins in compiled.hooks.items():
        for policy in compiled.directory.service(service).policies:
            for level in policy.levels:
                of = f"{service}, {level.name}" if len(policy.levels) > 1 else service
                for step in level.steps:
                    plugin = plugins[level.first_hook + step.number - 1]
                    yield policy.kind.value, f"{of}, step {step.number}", plugin


async def _in_order(tasks: Sequence[Any]) -> AsyncIterator[Examined]:
    """Run many at once, not too many, and give their findings in order. Any: coroutines of them."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def run(one: Any) -> Examined:
        async with slots:
            found: Examined = await one
            return found

    running = [asyncio.create_task(run(one)) for one in tasks]
    try:
        for task in running:
            yield await task
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _examine_endpoint(
    compiled: Compiled,
    endpoint: Endpoint,
    around: Surroundings,
) -> Examined:
    def found(*, fitness: Fitness, text: str) -> Examined:
        masked = around.mask(text)
        return Examined(part="endpoint", name=endpoint.name, fitness=fitness, text=masked)

    if endpoint.beats:
        return found(fitness=Fitness.SKIPPED, text=f"not asked: {_say_where_to_ping(compiled)}")

    options = compiled.probes[endpoint.name].options
    if not options.harmless:
        how = f"`production-monitor probe {endpoint.name}` asks once"
        return found(
            fitness=Fitness.SKIPPED, text=f"not asked, since that may change something there: {how}"
        )

    probe = make_probe(compiled, endpoint, around)
    try:
        seen = await probe.observe()
    finally:
        await probe.close()
    if seen.fault is not None:
        return found(fitness=Fitness.BROKEN, text=seen.fault.message)

    reports = explain(endpoint, seen, mask=around.mask).reports
    wrong = [one for one in reports if one.verdict in (Outcome.FAIL, Outcome.UNKNOWN)]
    if wrong:
        reason = next((one.message for report in wrong for one in report.reasons), wrong[0].note)
        more = f", and {len(wrong) - 1} more checks" if len(wrong) > 1 else ""
        return found(
            fitness=Fitness.WARNING, text=f"{describe(seen)}; {wrong[0].check.id}: {reason}{more}"
        )

    return found(fitness=Fitness.OK, text=describe(seen))


def _say_where_to_ping(compiled: Compiled) -> str:
    """Say by which address jobs reach this monitor, without the key."""
    if url := compiled.directory.public_url:
        return f"jobs ping {url}/ping/KEY"

    host, port = compiled.web.host, compiled.web.port
    only = ", from this machine alone" if is_loopback(host) else ""

    return f"jobs ping http://{format_address(host, port)}/ping/KEY{only}"


async def _examine_witnesses(compiled: Compiled) -> list[Examined]:
    if not compiled.witnesses:
        text = "there are none: a network failure of this machine looks like one of the targets"
        return [Examined(part="witness", name="-", fitness=Fitness.WARNING, text=text)]

    witnesses = Witnesses(compiled.witnesses)
    try:
        answers = await witnesses.ask_each()
    finally:
        await witnesses.close()

    return [
        Examined(
            part="witness",
            name=witness.url or witness.tcp or "-",
            fitness=Fitness.OK if answered else Fitness.BROKEN,
            text="answers" if answered else "does not answer",
        )
        for witness, answered in zip(compiled.witnesses, answers, strict=True)
    ]


async def _examine_plugin(part: str, name: str, plugin: Closable) -> Examined:
    found = partial(Examined, part=part, name=name)

    if not isinstance(plugin, Examinable):
        return found(fitness=Fitness.OK, text="needs nothing")

    try:
        return found(fitness=Fitness.OK, text=await plugin.examine())
    except Unfit as error:
        return found(fitness=Fitness.BROKEN, text=str(error))
    finally:
        await plugin.close()
