"""What was heard of a heartbeat, as JSON and back: for the API and whoever asks it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from monitor.core.model.heartbeat import Heard, Heartbeat, Ping, PingKind, Presence

if TYPE_CHECKING:
    from collections.abc import Mapping


def heard_json(heard: Heard) -> dict[str, Any]:
    """Write what was heard; times as ISO 8601, durations in seconds."""
    return {
        "heartbeat": _heartbeat_json(heard.heartbeat) if heard.heartbeat else None,
        "presences": [
            {"id": one.id, "since": one.since.isoformat(), "until": one.until.isoformat()}
            for one in heard.presences
        ],
    }


def read_heard(written: Mapping[str, Any]) -> Heard:
    """Read what was heard; raises ValueError where it is something else."""
    try:
        heartbeat = written["heartbeat"]
        return Heard(
            heartbeat=_read_heartbeat(heartbeat) if heartbeat is not None else None,
            presences=tuple(
                Presence(id=one["id"], since=_moment(one["since"]), until=_moment(one["until"]))
                for one in written["presences"]
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not what a monitor tells of a heartbeat: {error!r}") from error


def _heartbeat_json(heartbeat: Heartbeat) -> dict[str, Any]:
    return {
        "endpoint": heartbeat.endpoint,
        "schedule": heartbeat.schedule,
        "since": heartbeat.since.isoformat(),
        "pings": [_ping_json(ping) for ping in heartbeat.pings],
        "ended": _ping_json(heartbeat.ended) if heartbeat.ended else None,
        "shown": _iso(heartbeat.shown),
        "started": _iso(heartbeat.started),
        "restarted": _iso(heartbeat.restarted),
        "took_seconds": None if heartbeat.took is None else heartbeat.took.total_seconds(),
    }


def _read_heartbeat(written: Mapping[str, Any]) -> Heartbeat:
    took = written["took_seconds"]

    return Heartbeat(
        endpoint=written["endpoint"],
        schedule=written["schedule"],
        since=_moment(written["since"]),
        pings=tuple(_read_ping(one) for one in written["pings"]),
        ended=None if written["ended"] is None else _read_ping(written["ended"]),
        shown=_maybe(written["shown"]),
        started=_maybe(written["started"]),
        restarted=_maybe(written["restarted"]),
        took=None if took is None else timedelta(seconds=took),
    )


def _ping_json(ping: Ping) -> dict[str, Any]:
    return {
        "at": ping.at.isoformat(),
        "kind": ping.kind.value,
        "exit_code": ping.exit_code,
        "output": ping.output,
    }


def _read_ping(written: Mapping[str, Any]) -> Ping:
    return Ping(
        at=_moment(written["at"]),
        kind=PingKind(written["kind"]),
        exit_code=written["exit_code"],
        output=written["output"],
    )


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written)


def _maybe(written: str | None) -> datetime | None:
    return None if written is None else _moment(written)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
