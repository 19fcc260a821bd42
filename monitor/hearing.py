"""Hearing of heartbeats: whose key a ping has, what becomes of it, and what was heard so far."""

from __future__ import annotations

import hmac
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING, Final

from monitor import operations
from monitor.core import pings
from monitor.core.model.heartbeat import Ping
from monitor.operations import Desk
from monitor.options import beyond_cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from monitor.clock import Clock, ClockWatch
    from monitor.core.engine import Engine
    from monitor.core.model.changes import Changes
    from monitor.core.model.heartbeat import Heard, PingKind
    from monitor.options import Secret
    from monitor.store.journal import Journal

READ_EVERY: Final = 1.0
"""So many seconds pass before keys in files are read again, however many pings come."""


class Keys:
    """The keys of heartbeats, which a reload may replace, and the files of some of them.

    A key that is taken back opens nothing after a second. One that is not known may be new: then
    the files are read at once, if that was not done for another such key in the last second.
    """

    def __init__(
        self, known: Callable[[], Mapping[str, Secret]], clock: Callable[[], float] = monotonic
    ) -> None:
        self._known = known
        self._clock = clock
        self._read_of: Mapping[str, Secret] | None = None
        self._read_at = self._missed_at = float("-inf")
        self._digests: tuple[tuple[str, bytes], ...] = ()

    def find(self, key: str) -> str | None:
        """Give the endpoint whose key this is."""
        now = self._clock()
        digest = _digest(key)
        if self._read_of is not self._known() or now - self._read_at >= READ_EVERY:
            self._read(now)

        found = self._compare(digest)
        if found is None and now - self._missed_at >= READ_EVERY:
            self._missed_at = now
            self._read(now)
            found = self._compare(digest)

        return found

    def _compare(self, digest: bytes) -> str | None:
        """Compare with every key in constant time, so that the time tells nothing."""
        found = None
        for endpoint, known in self._digests:
            if hmac.compare_digest(digest, known):
                found = endpoint

        return found

    def _read(self, now: float) -> None:
        self._read_at, self._read_of = now, self._known()
        keys = [(endpoint, secret.reveal()) for endpoint, secret in self._read_of.items()]
        self._digests = tuple(
            (endpoint, _digest(key))
            for endpoint, key in keys
            if len(key) >= pings.SHORTEST_KEY  # a file may be half written
        )


class Hearing:
    """Takes pings, and remembers when anybody listened for them.

    `listens` is whether this process does. `record` counts and tells what changed, and `hasten` has
    an endpoint looked at.
    """

    def __init__(
        self,
        *,
        keys: Callable[[], Mapping[str, Secret]],
        engine: Engine,
        journal: Journal,
        clock: Clock,
        clock_watch: ClockWatch,
        mask: Callable[[str], str],
        record: Callable[[Changes], None],
        hasten: Callable[[str], None],
        listens: bool,
    ) -> None:
        self._keys = Keys(keys)
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._clock_watch = clock_watch
        self._mask = mask
        self._record = record
        self._hasten = hasten
        self._listens = listens

    def find(self, key: str) -> str | None:
        """Give the endpoint whose key this is."""
        return self._keys.find(key)

    def heard(self, endpoint: str) -> Heard:
        """Give what was heard of a heartbeat, once it is known whether anybody listened."""
        self._clock_watch.look()
        now = self._clock() if self._listens else None

        return pings.hear_of(endpoint, self._engine.situation, listening_at=now)

    def begin(self) -> None:
        """Listen from now on."""
        if self._listens:
            now = self._clock()
            began = pings.listen(self._engine.situation, now)
            self._record(self._engine.absorb(began, now))

    def arrive(self) -> datetime:
        """Give the time of a ping that begins to come: it counts, however long its body takes."""
        self._clock_watch.look()

        return self._clock()

    async def take(
        self,
        endpoint: str,
        kind: PingKind,
        *,
        at: datetime,
        exit_code: int | None,
        output: str,
        cut: bool = False,
    ) -> None:
        """Take a ping, and look at its heartbeat at once; see `operations.take_ping`.

        `cut` is whether the beginning of the output was not kept.
        """
        self._clock_watch.look()
        output = pings.clean_output(beyond_cut(self._mask(output), cut=cut))
        await operations.take_ping(
            endpoint,
            Ping(at=at, kind=kind, exit_code=exit_code, output=output),
            Desk(
                engine=self._engine,
                journal=self._journal,
                record=self._record,
                clock=self._clock,
            ),
            self._hasten,
        )


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()
