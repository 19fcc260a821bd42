"""The files of a store: where they are, who may read them, and whether they are still ours."""

from __future__ import annotations

import os
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.store.errors import StoreError, refused

if TYPE_CHECKING:
    from datetime import datetime

_COMPANIONS: Final = ("-wal", "-shm")
_OF_A_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"})
_LEAST_ROOM: Final = 64 * 1024
_MOUNTS: Final = Path("/proc/self/mountinfo")


class Standing(Enum):
    """What has become of the file that was opened; the values end the sentence `the store …`."""

    OURS = "is as it was left"
    TOUCHED = "was changed by another program while it was in use"
    GONE = "was deleted, moved or emptied while it was in use"
    STRANGE = "was replaced by another file while it was in use"


class Files:
    """The database, its write-ahead log and shared memory, and the mark of a suspicion."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = path.with_name(path.name + ".suspect")
        self._opened: os.stat_result | None = None
        self._log: os.stat_result | None = None

    def prepare(self) -> None:
        """Create the directory, for its owner only; raises StoreError if that is impossible."""
        directory = self.path.parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StoreError(
                f"{directory}: expected a directory for the store, found a file"
            ) from error
        except OSError as error:
            raise refused(
                f"{directory}: cannot create the directory of the store", error
            ) from error

        if self.path.is_dir():
            raise StoreError(f"{self.path}: expected a file for the store, found a directory")
        if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
            raise StoreError(f"{directory}: the directory of the store cannot be written")
        kind = find_filesystem(directory)
        if is_of_a_network(kind):
            raise StoreError(
                f"{directory}: expected a local disk for the store, found a network file system"
                f" ({kind}), on which its write-ahead log is not safe"
            )

    def create(self) -> None:
        """Create the database where there is none, readable for its owner only.

        SQLite gives its companions the same mode.
        """
        _create_private(self.path)

    def opened(self) -> None:
        """Remember which file it was that was opened, and how it is left."""
        self._opened = _stat(self.path)
        self._log = _stat(self._companion("-wal"))

    @property
    def known(self) -> bool:
        """Whether it was opened before."""
        return self._opened is not None

    def note_own_writing(self) -> None:
        """Remember how we left the database and its log, unless the file is another one."""
        if _is_same(_stat(self.path), self._opened):
            self.opened()

    def note_log(self) -> int:
        """Remember how we left the log alone; give its size."""
        log = _stat(self._companion("-wal"))
        if self._log is None or _is_same(log, self._log):
            self._log = log

        return log.st_size if log is not None else 0

    @property
    def standing(self) -> Standing:
        """What has become of the file since it was opened or left."""
        now, opened = _stat(self.path), self._opened
        if now is None or now.st_size == 0:
            return Standing.GONE
        if opened is None or not _is_same(now, opened):
            return Standing.STRANGE
        if (now.st_size, now.st_mtime_ns) != (opened.st_size, opened.st_mtime_ns):
            return Standing.TOUCHED

        return Standing.OURS if self._has_log() else Standing.TOUCHED

    @property
    def empty(self) -> bool:
        """Whether there is no database, or one without a byte."""
        found = _stat(self.path)

        return found is None or found.st_size == 0

    @property
    def is_full(self) -> bool:
        """Whether the disk has no room for what SQLite needs to open a file."""
        try:
            found = os.statvfs(self.path.parent)
        except OSError:
            return False

        return found.f_bavail * found.f_frsize < _LEAST_ROOM

    @property
    def has_log(self) -> bool:
        """Whether the log holds what is not in the database yet."""
        log = _stat(self._companion("-wal"))

        return log is not None and log.st_size > 0

    @property
    def suspect(self) -> bool:
        """Whether the last owner ended without closing the database, or met damage in it."""
        return self.has_log or self._mark.exists()

    def mark_suspect(self) -> None:
        """Have the next owner check the database."""
        try:
            os.close(open_private(self._mark))
        except OSError:
            return  # the disk is in a worse state than this can tell; the log has the error

    def trust(self) -> None:
        """Forget the suspicion."""
        self._mark.unlink(missing_ok=True)

    def begin_copy(self) -> Path:
        """Make an empty file that may take the place of the database later."""
        copy = self._companion(".copy")
        copy.unlink(missing_ok=True)
        _create_private(copy)

        return copy

    def drop_log(self) -> None:
        """Delete the log of a file that is gone: the next one must be read without it."""
        try:
            if _is_same(_stat(self._companion("-wal")), self._log):
                for suffix in _COMPANIONS:
                    self._companion(suffix).unlink(missing_ok=True)
        except OSError as error:
            raise refused(f"{self.path}: cannot delete the log of the store", error) from error

    def drop_empty(self) -> None:
        """Delete a database without a byte: the next owner shall not take it for an emptied one."""
        with suppress(OSError):
            if self.empty and not self.has_log:
                self.path.unlink()

    def put_in_place(self, copy: Path) -> None:
        """Let a copy be the database."""
        try:
            copy.rename(self.path)
        except OSError as error:
            raise refused(f"{self.path}: cannot write the store", error) from error

    def set_aside(self, now: datetime, why: str = "corrupt") -> Path:
        """Move the database out of the way, with all that belongs to it; give its new name.

        Nothing that was set aside before is overwritten.
        """
        kept = base = self.path.with_name(f"{self.path.name}.{why}-{now:%Y%m%dT%H%M%S.%fZ}")
        number = 1
        while any(kept.with_name(kept.name + suffix).exists() for suffix in ("", *_COMPANIONS)):
            number += 1
            kept = base.with_name(f"{base.name}-{number}")
        try:
            self.path.rename(kept)
            for suffix in _COMPANIONS:
                companion = self._companion(suffix)
                if companion.exists():
                    companion.rename(kept.with_name(kept.name + suffix))
            self.trust()
        except OSError as error:
            raise refused(
                f"{self.path}: the store is {why} and cannot be set aside", error
            ) from error

        self._opened = self._log = None

        return kept

    def _has_log(self) -> bool:
        """Whether nobody took the log away, or a part of it; others may have added to it."""
        if self._log is None:
            return True

        log = _stat(self._companion("-wal"))

        return log is not None and _is_same(log, self._log) and log.st_size >= self._log.st_size

    def _companion(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


def find_filesystem(directory: Path, mounts: Path = _MOUNTS) -> str:
    """Give the kind of file system that a directory is on, empty where the kernel does not say."""
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError):
        for line in mounts.read_text(errors="replace").splitlines():
            before, _, after = line.partition(" - ")
            if after and before.split()[2] == wanted:
                return after.split()[0]

    return ""


def is_of_a_network(kind: str) -> bool:
    """Whether a file system is one on which a write-ahead log is not safe."""
    return kind in _OF_A_NETWORK


def open_private(path: Path) -> int:
    """Open a file for writing that only its owner may read, made if it is not there.

    What root makes belongs to whom the directory belongs, so that the service can write it after a
    command that a person gave. Raises OSError.
    """
    how = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(path, how | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, how, 0o600)

    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except BaseException:
        os.close(descriptor)
        raise

    return descriptor


def _create_private(path: Path) -> None:
    try:
        os.close(open_private(path))
    except OSError as error:
        raise refused(f"{path}: cannot write the store", error) from error


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _is_same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    return one is not None and other is not None and os.path.samestat(one, other)
