"""What can be wrong with a store, in words for the person who starts the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class StoreError(Exception):
    """The store cannot be opened, read or written; the message says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that owns a store; `since` is an ISO 8601 time in UTC.

    `control` is the path of the socket on which it listens, empty where it listens on none.
    """

    pid: int
    command: str
    since: str
    control: str = ""


class StoreHeld(StoreError):
    """Another process owns the store; `holder` is None where it did not say who it is."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        who = (
            f"`{holder.command}` (pid {holder.pid}, since {holder.since})"
            if holder
            else "another process"
        )
        super().__init__(f"{path}: the store is held by {who}; one process owns it at a time")
        self.path = path
        self.holder = holder
