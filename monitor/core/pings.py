"""How pings are remembered, and when anybody listened: the records, without any judgement."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import printable
from monitor.core.model.changes import NOTHING, Changes
from monitor.core.model.heartbeat import Heard, Heartbeat, Ping, PingKind, Presence

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.model.endpoint import Endpoint
    from monitor.core.situation import Situation

SHORTEST_KEY: Final = 16
"""A key of fewer characters could be guessed."""

KEPT_PINGS: Final = 20
"""So many pings of each heartbeat are kept, the newest."""

KEPT_OUTPUT: Final = 10 * 1024
"""So much of what a job sends is kept: the end, where errors stand."""

WRITE_PRESENCE_EVERY: Final = timedelta(seconds=5)
"""How far a presence may be behind: each step is written down."""

_NO_TIME: Final = timedelta()


def adopt(endpoints: Iterable[Endpoint], situation: Situation, now: datetime) -> Changes:
    """Begin to know the heartbeats of a configuration, and forget those that are gone.

    By another schedule the patience begins anew; what came is kept.
    """
    wanted = {one.name: one.beats for one in endpoints if one.beats}
    known = situation.heartbeats
    fresh = []
    for name, schedule in wanted.items():
        before = known.get(name)
        if before is None:
            fresh.append(Heartbeat(endpoint=name, schedule=schedule, since=now))
        elif before.schedule != schedule:
            fresh.append(replace(before, schedule=schedule, since=now))

    return Changes(
        heartbeats=tuple(fresh), silenced=tuple(name for name in known if name not in wanted)
    )


def clean_output(text: str) -> str:
    """Keep the end of what a job sent, without anything that could act where it is shown."""
    lines = (printable(line.expandtabs(4)) for line in text.splitlines())

    return "\n".join(lines).strip()[-KEPT_OUTPUT:]


def take(heartbeat: Heartbeat, ping: Ping) -> Heartbeat:
    """Remember one ping."""
    short = replace(ping, output="")
    kept = replace(heartbeat, pings=(*heartbeat.pings, short)[-KEPT_PINGS:])
    if ping.kind is PingKind.START:
        return replace(kept, started=heartbeat.started or ping.at, restarted=ping.at)

    begun = heartbeat.restarted
    took = None if begun is None else max(ping.at - begun, _NO_TIME)

    return replace(kept, ended=ping, shown=ping.at, started=None, restarted=None, took=took)


def listen(situation: Situation, now: datetime) -> Changes:
    """Begin a presence: from now on somebody listens. Without heartbeats there is nothing to."""
    if not situation.heartbeats:
        return NOTHING

    newest = max(situation.presences, default=0)

    return Changes(presences=(Presence(id=newest + 1, since=now, until=now),))


def attend(situation: Situation, now: datetime) -> Changes:
    """Note that somebody still listens; each few seconds, so that little is written."""
    newest = max(situation.presences, default=0)
    if newest == 0:
        return listen(situation, now)

    presence = situation.presences[newest]
    if now - presence.until < WRITE_PRESENCE_EVERY or not situation.heartbeats:
        return NOTHING

    return Changes(presences=(replace(presence, until=now),))


def hear_of(endpoint: str, situation: Situation, *, listening_at: datetime | None) -> Heard:
    """Give what was heard of a heartbeat, by a process that listens, or one that does not."""
    presences = tuple(situation.presences.values())
    if listening_at is not None and presences:
        presences = (*presences[:-1], replace(presences[-1], until=listening_at))

    return Heard(heartbeat=situation.heartbeats.get(endpoint), presences=presences)


def interrupt(situation: Situation, now: datetime, lasted: timedelta = _NO_TIME) -> Changes:
    """Begin a new presence after a time that nobody can vouch for, as long at least as is said.

    A clock that was set makes such a time of what it skipped, or showed twice.
    """
    newest = max(situation.presences, default=0)
    if newest == 0:
        return NOTHING

    presence = situation.presences[newest]
    until = max(min(presence.until, now - lasted), presence.since)

    return Changes(presences=(replace(presence, until=until),)) + listen(situation, now)
