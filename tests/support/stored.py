"""Records to store: one of each kind by hand, and any of each kind by hypothesis."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from monitor.core.model import (
    changes,
    check_state,
    deploy,
    heartbeat,
    incident,
    notice,
    rollback,
    silence,
    verdict,
)
from monitor.core.model.changes import Result
from monitor.core.model.check_state import CheckState
from monitor.core.model.deploy import Deploy, DeployKind, DeployState
from monitor.core.model.endpoint import Severity
from monitor.core.model.heartbeat import Heartbeat, Ping, PingKind, Presence
from monitor.core.model.incident import Incident, IncidentClass, IncidentPhase, TimelineEntry
from monitor.core.model.notice import Delivery, DeliveryState, Notice, NoticeEvent
from monitor.core.model.observation import Code
from monitor.core.model.pin import HeaderPin
from monitor.core.model.rollback import Mode, Rollback, RollbackState, Step, StepState
from monitor.core.model.silence import Silence
from monitor.core.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MODULES = (
    changes,
    check_state,
    deploy,
    heartbeat,
    incident,
    notice,
    rollback,
    silence,
    verdict,
)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def overwrite(path: Path, at: int, length: int) -> None:
    """Write garbage over a part of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\x5a" * length)


@contextmanager
def held_by_another(path: Path, *, unreadable: bool = False) -> Iterator[None]:
    """Let another process hold the database: nobody else may write, or not even read it."""
    code = f"""
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("PRAGMA locking_mode={"EXCLUSIVE" if unreadable else "NORMAL"}")
store.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.communicate("", timeout=10)


def a_result(at: datetime = NOON, endpoint: str = "api", **more: Any) -> Result:
    return Result(
        **{
            "endpoint": endpoint,
            "at": at,
            "duration": timedelta(milliseconds=250),
            "scheduled": True,
            "outcomes": (("api.health", Outcome.PASS), ("api.latency", Outcome.WAITING)),
            "status": 200,
            "latency": timedelta(milliseconds=250),
            **more,
        }
    )


def a_state(check: str = "api.health", **more: Any) -> CheckState:
    return CheckState(check=check, fingerprint="f1", **more)


def an_incident(id: str = "i1", **more: Any) -> Incident:
    return Incident(
        **{
            "id": id,
            "service": "api",
            "klass": IncidentClass.OUTAGE,
            "severity": Severity.CRITICAL,
            "phase": IncidentPhase.INVESTIGATING,
            "since": NOON,
            "opened_at": NOON,
            "members": (),
            **more,
        }
    )


def an_entry(incident: str = "i1", sequence: int = 1, **more: Any) -> TimelineEntry:
    return TimelineEntry(
        **{
            "incident": incident,
            "sequence": sequence,
            "at": after(sequence),
            "actor": "monitor",
            "event": "opened",
            "text": "api answers 500",
            **more,
        }
    )


def a_delivery(id: str = "d1", incident: str = "i1", **more: Any) -> Delivery:
    notice = Notice(
        event=NoticeEvent.OPENED,
        incident=incident,
        sequence=1,
        klass=IncidentClass.OUTAGE,
        service="api",
        environment="production",
        location="here",
        severity=Severity.CRITICAL,
        phase=IncidentPhase.INVESTIGATING,
        headline="api answers 500",
        since=NOON,
        at=NOON,
        members=(),
    )

    return Delivery(
        **{
            "id": id,
            "key": id,
            "notifier": "ops",
            "notice": notice,
            "queued_at": NOON,
            "state": DeliveryState.QUEUED,
            **more,
        }
    )


def a_deploy(id: str = "v2@1", at: datetime = NOON, **more: Any) -> Deploy:
    return Deploy(
        **{
            "id": id,
            "service": "api",
            "version": "v2",
            "kind": DeployKind.PLANNED,
            "state": DeployState.FINISHED,
            "at": at,
            **more,
        }
    )


def a_rollback(id: str = "r1", at: datetime = NOON, **more: Any) -> Rollback:
    return Rollback(
        **{
            "id": id,
            "service": "api",
            "deploy_id": "v2@1",
            "incident": "i1",
            "state": RollbackState.RECOVERED,
            "mode": Mode.AUTOMATIC,
            "severity": Severity.CRITICAL,
            "reason": "api answers 500",
            "triggers": ("api.health",),
            "tripped_at": at,
            "verify_within": timedelta(minutes=5),
            **more,
        }
    )


def a_pin(check: str = "web.headers.drift", **more: Any) -> HeaderPin:
    """Give the accepted headers of a check, of which one was seen to differ."""
    accepted: dict[str, Any] = {
        "check": check,
        "fingerprint": "f",
        "at": NOON,
        "lines": (("x-frame-options", "DENY"),),
        "seen": (("x-frame-options", "SAMEORIGIN"),),
    }

    return HeaderPin(**accepted | more)


def a_heartbeat(endpoint: str = "backup", **more: Any) -> Heartbeat:
    """Give a heartbeat of which everything is known."""
    known: dict[str, Any] = {
        "endpoint": endpoint,
        "schedule": "pings each 1 d",
        "since": NOON,
        "pings": (Ping(at=NOON, kind=PingKind.START), Ping(at=after(9), kind=PingKind.FAIL)),
        "ended": Ping(at=after(9), kind=PingKind.FAIL, exit_code=3, output="no space left"),
        "shown": after(9),
        "started": after(20),
        "restarted": after(30),
        "took": timedelta(seconds=9),
    }

    return Heartbeat(**known | more)


def a_presence(id: int = 1, since: float = 0, until: float = 60) -> Presence:
    return Presence(id=id, since=after(since), until=after(until))


def a_silence(id: str = "s1", **more: Any) -> Silence:
    known: dict[str, Any] = {
        "services": ("shop",),
        "severities": (Severity.LOW,),
        "starts_at": NOON,
        "ends_at": after(60),
        "by": "ana",
        "reason": "we know",
    }

    return Silence(id=id, **known | more)


def a_step(key: str = "r1.1.1", rollback: str = "r1", **more: Any) -> Step:
    return Step(
        **{
            "key": key,
            "rollback": rollback,
            "level": 1,
            "number": 1,
            "kind": "command",
            "state": StepState.INTENT,
            "attempt": 1,
            "at": NOON,
            **more,
        }
    )


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Give values of a type that records are made of, by its annotations."""
    if kind is str:
        return st.text(st.characters(codec="utf-8"), max_size=8)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(-(2**53), 2**53)
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if kind is datetime:
        return st.datetimes(timezones=st.just(UTC))
    if kind is timedelta:
        return st.timedeltas()
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind, vars(sys.modules[kind.__module__]), dict(_names()))

        return st.builds(kind, **{field.name: any_of(hints[field.name]) for field in fields(kind)})

    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of(*(st.none() if one is NoneType else any_of(one) for one in arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(any_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(any_of, arguments))

    raise TypeError(f"records hold no {kind}")


def _names() -> Mapping[str, Any]:
    """What annotations mention that their modules import for checkers only."""
    return {
        "datetime": datetime,
        "timedelta": timedelta,
        "Code": Code,
        "Severity": Severity,
        **{name: value for module in MODULES for name, value in vars(module).items()},
    }
