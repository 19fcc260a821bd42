"""What the hook runner remembers: which attempts were begun, and what came of them."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.runner.protocol import Answer, Malformed, read_answer, write_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Standing(Enum):
    """What is known of an attempt without a result."""

    NEVER_SEEN = "never seen"
    RUNNING = "running"
    UNFINISHED = "unfinished"


class Records:
    """A folder with two files for each attempt: that it was begun, and its result.

    The first appears at once and whole, or not at all because it is there already, and stays
    locked for as long as whoever began it lives. So of all who want to begin an attempt exactly one
    may, in whatever process, and later nobody. It is never deleted: it is what keeps a step from
    being run twice.
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

    def recall(self, name: str) -> Answer | Standing:
        """Give what came of an attempt, or how it stands."""
        try:
            record = os.open(self._begun(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return Standing.NEVER_SEEN

        try:
            fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Standing.RUNNING
        finally:
            os.close(record)

        # It ended before this, and what it left is all that there will be.
        try:
            return read_answer(self._result(name).read_bytes())
        except (FileNotFoundError, Malformed):
            return Standing.UNFINISHED

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
