"""The account of a store against what its receivers heard: nothing lost, nothing told twice."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from monitor.core.model.incident import Incident
from monitor.core.model.notice import Delivery, DeliveryState, NoticeEvent
from monitor.core.model.rollback import Rollback, RollbackState
from monitor.store.codec import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TOGETHER: Final = "told together with "

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True)
class Books:
    """What a store says was there to tell, and to whom."""

    incidents: tuple[Incident, ...]
    deliveries: tuple[Delivery, ...]
    rollbacks: tuple[Rollback, ...]

    @classmethod
    def read(cls, store: Path) -> Books:
        """Read the store of a program that has ended, and leave it as it was."""
        with tempfile.TemporaryDirectory() as folder:
            for part in store.parent.glob(f"{store.name}*"):
                shutil.copy(part, folder)

            return cls._read(Path(folder) / store.name)

    @classmethod
    def _read(cls, store: Path) -> Books:
        connection = sqlite3.connect(store)
        try:
            return cls(
                incidents=_read(connection, Incident, "incidents"),
                deliveries=_read(connection, Delivery, "deliveries"),
                rollbacks=_read(connection, Rollback, "rollbacks"),
            )
        finally:
            connection.close()


@dataclass
class Account:
    """What each receiver heard: the keys of the notices, as often and in the order as they came."""

    heard: dict[str, list[str]] = field(default_factory=dict)

    @property
    def repeats(self) -> dict[str, int]:
        """How often who was told what they had been told before."""
        counts = {name: len(keys) - len(set(keys)) for name, keys in self.heard.items()}

        return {name: count for name, count in counts.items() if count}

    def breaches(self, books: Books, *, attended: bool = False) -> list[str]:
        """Say which promise was broken, to whom; nothing if all is well.

        Where incidents were `attended` to, each was escalated and then acknowledged, once.
        """
        return [
            f"{name}: {breach}"
            for name, keys in self.heard.items()
            for breach in _Hearing(name, keys, books, attended=attended).breaches()
        ] + [
            f"the rollback {one.id} of {one.service} is still {one.state}"
            for one in books.rollbacks
            if one.running
        ]


class _Hearing:
    """What one receiver heard, beside what was queued for it."""

    def __init__(self, name: str, heard: Sequence[str], books: Books, *, attended: bool) -> None:
        self._books = books
        self._attended = attended
        self._rows = {one.key: one for one in books.deliveries if one.notifier == name}
        self._heard = list(dict.fromkeys(heard))

    def breaches(self) -> Iterable[str]:
        yield from self._unknown_or_silent()
        for incident in self._books.incidents:
            yield from self._untold(incident)
        for rollback in self._books.rollbacks:
            if rollback.started_at is not None and rollback.state.ended:
                yield from self._untold_end(rollback)

    def _unknown_or_silent(self) -> Iterable[str]:
        """Everything heard is in the store, and what the store calls delivered was heard."""
        for key in self._heard:
            if key not in self._rows:
                yield f"heard {key}, which is not in the store"
        for key, row in self._rows.items():
            if row.state is not DeliveryState.DELIVERED:
                yield f"{_name(row)} is {row.state}: {row.last_error}"
            told = row.last_error.removeprefix(_TOGETHER) if _is_covered(row) else key
            if told not in self._heard:
                yield f"never heard {_name(row)}"

    def _untold(self, incident: Incident) -> Iterable[str]:
        """The beginning was told, by itself or with the end; the end after it, and both once."""
        rows = [row for row in self._rows.values() if row.notice.incident == incident.id]
        events = Counter(row.notice.event for row in rows)
        begun = events[NoticeEvent.OPENED] + events[NoticeEvent.BLIND]
        if begun != 1:
            yield f"{incident.id} of {incident.service} has {begun} beginnings"
        if events[NoticeEvent.RESOLVED] != (not incident.open):
            yield f"{incident.id} of {incident.service} has {events[NoticeEvent.RESOLVED]} ends"
        for event in (NoticeEvent.ESCALATED, NoticeEvent.ACKNOWLEDGED) if self._attended else ():
            if events[event] != 1:
                yield f"{incident.id} of {incident.service} is {event} {events[event]} times"
        order = [
            self._rows[key].notice.sequence
            for key in self._heard
            if key in self._rows and self._rows[key].notice.incident == incident.id
        ]
        if order != sorted(order):
            yield f"{incident.id} of {incident.service} was told in the order {order}"

    def _untold_end(self, rollback: Rollback) -> Iterable[str]:
        """What became of a rollback that was begun was said in so many words."""
        said = [
            (row.notice.rollback.id, row.notice.rollback.state)
            for key in self._heard
            if (row := self._rows.get(key)) is not None and row.notice.rollback is not None
        ]
        if (rollback.id, rollback.state.value) not in said:
            yield f"never heard that the rollback of {rollback.service} is {rollback.state}"


def effects_twice(journal: Mapping[str, Sequence[str]]) -> list[str]:
    """Say which effects happened more than once; a journal has a line `key attempt` for each."""
    return [
        f"the effect {key} of {name} happened {count} times"
        for name, lines in journal.items()
        for key, count in Counter(line.split(" ", 1)[0] for line in lines).items()
        if count > 1
    ]


def states_of(books: Books) -> Counter[RollbackState]:
    """Count where the rollbacks stand."""
    return Counter(one.state for one in books.rollbacks)


def _is_covered(row: Delivery) -> bool:
    return row.last_error.startswith(_TOGETHER)


def _name(row: Delivery) -> str:
    return f"{row.notice.event} {row.notice.sequence} of {row.notice.service} ({row.key[:8]})"


def _read(connection: sqlite3.Connection, kind: type[Record], table: str) -> tuple[Record, ...]:
    bodies = connection.execute(f"SELECT body FROM {table}").fetchall()

    return tuple(decode(kind, body) for (body,) in bodies)
