"""What people do, one function an act: the same for the command line, the API and the socket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from monitor.config.suggest import suggest
from monitor.core import pings
from monitor.core.headers.drift import compare
from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.pins import drift_check, known_pin
from monitor.core.report import deploy_json, status_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from monitor.core.engine import Engine
    from monitor.core.model.heartbeat import Ping
    from monitor.store.journal import Journal

_LONGEST: Final = 200
_STORE_PATIENCE: Final = timedelta(seconds=2)
_KEYS: Final = ("service", "version", "id", "commit", "kind", "state")
_Choice = TypeVar("_Choice", bound=StrEnum)


class OperationError(Exception):
    """What was asked cannot be done; the message says what was found and what was wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployMarker:
    """Somebody says that a version of a service is being, or has been, deployed."""

    service: str
    version: str
    id: str | None = None
    commit: str | None = None
    kind: DeployKind = DeployKind.PLANNED
    state: DeployState = DeployState.FINISHED


def read_marker(raw: Mapping[str, Any]) -> DeployMarker:
    """Read a marker from JSON; `state` is started, finished or failed.

    Raises OperationError for an unknown key, a missing one or a value of the wrong kind.
    """
    for key in raw:
        if key not in _KEYS:
            shown = key[:80] if key.isprintable() else repr(key)[:80]
            raise OperationError(f"{shown}: unknown key, expected one of {', '.join(_KEYS)}")
    if not raw.get("service") or not raw.get("version"):
        raise OperationError("expected a service and a version")

    return DeployMarker(
        service=_text(raw, "service") or "",
        version=_text(raw, "version") or "",
        id=_text(raw, "id"),
        commit=_text(raw, "commit"),
        kind=_choice(raw, "kind", DeployKind.PLANNED, tuple(DeployKind)),
        state=_choice(
            raw,
            "state",
            DeployState.FINISHED,
            (DeployState.STARTED, DeployState.FINISHED, DeployState.FAILED),
        ),
    )


async def announce_deploy(
    marker: DeployMarker,
    *,
    engine: Engine,
    journal: Journal,
    record: Callable[[Changes], None],
    now: datetime,
) -> dict[str, Any]:
    """Take a deploy marker; give the deploy as JSON once it is durable.

    Raises OperationError for a service that the configuration does not have, StoreError if it
    could not be written.
    """
    services = {check.service for check in engine.checks.values()}
    services |= set(engine.directory.services)
    if marker.service not in services:
        raise OperationError(
            f"service {marker.service!r} is not in the configuration"
            f"{suggest(marker.service, services)}"
        )

    changes = engine.announce(
        marker.service,
        version=marker.version,
        kind=marker.kind,
        state=marker.state,
        id=marker.id,
        commit=marker.commit,
        now=now,
    )
    record(changes)
    await journal.flush()
    known = [
        deploy
        for deploy in engine.situation.deploys.values()
        if deploy.service == marker.service and deploy.version == marker.version
    ]
    if not known:
        raise OperationError(
            f"{marker.service} {marker.version}: no such deploy is known, so it cannot have failed"
        )

    return deploy_json(max(known, key=lambda deploy: deploy.at))


async def accept_headers(
    name: str,
    *,
    engine: Engine,
    journal: Journal,
    record: Callable[[Changes], None],
    now: datetime,
) -> dict[str, Any]:
    """Take the headers that an endpoint answered with last for those that it is held against.

    Gives the accepted lines as JSON once they are durable. Raises OperationError where nothing is
    pinned, StoreError if it could not be written.
    """
    endpoint = engine.endpoints.get(name)
    if endpoint is None:
        raise OperationError(
            f"endpoint {name!r} is not in the configuration{suggest(name, engine.endpoints)}"
        )
    check = drift_check(endpoint)
    if check is None:
        raise OperationError(f"{name}: its headers are not pinned; write pin: true under headers")
    before = known_pin(check, engine.situation.pins)
    if before is None:
        raise OperationError(
            f"{name}: no headers are accepted yet, its policies have to pass "
            f"{check.success_threshold} times in a row before"
        )

    record(engine.accept_headers(check, now))
    await journal.flush()
    after = engine.situation.pins[check.id]

    return {
        "endpoint": name,
        "headers": [list(line) for line in after.lines],
        "changed": [drift.name for drift in compare(before.lines, after.lines)],
    }


async def take_ping(
    endpoint: str,
    ping: Ping,
    *,
    engine: Engine,
    journal: Journal,
    record: Callable[[Changes], None],
    look: Callable[[str], None],
) -> None:
    """Take a ping of a heartbeat and let it be judged; done once it is durable.

    Raises OperationError where the heartbeat is gone. After StoreError or TimeoutError it counts
    all the same, and is written down later.
    """
    heartbeat = engine.situation.heartbeats.get(endpoint)
    if heartbeat is None:
        raise OperationError(f"{endpoint}: the configuration has no such heartbeat")

    changes = Changes(heartbeats=(pings.take(heartbeat, ping),))
    engine.situation.apply(changes)
    record(changes)
    look(endpoint)
    async with asyncio.timeout(_STORE_PATIENCE.total_seconds()):
        await journal.flush()


def report_status(
    engine: Engine, now: datetime, *, rollbacks_off: Path | None = None
) -> dict[str, Any]:
    """Give what is failing now, open incidents, rollbacks and deploys, as JSON.

    `rollbacks_off` is the file that holds all rollbacks back, if there is one.
    """
    return {
        **status_json(engine, now),
        "rollbacks_off": str(rollbacks_off) if rollbacks_off else None,
    }


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise OperationError(
            f"{key}: expected a text of 1 to {_LONGEST} characters, found {value!r:.80}"
        )
    if not value.isprintable():
        raise OperationError(f"{key}: expected printable characters only, found {value!r:.80}")

    return value.strip()


def _choice(
    raw: Mapping[str, Any], key: str, default: _Choice, allowed: tuple[_Choice, ...]
) -> _Choice:
    value = raw.get(key)
    if value is None:
        return default
    for choice in allowed:
        if value == choice.value:
            return choice

    names = ", ".join(choice.value for choice in allowed)
    raise OperationError(f"{key}: expected one of {names}, found {value!r:.80}")
