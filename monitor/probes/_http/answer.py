"""What has been heard of an answer: its head as it came, and what there is of its body."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from monitor.probes._http.body import Body

Lines = list[tuple[bytes, bytes]]

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REMEMBERED: Final = 512  # of the lines that nearly all answers have in common


class Answer:
    """The answer that stands, from the moment at which its head is complete."""

    __slots__ = ("_lines", "body", "location", "status", "version")

    def __init__(self, status: int, version: str, lines: Lines) -> None:
        self.status = status
        self.version = version
        self.body = NO_BODY
        self._lines = [(name, value.rstrip(b" \t")) for name, value in lines]
        self.location = self.first(b"location") if status in REDIRECTS else None

    def expect_body(self, limit: int, *, brotli: bool = False) -> None:
        """Prepare for a body, of which so many decoded bytes are kept."""
        self.body = Body(self.first(b"content-encoding") or "", limit, brotli=brotli)

    def all(self, name: bytes) -> list[str]:
        """Give all values of a header in the order received; its name in lower case."""
        return [read_text(value) for key, value in self._lines if key.lower() == name]

    def first(self, name: bytes) -> str | None:
        """Give the first value of a header; its name in lower case."""
        for key, value in self._lines:
            if len(key) == len(name) and key.lower() == name:
                return read_text(value)

        return None

    @property
    def header_lines(self) -> tuple[tuple[str, str], ...]:
        """The lines of the head as text."""
        return tuple([_read_line(name, value) for name, value in self._lines])

    @property
    def is_delimited(self) -> bool:
        """Whether the head says where the body ends; otherwise the end of the connection does."""
        if codings := self.all(b"transfer-encoding"):
            return codings[-1].rpartition(",")[2].strip().lower() == "chunked"

        return self.first(b"content-length") is not None

    @property
    def declared_length(self) -> int | None:
        """The length that the head declares for the body as it is sent."""
        declared = self.first(b"content-length") or ""

        return int(declared) if declared.isascii() and declared.isdigit() else None


def read_text(raw: bytes) -> str:
    """Read what should be ASCII as UTF-8, and as Latin-1 where it is not that either."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@lru_cache(maxsize=_REMEMBERED)
def _read_line(name: bytes, value: bytes) -> tuple[str, str]:
    """Read a header line; the same line of another answer is the same object."""
    return read_text(name), read_text(value)


NO_BODY: Final = Body("", 0)
"""Stands where none is read; never taken from."""
