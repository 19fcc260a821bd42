"""Trying everything that the monitor needs before it needs it; nothing is fired, nobody told."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from monitor.config.doubts import find_doubts
from monitor.core.model.verdict import Outcome
from monitor.examination import Examinable, Unfit
from monitor.names import Resolver
from monitor.options import format_address, format_duration, is_loopback
from monitor.pipeline import probe_slots
from monitor.plugins import make_hook, make_notifier, make_probe
from monitor.runner.elsewhere import CommandsElsewhere
from monitor.store.files import find_filesystem, is_of_a_network
from monitor.store.lock import is_held, read_holder
from monitor.tools.explain import explain
from monitor.witness import Witnesses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from monitor.config import Compiled
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.observation import Observation
    from monitor.plugins import Closable
    from monitor.runner.probing import Commands

_AT_ONCE: Final = 32
_LEAST_ROOM: Final = 256 * 1024 * 1024


class Health(StrEnum):
    """What was found of one thing: a warning works, what was skipped was not tried."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was tried: the part it belongs to, its name, and what was found."""

    part: str
    name: str
    health: Health
    text: str

    def to_json(self) -> dict[str, Any]:
        """Give it as `doctor --output json` has it."""
        return {
            "part": self.part,
            "name": self.name,
            "health": self.health.value,
            "text": self.text,
        }


async def examine(
    compiled: Compiled,
    *,
    mask: Callable[[str], str],
    hook_runner: Path | None = None,
    probe_runner: Path | None = None,
) -> AsyncIterator[Finding]:
    """Try everything that a configuration names, part by part, and say what was found."""
    commands = CommandsElsewhere(probe_runner) if probe_runner else None
    for doubt in find_doubts(compiled):
        name, _, text = doubt.partition(": ")
        yield Finding(part="configuration", name=name, health=Health.WARNING, text=text)
    yield _examine_descriptors(len(compiled.endpoints))
    yield _examine_store(compiled.store)
    yield _examine_listen(compiled)

    resolver = Resolver()
    async for finding in _in_order(
        [_examine_endpoint(compiled, one, resolver, mask, commands) for one in compiled.endpoints]
    ):
        yield finding
    for finding in await _examine_witnesses(compiled):
        yield finding

    plugins: list[tuple[str, str, Closable]] = [
        ("notifier", name, make_notifier(plugin, clock=_now, mask=mask))
        for name, plugin in compiled.notifiers.items()
    ]
    plugins += [
        ("rollback", f"{service}, step {number}", make_hook(step, mask=mask))
        for service, steps in compiled.hooks.items()
        for number, step in enumerate(steps, start=1)
    ]
    async for finding in _in_order([_examine_plugin(*plugin) for plugin in plugins]):
        yield finding
    if hook_runner is not None:
        yield _examine_runner("hook runner", hook_runner, "production-monitor-hooks.socket")
    if probe_runner is not None:
        yield _examine_runner("probe runner", probe_runner, "production-monitor-probes.socket")


def worst(findings: Iterable[Finding]) -> Health:
    """Give the worst of what was found; what was skipped is no trouble."""
    found = {finding.health for finding in findings}

    return next((one for one in (Health.BROKEN, Health.WARNING) if one in found), Health.OK)


def describe(seen: Observation) -> str:
    """Say in a few words what was seen of a target that answered."""
    parts = ["answers" if seen.status is None else f"answers {seen.status}"]
    parts.append(f"in {format_duration(seen.duration)}")
    if seen.tls_version is not None:
        parts.append(f"over {seen.tls_version}")
    told = [" ".join(parts)]
    if seen.certificate is not None:
        told.append(f"certificate until {seen.certificate.earliest_not_after:%Y-%m-%d}")
    match dict(seen.values):
        case {"rows": list() | tuple() as rows}:
            told.append("1 row" if len(rows) == 1 else f"{len(rows)} rows")
        case {"value": value}:
            told.append(f"value {value}")
        case {"exit_code": code}:
            told.append(f"exit code {code}")

    return ", ".join(told)


def _now() -> datetime:
    return datetime.now(UTC)


