"""The protocol of Redis: a command as it is sent, and its reply as it comes, within bounds.

What is spoken is RESP2: https://redis.io/docs/latest/develop/reference/protocol-spec/. A length
that a reply announces is compared with what may still come before anything is done about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, Union

if TYPE_CHECKING:
    from asyncio import StreamReader
    from collections.abc import Sequence

LARGEST: Final = 1024 * 1024
MOST_PARTS: Final = 10_000
DEEPEST: Final = 16

Reply: TypeAlias = Union[bytes, int, "Refusal", list["Reply"], None]

_END: Final = b"\r\n"
_KINDS: Final = b"+-:$*"
_NUMBER: Final = re.compile(rb"-?[0-9]{1,19}")
_ABSENT: Final = -1


class NotRedis(ValueError):
    """What came is not of this protocol."""


class TooMuch(ValueError):
    """The reply is more than anybody wants to read; the text says in what way."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that the server replies with: its words, of which the first is a code."""

    text: str


def write_command(words: Sequence[str]) -> bytes:
    """Write a command as it is sent."""
    encoded = [word.encode() for word in words]
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded]

    return b"*%d\r\n%b" % (len(encoded), b"".join(parts))


async def read_reply(stream: StreamReader) -> Reply:
    """Read one reply; raises NotRedis and TooMuch, and what a stream raises that ends."""
    return await _Reading(stream).read(depth=0)


class _Reading:
    """One reply while it comes, and how much of it may still come."""

    def __init__(self, stream: StreamReader) -> None:
        self._stream = stream
        self._bytes = LARGEST
        self._parts = MOST_PARTS

    async def read(self, depth: int) -> Reply:
        self._take_parts(1)
        kind = await self._stream.readexactly(1)
        if kind not in _KINDS:
            raise NotRedis
        line = (await self._stream.readuntil(_END)).removesuffix(_END)
        self._take_bytes(1 + len(line) + len(_END))
        match kind:
            case b"+":
                return line
            case b"-":
                return Refusal(line.decode(errors="replace"))
            case b":":
                return _read_number(line)
            case b"$":
                return await self._read_text(_read_length(line))

        return await self._read_list(_read_length(line), depth)

    async def _read_text(self, length: int) -> bytes | None:
        if length == _ABSENT:
            return None

        self._take_bytes(length + len(_END))
        text = await self._stream.readexactly(length)
        if await self._stream.readexactly(len(_END)) != _END:
            raise NotRedis

        return text

    async def _read_list(self, length: int, depth: int) -> list[Reply] | None:
        if length == _ABSENT:
            return None
        if length > self._parts:
            raise _too_many()
        if depth == DEEPEST:
            raise TooMuch(f"nested more than {DEEPEST} deep")

        return [await self.read(depth + 1) for _ in range(length)]

    def _take_bytes(self, count: int) -> None:
        self._bytes -= count
        if self._bytes < 0:
            raise TooMuch(f"longer than {LARGEST // 1024} KiB")

    def _take_parts(self, count: int) -> None:
        self._parts -= count
        if self._parts < 0:
            raise _too_many()


def _read_number(line: bytes) -> int:
    if not _NUMBER.fullmatch(line):
        raise NotRedis

    return int(line)


def _read_length(line: bytes) -> int:
    length = _read_number(line)
    if length < _ABSENT:
        raise NotRedis

    return length


def _too_many() -> TooMuch:
    return TooMuch(f"of more than {MOST_PARTS} parts")
