"""Reads the answer of a DNS server, whatever it sent: its flags, and its records as text.

A record is read by itself, since putting hostile ones together into sets takes seconds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.SOA import SOA
from dns.rdtypes.ANY.TXT import TXT

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTIONS: Final = ("answer", "authority", "additional")
MOST_RECORDS: Final = 1000
_HEADER: Final = struct.Struct("!6H")
_SORT: Final = dns.flags.QR | 0x7800
"""The flags that say what sort of message it is: an answer, and to which sort of request."""

_FIXED: Final = struct.Struct("!HHIH")
_ERRORS: Final = (
    dns.exception.DNSException,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    struct.error,
)
"""What a library of so many types of records may raise about bytes that a stranger chose."""


class Nonsense(Exception):
    """An answer that is not valid DNS, or none that can be read: says what it is, as `it …`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record: its text as `dig` writes it, and what it says by itself."""

    section: str
    text: str
    says: str
    serial: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What an answer says before its records."""

    rcode: str
    flags: tuple[str, ...]
    truncated: bool


def prepare(kind: str, of_class: str) -> None:
    """Load what reads records of this type, before anything is timed: that takes a while."""
    load: Any = dns.rdata.get_rdata_class  # it has no annotations
    load(dns.rdataclass.from_text(of_class), dns.rdatatype.from_text(kind))


def answers(query: dns.message.QueryMessage, wire: bytes) -> bool:
    """Say whether this is an answer to the question: its number, and what was asked.

    A server that refuses may leave that away. Raises Nonsense where it has the number of the
    question, but cannot be read.
    """
    if wire[:2] != query.id.to_bytes(2, "big"):
        return False
    if len(wire) < _HEADER.size:
        raise Nonsense("is not valid DNS")
    _, flags, questions, *_ = _HEADER.unpack_from(wire)
    if questions > 1 or flags & _SORT != dns.flags.QR:
        return False

    try:
        answer = dns.message.from_wire(wire, question_only=True)
    except _ERRORS as error:
        raise Nonsense("is not valid DNS") from error

    return query.is_response(answer)


def read_head(wire: bytes) -> Head:
    """Read the flags and the rcode of an answer to a question."""
    flags = int.from_bytes(wire[2:4], "big")

    return Head(
        rcode=dns.rcode.to_text(dns.rcode.Rcode(flags & 0xF)),
        flags=tuple(dns.flags.to_text(flags).lower().split()),
        truncated=bool(flags & dns.flags.TC),
    )


def read_records(wire: bytes) -> Iterator[Record]:
    """Read one record after another; raises Nonsense at one that cannot be.

    What says how the message itself is to be read (OPT) is none.
    """
    _, _, questions, *counts = _HEADER.unpack_from(wire)
    if sum(counts) > MOST_RECORDS:
        raise Nonsense(f"has more than {MOST_RECORDS} records")

    try:
        at = _HEADER.size
        for _ in range(questions):
            at += dns.name.from_wire(wire, at)[1] + 4
        for section, count in zip(SECTIONS, counts, strict=True):
            for _ in range(count):
                record, at = _read_record(wire, at, section)
                if record is not None:
                    yield record
    except _ERRORS as error:
        raise Nonsense("is not valid DNS") from error


def _read_record(wire: bytes, at: int, section: str) -> tuple[Record | None, int]:
    name, used = dns.name.from_wire(wire, at)
    kind, of_class, ttl, length = _FIXED.unpack_from(wire, at + used)
    begin = at + used + _FIXED.size
    end = begin + length
    if kind == dns.rdatatype.OPT:
        return None, end

    rdata = dns.rdata.from_wire(of_class, kind, wire, begin, length)
    data = rdata.to_text()
    words = (
        name.to_text(),
        str(ttl),
        dns.rdataclass.to_text(of_class),
        dns.rdatatype.to_text(kind),
        data,
    )

    return Record(
        section=section,
        text="\t".join(words),
        says=_join(rdata) if isinstance(rdata, TXT) else data,
        serial=rdata.serial if isinstance(rdata, SOA) else None,
    ), end


def _join(record: TXT) -> str:
    """Give a text as it is meant: in one piece, without quotes."""
    return b"".join(record.strings).decode(errors="replace")
