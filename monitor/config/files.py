"""Reads files within limits, and makes text of them that YAML can be read from."""

from __future__ import annotations

import os
import re
import select
import stat
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

LARGEST: Final = 16 * 1024 * 1024

_AT_ONCE: Final = 64 * 1024
_PATIENCE: Final = timedelta(seconds=5)

_FORBIDDEN: Final = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_FOREIGN_MARKS: Final = (
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
)
_UTF8_MARK: Final = b"\xef\xbb\xbf"


class Unreadable(ValueError):
    """A file that is not what is wanted; the message follows its name, as in `is a directory`."""


class Wrong(NamedTuple):
    """What is wrong with the bytes of a file; line and column count from 1."""

    line: int
    column: int
    message: str


def read_regular(path: Path, limit: int) -> bytes:
    """Read a regular file; a pipe or a device, which could keep us waiting, is refused.

    Raises OSError, or Unreadable that says why the file is not wanted.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise Unreadable("is a directory")
        if not stat.S_ISREG(mode):
            raise Unreadable("is not a regular file")

        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return _at_most(stream.read(limit + 1), limit)
    finally:
        os.close(descriptor)


def read_any(path: Path, limit: int) -> bytes:
    """Read a file that may be a pipe, as in `--config <(decrypt monitor.yml)`.

    Raises OSError, or Unreadable that says why the file is not wanted.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise Unreadable("is a directory")
        if stat.S_ISFIFO(mode):
            return _at_most(_read_pipe(descriptor, limit), limit)

        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return _at_most(stream.read(limit + 1), limit)
    finally:
        os.close(descriptor)


def _read_pipe(descriptor: int, limit: int) -> bytes:
    """Read until the writers are gone, however long that takes; but wait for a first one."""
    content = bytearray()
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while len(content) <= limit:
        try:
            part = os.read(descriptor, _AT_ONCE)
        except BlockingIOError:  # somebody means to write more
            ready.poll()
            continue

        content += part
        if not part and content:
            break
        if not part:
            found = ready.poll(_PATIENCE / timedelta(milliseconds=1))
            if not found:
                raise Unreadable("is a pipe into which nobody writes")
            if not found[0][1] & select.POLLIN:
                break  # who wrote nothing is gone already

    return bytes(content)


def why(error: OSError | ValueError) -> str:
    """Say why a file cannot be read, to follow its name; nothing of its content."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror.lower()}"

    return "cannot be read"


def _at_most(content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise Unreadable(f"is larger than {limit // 1024} KiB")

    return content


def decode(content: bytes) -> str | Wrong:
    """Make text of the bytes of a file, or say where they are no text that YAML allows."""
    if content.startswith(_UTF8_MARK):
        return Wrong(1, 1, "the file starts with a byte order mark: save it as UTF-8 without BOM")
    for mark, encoding in _FOREIGN_MARKS:
        if content.startswith(mark):
            return Wrong(1, 1, f"expected UTF-8 text, found {encoding}: save the file as UTF-8")

    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")

        return _wrong(before, f"expected UTF-8 text, found the byte 0x{content[error.start]:02x}")

    forbidden = _FORBIDDEN.search(text)
    if forbidden is None:
        return text

    code = ord(forbidden[0])
    name = "a NUL character" if code == 0 else f"the control character U+{code:04X}"

    return _wrong(text[: forbidden.start()], f"expected text, found {name}")


def _wrong(before: str, message: str) -> Wrong:
    return Wrong(before.count("\n") + 1, len(before) - before.rfind("\n"), message)
