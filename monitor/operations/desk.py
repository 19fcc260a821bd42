"""Where acts of people are taken, and how an act is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from monitor.config.suggest import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from enum import StrEnum

    from monitor.core.engine import Engine
    from monitor.core.model.changes import Changes
    from monitor.core.model.incident import Incident, TimelineEntry
    from monitor.store.journal import Journal

LONGEST: Final = 200
"""How long a text may be that a person gives, unless it is one to read."""

LONGEST_REASON: Final = 500
"""How long a reason may be that a person gives for an act, or the title of an incident."""

_LONGEST_NAME: Final = 100
_JOINERS: Final = {0x200C: None, 0x200D: None}

_Choice = TypeVar("_Choice", bound="StrEnum")


class OperationError(Exception):
    """What was asked cannot be done; the message says what was found and what was wanted."""


class NotFound(OperationError):
    """There is nothing of the name that was given."""


class Archive(Protocol):
    """Reads what the store remembers of incidents; raises StoreError."""

    async def incidents_named(self, beginning: str, limit: int) -> tuple[Incident, ...]:
        """Give the incidents whose ids begin so, in the order of their ids; an exact one first."""
        ...

    async def incidents(self, since: datetime, limit: int) -> list[Incident]:
        """Give the newest incidents that were open at `since` or later, oldest first."""
        ...

    async def timeline(self, incident: str) -> tuple[TimelineEntry, ...]:
        """Give the record of one incident in its order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What each act needs: who decides, what remembers, and the time.

    `record` hands changes on: they are logged, counted, and become durable. `archive` has what
    is too old for memory, where anybody may ask for that.
    """

    engine: Engine
    journal: Journal
    record: Callable[[Changes], None]
    clock: Callable[[], datetime]
    archive: Archive | None = None

    async def settle(self, changes: Changes) -> None:
        """Return once what has changed is durable; after a StoreError it is known all the same."""
        self.record(changes)
        await self.be_sure()

    async def be_sure(self) -> None:
        """Return once all that is known is durable.

        Whoever asks for what is so already is told so: by then it must outlast a crash as well.
        """
        await self.journal.flush()


def check_service(service: str, desk: Desk) -> None:
    """Raise OperationError for a service that the configuration does not have."""
    known = {check.service for check in desk.engine.checks.values()}
    known |= set(desk.engine.directory.services)
    if service not in known:
        raise OperationError(
            f"service {service!r:.200} is not in the configuration{suggest(service, known)}"
        )


def check_keys(raw: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Raise OperationError for a key that is none of those which are allowed."""
    for key in raw:
        if key not in allowed:
            shown = key[:80] if key.isprintable() else repr(key)[:80]
            raise OperationError(f"{shown}: unknown key, expected one of {', '.join(allowed)}")


def read_text(raw: Mapping[str, Any], key: str, longest: int = LONGEST) -> str | None:
    """Read one printable line that may be left out; raises OperationError."""
    value = raw.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise OperationError(
            f"{key}: expected a text of 1 to {longest} characters, found {value!r:.80}"
        )
    if not value.isprintable():
        raise OperationError(f"{key}: expected printable characters only, found {value!r:.80}")

    return value.strip()


def clean_text(what: str, text: str, longest: int = LONGEST) -> str:
    """Put what a person wrote on one line; raises OperationError where it is none to be shown.

    What joins the parts of a written sign is no letter, but belongs to it.
    """
    line = " ".join(text.split())
    if not line or len(line) > longest:
        raise OperationError(
            f"{what}: expected a text of 1 to {longest} characters, found {len(line)} of them"
        )
    if not line.translate(_JOINERS).isprintable():
        raise OperationError(f"{what}: expected printable characters only, found {line!r:.80}")

    return line


def clean_name(name: str) -> str:
    """Give the name of who acts so that it can be shown: an act is not refused for a name."""
    shown = "".join(sign if sign.isprintable() else " " for sign in name)

    return " ".join(shown.split())[:_LONGEST_NAME].rstrip() or "somebody"


def read_choice(
    raw: Mapping[str, Any], key: str, default: _Choice, allowed: tuple[_Choice, ...]
) -> _Choice:
    """Read one of some words, the default where there is none; raises OperationError."""
    value = raw.get(key)
    if value is None:
        return default
    for choice in allowed:
        if value == choice.value:
            return choice

    names = ", ".join(choice.value for choice in allowed)
    raise OperationError(f"{key}: expected one of {names}, found {value!r:.80}")