async def _in_order(tasks: Sequence[Any]) -> AsyncIterator[Finding]:
    """Run many at once, not too many, and give their findings in order. Any: coroutines of them."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def run(one: Any) -> Finding:
        async with slots:
            found: Finding = await one
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
    resolver: Resolver,
    mask: Callable[[str], str],
    commands: Commands | None,
) -> Finding:
    def found(health: Health, text: str) -> Finding:
        return Finding(part="endpoint", name=endpoint.name, health=health, text=mask(text))

    if endpoint.beats:
        return found(Health.SKIPPED, f"not asked: {_say_where_to_ping(compiled)}")

    options = compiled.probes[endpoint.name].options
    if not getattr(options, "harmless", True):
        how = f"`production-monitor probe {endpoint.name}` asks once"
        return found(Health.SKIPPED, f"not asked, since that may change something there: {how}")

    probe = make_probe(
        compiled, endpoint, clock=_now, resolver=resolver, mask=mask, commands=commands
    )
    try:
        seen = await probe.observe()
    finally:
        await probe.close()
    if seen.fault is not None:
        return found(Health.BROKEN, seen.fault.message)

    reports = explain(endpoint, seen, mask=mask).reports
    wrong = [one for one in reports if one.verdict in (Outcome.FAIL, Outcome.UNKNOWN)]
    if wrong:
        reason = next((one.message for report in wrong for one in report.reasons), wrong[0].note)
        more = f", and {len(wrong) - 1} more checks" if len(wrong) > 1 else ""
        return found(Health.WARNING, f"{describe(seen)}; {wrong[0].check.id}: {reason}{more}")

    return found(Health.OK, describe(seen))


def _say_where_to_ping(compiled: Compiled) -> str:
    """Say by which address jobs reach this monitor, without the key."""
    if url := compiled.directory.public_url:
        return f"jobs ping {url}/ping/KEY"

    host, port = compiled.web.host, compiled.web.port
    only = ", from this machine alone" if is_loopback(host) else ""

    return f"jobs ping http://{format_address(host, port)}/ping/KEY{only}"


async def _examine_witnesses(compiled: Compiled) -> list[Finding]:
    if not compiled.witnesses:
        text = "there are none: a network failure of this machine looks like one of the targets"
        return [Finding(part="witness", name="-", health=Health.WARNING, text=text)]

    witnesses = Witnesses(compiled.witnesses)
    try:
        answers = await witnesses.ask_each()
    finally:
        await witnesses.close()

    return [
        Finding(
            part="witness",
            name=witness.url or witness.tcp or "-",
            health=Health.OK if answered else Health.BROKEN,
            text="answers" if answered else "does not answer",
        )
        for witness, answered in zip(compiled.witnesses, answers, strict=True)
    ]


async def _examine_plugin(part: str, name: str, plugin: Closable) -> Finding:
    def found(health: Health, text: str) -> Finding:
        return Finding(part=part, name=name, health=health, text=text)

    if not isinstance(plugin, Examinable):
        return found(Health.OK, "needs nothing")

    try:
        return found(Health.OK, await plugin.examine())
    except Unfit as error:
        return found(Health.BROKEN, str(error))
    finally:
        await plugin.close()


def _examine_runner(part: str, path: Path, unit: str) -> Finding:
    def found(health: Health, text: str) -> Finding:
        return Finding(part=part, name=str(path), health=health, text=text)

    if not path.is_socket():
        return found(Health.BROKEN, f"expected a socket: is {unit} active?")
    if not os.access(path, os.W_OK):
        return found(Health.BROKEN, "this user may not connect to it")

    return found(Health.OK, "can be asked")


def _examine_descriptors(endpoints: int) -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    slots = probe_slots()
    few = slots < min(endpoints, _AT_ONCE)

    return Finding(
        part="machine",
        name="descriptors",
        health=Health.WARNING if few else Health.OK,
        text=f"{soft}, enough for {slots} probes at once" + (": raise `ulimit -n`" if few else ""),
    )


def _examine_store(store: Path) -> Finding:
    def found(health: Health, text: str) -> Finding:
        return Finding(part="store", name=str(store), health=health, text=text)

    if is_held(store):
        holder = read_holder(store)
        who = f" by {holder.command} (process {holder.pid})" if holder else ""
        return found(Health.OK, f"in use{who}")

    place = next((one for one in (store, *store.parents) if one.exists()), store)
    if place == store and not store.is_file():
        return found(Health.BROKEN, "expected a file")
    if not os.access(place, os.W_OK):
        return found(Health.BROKEN, f"{place} cannot be written by this user")

    directory = place if place.is_dir() else place.parent
    kind = find_filesystem(directory)
    if is_of_a_network(kind):
        return found(
            Health.BROKEN, f"lies on a network file system ({kind}), expected a local disk"
        )

    free = os.statvfs(directory)
    room = free.f_bavail * free.f_frsize
    there = "can be written" if store.exists() else "will be created"
    text = f"{there}, {room // 1024**2} MiB are free"

    return found(Health.OK if room >= _LEAST_ROOM else Health.WARNING, text)


def _examine_listen(compiled: Compiled) -> Finding:
    host, port = compiled.web.host, compiled.web.port

    def found(health: Health, text: str) -> Finding:
        return Finding(part="web", name=format_address(host, port), health=health, text=text)

    if is_held(compiled.store):
        return found(Health.SKIPPED, "left to the monitor that runs")

    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, number) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return found(Health.BROKEN, "another program listens there")
        return found(Health.BROKEN, f"cannot be listened on: {error.strerror or error}")

    return found(Health.OK, "free")
