"""Echo requests and what comes back for them, as bytes; nothing here touches a socket."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_HEADER: Final = struct.Struct("!BBHHH")
_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")
_OFFENDER_4: Final = slice(4, 8)
_OFFENDER_6: Final = slice(8, 24)
_FILLER: Final = bytes(range(256)) * 256

_REPLY_4: Final = 0
_REQUEST_4: Final = 8
_REQUEST_6: Final = 128
_REPLY_6: Final = 129

# where an error comes from, as linux/errqueue.h numbers it
_FROM_HERE: Final = 1

_WORDS_4: Final = {
    (3, 0): "there is no route to its network",
    (3, 1): "the host is unreachable",
    (3, 2): "it does not speak ICMP",
    (3, 3): "the packet was rejected (port unreachable)",
    (3, 4): "the packet is too large for the way, and may not be fragmented",
    (3, 5): "the source route failed",
    (3, 6): "its network is unknown",
    (3, 7): "the host is unknown",
    (3, 9): "its network is prohibited",
    (3, 10): "the host is prohibited",
    (3, 13): "a filter prohibits it",
    (11, 0): "the way is longer than the time to live of the packet",
    (11, 1): "the fragments of the packet did not arrive in time",
    (12, 0): "the packet is wrong",
}
_WORDS_6: Final = {
    (1, 0): "there is no route to it",
    (1, 1): "a filter prohibits it",
    (1, 2): "it is beyond the scope of our address",
    (1, 3): "the host is unreachable",
    (1, 4): "the packet was rejected (port unreachable)",
    (1, 5): "our address is prohibited",
    (1, 6): "the route to it is rejected",
    (2, 0): "the packet is too large for the way",
    (3, 0): "the way is longer than the hop limit of the packet",
    (3, 1): "the fragments of the packet did not arrive in time",
}
_TELLS_MTU: Final = {4: (3, 4), 6: (2, 0)}


class Family(IntEnum):
    """The two versions of the protocol."""

    IPV4 = 4
    IPV6 = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One echo request: its numbers, and what is in it, of which a stranger cannot know."""

    family: Family
    ident: int
    sequence: int
    payload: bytes

    def write(self) -> bytes:
        """Write it; of IPv6 the system fills in the checksum."""
        kind = _REQUEST_4 if self.family is Family.IPV4 else _REQUEST_6
        head = _HEADER.pack(kind, 0, 0, self.ident, self.sequence)
        if self.family is Family.IPV6:
            return head + self.payload

        checksum = add_up(head + self.payload)

        return _HEADER.pack(kind, 0, checksum, self.ident, self.sequence) + self.payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What a router, the host or this system said instead of a reply."""

    words: str
    by: str
    here: bool


def fill(token: bytes, size: int) -> bytes:
    """Give so many bytes that begin with the token, as far as they go."""
    return (token + _FILLER)[:size]


def add_up(data: bytes) -> int:
    """Give the checksum of RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)

    return ~total & 0xFFFF


def strip_header(packet: bytes) -> bytes:
    """Take the header of IPv4 away, which raw sockets give as well."""
    return packet[(packet[0] & 0xF) * 4 :] if packet else packet


def answered(packet: bytes, family: Family, ident: int | None) -> tuple[int, bytes] | None:
    """Give the sequence number and the payload of an echo reply; None where it is none of ours.

    Without `ident`, the system has looked at that.
    """
    if len(packet) < _HEADER.size:
        return None
    kind, code, _, number, sequence = _HEADER.unpack_from(packet)
    wanted = _REPLY_4 if family is Family.IPV4 else _REPLY_6
    if (kind, code) != (wanted, 0) or ident not in (None, number):
        return None

    return sequence, packet[_HEADER.size :]


def quoted(packet: bytes, family: Family, ident: int | None) -> tuple[int, bytes] | None:
    """Give the sequence number and what there is of the payload of our request, sent back."""
    if len(packet) < _HEADER.size:
        return None
    kind, _, _, number, sequence = _HEADER.unpack_from(packet)
    wanted = _REQUEST_4 if family is Family.IPV4 else _REQUEST_6
    if kind != wanted or ident not in (None, number):
        return None

    return sequence, packet[_HEADER.size :]


def read_trouble(data: bytes, family: Family) -> Trouble | None:
    """Read an entry of a socket's error queue; None where it tells of nothing wrong."""
    if len(data) < _EXTENDED_ERROR.size:
        return None
    number, origin, kind, code, _, info, _ = _EXTENDED_ERROR.unpack_from(data)
    if number == 0:
        return None
    if origin == _FROM_HERE:
        return Trouble(words=_too_large(info), by="", here=True)

    words = (_WORDS_4 if family is Family.IPV4 else _WORDS_6).get((kind, code))
    if (kind, code) == _TELLS_MTU[family] and info:
        words = _too_large(info)

    return Trouble(
        words=words or f"ICMP type {kind}, code {code}",
        by=_read_offender(data[_EXTENDED_ERROR.size :], family),
        here=False,
    )


def _too_large(mtu: int) -> str:
    return f"packets of more than {mtu} bytes do not fit through the way"


def _read_offender(data: bytes, family: Family) -> str:
    try:
        if family is Family.IPV4:
            return str(ipaddress.IPv4Address(data[_OFFENDER_4]))
        return str(ipaddress.IPv6Address(data[_OFFENDER_6]))
    except ValueError:
        return ""
