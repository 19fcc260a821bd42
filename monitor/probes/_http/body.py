"""The body of an answer, decoded, and never more of it than the limit."""

from __future__ import annotations

import zlib
from typing import Final, Protocol

from monitor.core.model.observation import Code, Fault
from monitor.probes._net.faults import Faulted

_MOST_MEMBERS: Final = 100
_SLACK: Final = 64 * 1024
_MOST_PIECES: Final = 65_536
"""A body may come in so many pieces, or in more of 16 bytes: a million take 0.2 s of CPU."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})


class Body:
    """What has arrived of a body, in decoded bytes; `truncated` says that there was more.

    `received` counts the bytes as they came.
    """

    __slots__ = ("_inflater", "_kept", "_limit", "_pieces", "received", "truncated")

    def __init__(self, coding: str, limit: int, *, brotli: bool = False) -> None:
        self.truncated = False
        self.received = 0
        self._pieces = 0
        self._limit = limit
        self._kept: bytes | bytearray = b""
        self._inflater = _find_inflater(coding, brotli=brotli) if coding else None

    def content(self) -> bytes:
        """Give the decoded bytes, at most the limit."""
        return bytes(self._kept)

    def take(self, chunk: bytes) -> None:
        """Take what has come, unless the limit was passed; raises Faulted on broken encoding."""
        if self.truncated:
            return

        self.received += len(chunk)
        self._pieces += 1
        if self._pieces > _MOST_PIECES and self._pieces * 16 > self._limit:
            self.truncated = True
            return
        if self._inflater is None:
            self._keep(chunk)
            return

        while chunk and not self.truncated:
            # one byte more than there is room for tells that there is more
            decoded, chunk = self._inflater.inflate(chunk, self._limit - len(self._kept) + 1)
            self._keep(decoded)

        if self.received > self._limit + _SLACK and not self.truncated:
            # what is no larger when decoded was made to keep us busy
            self.truncated = True

    def finish(self) -> None:
        """Take note that nothing more will come; raises Faulted where the encoding is cut."""
        if self._inflater is not None and self.received and not self.truncated:
            self._inflater.check_end()

    def _keep(self, decoded: bytes) -> None:
        room = self._limit - len(self._kept)
        if len(decoded) > room:
            self.truncated = True
            decoded = decoded[:room]

        if not self._kept:
            self._kept = decoded  # mostly there is no more, and nothing to copy
            return
        if isinstance(self._kept, bytes):
            self._kept = bytearray(self._kept)
        self._kept += decoded


class _Decoder(Protocol):
    """Undoes one encoding, piece by piece."""

    def inflate(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        """Give what the data becomes, about so many bytes of it at most, and the data left over."""
        ...

    def check_end(self) -> None:
        """Raise Faulted where the data ended in the middle."""
        ...


def _find_inflater(coding: str, *, brotli: bool) -> _Decoder | None:
    coding = coding.strip().lower()
    if coding == "br" and brotli:
        return _Brotli()

    return _Inflater(coding) if coding in _CODINGS else None


def _broken(what: str) -> Faulted:
    message = f"the body of the answer cannot be decoded: {what}"

    return Faulted(Fault(code=Code.BAD_RESPONSE, message=message))


class _Brotli:
    """Undoes br, of which one stream is the whole body."""

    def __init__(self) -> None:
        import brotli  # an extra, and only for those who ask for it

        self._stream = brotli.Decompressor()
        self._error = brotli.error

    def inflate(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        if self._stream.is_finished():
            return b"", b""  # padding after the end

        try:
            return self._stream.process(data, output_buffer_limit=most), b""
        except self._error as error:
            raise _broken("it is not valid br") from error

    def check_end(self) -> None:
        if not self._stream.is_finished():
            raise _broken("its br data ends early")


class _Inflater:
    """Undoes gzip (of several members, too) and deflate (with its wrapping or without)."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._coding = "gzip" if self._gzip else coding
        self._members = 0
        self._stream: zlib._Decompress | None = None
        self._over = False

    def inflate(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        """Give what the data becomes, at most so many bytes of it, and the data left over."""
        if self._stream is None:
            self._stream = self._new_stream(data)
        elif self._stream.eof:
            self._over = self._over or not self._gzip or not data.startswith(b"\x1f")
            if self._over:
                return b"", b""  # padding after the end, which everyone ignores
            self._stream = self._new_stream(data)

        try:
            decoded = self._stream.decompress(data, most)
        except zlib.error as error:
            raise _broken(f"it is not valid {self._coding}") from error

        return decoded, self._stream.unconsumed_tail or self._stream.unused_data

    def check_end(self) -> None:
        """Raise Faulted where the data ended in the middle."""
        if self._stream is None or not self._stream.eof:
            raise _broken(f"its {self._coding} data ends early")

    def _new_stream(self, data: bytes) -> zlib._Decompress:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise _broken(f"it has more than {_MOST_MEMBERS} gzip members")
        if self._gzip:
            return zlib.decompressobj(_GZIP)

        wrapped = bool(data) and data[0] & 0x0F == 8
        return zlib.decompressobj(_ZLIB if wrapped else _RAW)
