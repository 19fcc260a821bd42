"""What the hook runner remembers: which attempts were begun, and what came of them."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import Enum
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Final

from monitor.runner.protocol import Answer, Malformed, read_answer, write_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RETENTION: Final = timedelta(days=30)
"""How long a result is kept at least; a monitor asks for one within seconds of its start."""

ALWAYS_KEPT: Final = 100
"""How many of the newest results are kept whatever the clock says: it may be wrong."""

FRESH: Final = timedelta(minutes=5)
"""By how much the time of a probe's key may differ from our clock."""

_LEFT_BEHIND: Final = timedelta(days=1)


class NoResult(Enum):
    """What is known of an attempt without a result."""

    NEVER_SEEN = "never seen"
    RUNNING = "running"
    UNFINISHED = "unfinished"


class Records:
    """A folder with two files for each attempt: that it was begun, and its result.

    The first appears at once and whole, or not at all because it is there already, and stays
    locked for as long as whoever began it lives. So of all who want to begin an attempt exactly one
    may, in whatever process, and later nobody. It is never deleted: it is what keeps a step from
    being run twice. Old results are: without one, an attempt counts as unfinished, and people are
    told that its outcome is not known.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def begin(self, name: str, facts: Mapping[str, Any]) -> Iterator[bool]:
        """Record that an attempt begins, durably; give whether it is ours to carry out.

        Raises OSError where it cannot be recorded, and then nothing may be done.
        """
        descriptor, unnamed = tempfile.mkstemp(prefix=".", dir=self._folder)
        try:
            with os.fdopen(descriptor, "w") as record:
                fcntl.flock(record, fcntl.LOCK_EX)
                json.dump(facts, record)
                record.flush()
                os.fsync(record.fileno())
                try:
                    os.link(unnamed, self._begun(name))  # as O_EXCL: whoever comes second fails
                except FileExistsError:
                    mine = False
                else:
                    mine = True
                    self._sync_folder()
                Path(unnamed).unlink()
                yield mine
        except BaseException:
            with suppress(OSError):
                Path(unnamed).unlink()
            raise

    def finish(self, name: str, answer: Answer) -> None:
        """Keep what came of an attempt; raises OSError."""
        descriptor, unnamed = tempfile.mkstemp(prefix=".", dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as result:
                result.write(write_answer(answer))
                result.flush()
                os.fsync(result.fileno())
            Path(unnamed).replace(self._result(name))
        except BaseException:
            with suppress(OSError):
                Path(unnamed).unlink()
            raise

        self._sync_folder()

    def recall(self, name: str) -> Answer | NoResult:
        """Give what came of an attempt, or how it stands."""
        try:
            if _is_locked(self._begun(name)):
                return NoResult.RUNNING
        except FileNotFoundError:
            return NoResult.NEVER_SEEN

        # It ended before this, and what it left is all that there will be.
        try:
            return read_answer(self._result(name).read_bytes())
        except (FileNotFoundError, Malformed):
            return NoResult.UNFINISHED

    def prune(self, now: float | None = None) -> int:
        """Delete old results, and what runners that were killed left behind; give how many files.

        What is locked belongs to somebody who is at work.
        """
        now = time() if now is None else now
        newest = sorted(self._found("*.result"), reverse=True)
        old = [
            *_older(newest[ALWAYS_KEPT:], now - RETENTION.total_seconds()),
            *_older(self._found(".*"), now - _LEFT_BEHIND.total_seconds()),
        ]
        unneeded = [path for path in old if not self._is_at_work(path)]
        for path in unneeded:
            path.unlink(missing_ok=True)

        return len(unneeded)

    def _found(self, pattern: str) -> list[tuple[float, Path]]:
        """Give the files of a pattern with the times at which they were written."""
        found = []
        for path in self._folder.glob(pattern):
            with suppress(FileNotFoundError):  # another runner may be as far as we are
                found.append((path.stat().st_mtime, path))

        return found

    def _is_at_work(self, path: Path) -> bool:
        """Whether the attempt that a file belongs to still runs."""
        record = self._begun(path.stem) if path.suffix == ".result" else path
        try:
            return _is_locked(record)
        except FileNotFoundError:
            return False

    def _begun(self, name: str) -> Path:
        return self._folder / f"{name}.begun"

    def _result(self, name: str) -> Path:
        return self._folder / f"{name}.result"

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Keys:
    """A folder with an empty file for each key that was used lately, by its time: none twice.

    Nothing else is kept of a run. Whoever comes with a key of another time than about now is turned
    away, so old ones can be forgotten.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self, key: str) -> bool:
        """Say whether a key is new, and use it up; raises OSError."""
        try:
            os.close(os.open(self._folder / key, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return False

        return True

    def prune(self, now: float) -> None:
        """Forget the keys of which nobody may make use any more."""
        for entry in os.scandir(self._folder):
            at = entry.name.partition("-")[0]
            if at.isdecimal() and abs(now - int(at) / 1000) > 2 * FRESH.total_seconds():
                with suppress(FileNotFoundError):  # another runner may be as far as we are
                    Path(entry.path).unlink()


def _is_locked(record: Path) -> bool:
    """Whether whoever wrote a record still lives; raises FileNotFoundError."""
    descriptor = os.open(record, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)

    return False


def _older(found: list[tuple[float, Path]], than: float) -> list[Path]:
    return [path for written, path in found if written < than]
