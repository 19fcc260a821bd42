"""The files of a store: where they are, who may read them, and whether they are still ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from monitor.store.errors import StoreError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_COMPANIONS: Final = ("-wal", "-shm")


class Files:
    """The database, its write-ahead log and shared memory, and the mark of a suspicion."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = path.with_name(path.name + ".suspect")
        self._opened: os.stat_result | None = None

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
            raise StoreError(
                f"{directory}: cannot create the directory of the store: {error.strerror}"
            ) from error

        if self.path.is_dir():
            raise StoreError(f"{self.path}: expected a file for the store, found a directory")
        if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
            raise StoreError(f"{directory}: the directory of the store cannot be written")

    def create(self) -> None:
        """Create the database where there is none, readable for its owner only.

        SQLite gives its companions the same mode.
        """
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreError(f"{self.path}: cannot write the store: {error.strerror}") from error

    def opened(self) -> None:
        """Remember which file it was that was opened."""
        self._opened = self.path.stat()

    @property
    def intact(self) -> bool:
        """Whether the file that was opened is still the one at this path."""
        try:
            return self._opened is not None and os.path.samestat(self._opened, self.path.stat())
        except OSError:
            return False

    @property
    def suspect(self) -> bool:
        """Whether the last owner ended without closing the database, or met damage in it."""
        try:
            left = self._companion("-wal").stat().st_size > 0
        except OSError:
            left = False

        return left or self._mark.exists()

    def mark_suspect(self) -> None:
        """Have the next owner check the database."""
        try:
            self._mark.touch(mode=0o600)
        except OSError:
            return  # the disk is in a worse state than this can tell; the log has the error

    def trust(self) -> None:
        """Forget the suspicion."""
        self._mark.unlink(missing_ok=True)

    def set_aside(self, now: datetime) -> Path:
        """Move the database out of the way, with all that belongs to it; give its new name."""
        kept = self.path.with_name(f"{self.path.name}.corrupt-{now:%Y%m%dT%H%M%S.%fZ}")
        try:
            self.path.rename(kept)
            for suffix in _COMPANIONS:
                companion = self._companion(suffix)
                if companion.exists():
                    companion.rename(kept.with_name(kept.name + suffix))
            self.trust()
        except OSError as error:
            raise StoreError(
                f"{self.path}: the store is corrupt and cannot be set aside: {error.strerror}"
            ) from error

        return kept

    def _companion(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)
