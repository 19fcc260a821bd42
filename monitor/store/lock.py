"""The lock beside a store: one process owns it, and everybody else learns who that is."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from monitor.store.errors import Holder, StoreHeld, refused
from monitor.store.files import open_private

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class Lock:
    """An exclusive flock on `<store>.lock`; the kernel releases it when the process ends."""

    def __init__(self, store: Path, descriptor: int, holder: Holder) -> None:
        self._path = lock_path(store)
        self._descriptor = descriptor
        self._holder = holder

    @classmethod
    def take(cls, store: Path, *, command: str, now: datetime) -> Lock:
        """Take the lock and write down who has it; raises StoreHeld or StoreError."""
        path = lock_path(store)
        try:
            descriptor = open_private(path)
        except OSError as error:
            raise refused(f"{path}: cannot create the lock of the store", error) from error

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise StoreHeld(store, read_holder(store)) from error
        except OSError as error:
            os.close(descriptor)
            raise refused(f"{path}: cannot lock the store", error) from error

        holder = Holder(pid=os.getpid(), command=command, since=now.isoformat(timespec="seconds"))
        with suppress(OSError):  # a full disk: whoever finds it taken is not told by whom
            _write(descriptor, holder)

        return cls(store, descriptor, holder)

    def tell_control(self, control: Path) -> None:
        """Write down where the holder listens, for whoever knows the store but not the daemon."""
        self._holder = replace(self._holder, control=str(control))
        with suppress(OSError):  # who asks will look in the usual places
            _write(self._descriptor, self._holder)

    @property
    def intact(self) -> bool:
        """Whether the file is still the one that we locked: nobody deleted or replaced it."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def release(self) -> None:
        """Give the lock up; the file stays, because deleting it would let two owners in."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _write(descriptor: int, holder: Holder) -> None:
    text = json.dumps(asdict(holder)).encode()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text, 0)


def lock_path(store: Path) -> Path:
    """Give the lock file of a store."""
    return store.with_name(store.name + ".lock")


def was_released(store: Path) -> bool:
    """Whether the last owner of a store gave it up in good order."""
    try:
        return lock_path(store).stat().st_size == 0
    except OSError:
        return False


def is_held(store: Path) -> bool:
    """Whether a process owns a store now; looks without a trace."""
    try:
        descriptor = os.open(lock_path(store), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)

    return False


def read_holder(store: Path) -> Holder | None:
    """Read who wrote the lock file last; None where it does not say."""
    try:
        found = json.loads(lock_path(store).read_text())

        return Holder(
            pid=found["pid"],
            command=found["command"],
            since=found["since"],
            control=found.get("control", ""),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
