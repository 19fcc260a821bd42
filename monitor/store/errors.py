"""What can be wrong with a store, in words for the person who starts the program."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})


class StoreError(Exception):
    """The store cannot be opened, read or written; the message says where and why."""


class Unready(StoreError):
    """It cannot now, for a reason that may pass by itself, such as a full disk."""


class StoreLost(StoreError):
    """The file holds no longer what was written to it: all that is known must be written anew."""


def refused(what: str, error: OSError) -> StoreError:
    """Say what the system refused and why, and whether that may pass by itself."""
    kind = Unready if error.errno in _PASSING else StoreError

    return kind(f"{what}: {error.strerror}")


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
