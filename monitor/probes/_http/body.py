"""The body of an answer, decoded, and never more of it than the limit."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from aiohttp import StreamReader

_MOST_MEMBERS: Final = 100
_SLACK: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})


class Body:
    """What has arrived of a body, in decoded bytes; `truncated` says that there was more."""

    def __init__(self, coding: str, limit: int) -> None:
        coding = coding.strip().lower()
        self.truncated = False
        self.received = 0
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._inflater = _Inflater(coding) if coding in _CODINGS else None

    def content(self) -> bytes:
        """Give the decoded bytes, at most the limit."""
        return b"".join(self._parts)

    async def read_from(self, stream: StreamReader) -> None:
        """Read until the end or the limit; raises Faulted where the encoding is broken."""
        while not self.truncated and (chunk := await stream.readany()):
            self._take(chunk)

        if self._inflater is not None and self.received and not self.truncated:
            self._inflater.check_end()

    def _take(self, chunk: bytes) -> None:
        self.received += len(chunk)
        if self._inflater is None:
            self._keep(chunk)
            return

        while chunk and not self.truncated:
            # one byte more than there is room for tells that there is more
            decoded, chunk = self._inflater.inflate(chunk, self._limit - self._size + 1)
            self._keep(decoded)

        if self.received > self._limit + _SLACK and not self.truncated:
            # what is no larger when decoded was made to keep us busy
            self.truncated = True

    def _keep(self, decoded: bytes) -> None:
        room = self._limit - self._size
        if len(decoded) > room:
            self.truncated = True
            decoded = decoded[:room]

        self._parts.append(decoded)
        self._size += len(decoded)


class _Inflater:
    """Undoes gzip (of several members, too) and deflate (with its wrapping or without)."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._coding = "gzip" if self._gzip else coding
        self._members = 0
        self._stream = self._new_stream(b"")
        self._started = False

    def inflate(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        """Give what the data becomes, at most so many bytes of it, and the data left over."""
        if not self._started:
            self._stream = self._new_stream(data)
            self._started = True
        if self._stream.eof:
            if not self._gzip or not data.startswith(b"\x1f"):
                return b"", b""  # padding after the end, which everyone ignores
            self._stream = self._new_stream(data)

        try:
            decoded = self._stream.decompress(data, most)
        except zlib.error as error:
            raise self._broken(f"it is not valid {self._coding}") from error

        return decoded, self._stream.unconsumed_tail or self._stream.unused_data

    def check_end(self) -> None:
        """Raise Faulted where the data ended in the middle."""
        if not self._stream.eof:
            raise self._broken(f"its {self._coding} data ends early")

    def _new_stream(self, data: bytes) -> zlib._Decompress:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise self._broken(f"it has more than {_MOST_MEMBERS} gzip members")
        if self._gzip:
            return zlib.decompressobj(_GZIP)

        wrapped = bool(data) and data[0] & 0x0F == 8
        return zlib.decompressobj(_ZLIB if wrapped else _RAW)

    @staticmethod
    def _broken(what: str) -> Faulted:
        message = f"the body of the answer cannot be decoded: {what}"
        return Faulted(Fault(code=Code.BAD_RESPONSE, message=message))
