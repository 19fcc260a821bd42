"""Sockets that may send echo requests: of the kind for everybody, else raw ones."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from monitor.probes._icmp.options import IcmpOptions

# of linux/in.h, linux/in6.h, linux/icmp.h and linux/icmpv6.h; Python has some, on some systems
_IP_TTL: Final = 2
_IP_MTU_DISCOVER: Final = 10
_IP_RECVERR: Final = 11
_IP_RECVTTL: Final = 12
_IPV6_UNICAST_HOPS: Final = 16
_IPV6_MTU_DISCOVER: Final = 23
_IPV6_RECVERR: Final = 25
_IPV6_RECVHOPLIMIT: Final = 51
_IPV6_HOPLIMIT: Final = 52
_NEVER_FRAGMENT: Final = 2
_MAY_FRAGMENT: Final = 0
_SOL_RAW: Final = 255
_ICMP_FILTER: Final = 1
_ICMPV6_FILTER: Final = 1
_REPLY_4: Final = 0
_REPLY_6: Final = 129

_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_NOT_FOR_EVERYBODY: Final = _FORBIDDEN | {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT}

RECEIVED_HOP_LIMIT: Final = frozenset(
    {(socket.IPPROTO_IP, _IP_TTL), (socket.IPPROTO_IPV6, _IPV6_HOPLIMIT)}
)
ERRORS: Final = frozenset({(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)})
"""Levels and types of what comes beside a packet."""


def open_socket(family: socket.AddressFamily, options: IcmpOptions) -> socket.socket:
    """Open a socket for echo requests; raises OSError, and Faulted where none may be had."""
    sock = _open(family)
    try:
        if family == socket.AF_INET6:
            _prepare_6(sock, options)
        else:
            _prepare_4(sock, options)
    except BaseException:
        sock.close()
        raise

    return sock


def _open(family: socket.AddressFamily) -> socket.socket:
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    try:
        return socket.socket(family, socket.SOCK_DGRAM, protocol)
    except OSError as error:
        if error.errno not in _NOT_FOR_EVERYBODY:
            raise
    try:
        return socket.socket(family, socket.SOCK_RAW, protocol)
    except OSError as error:
        if error.errno not in _FORBIDDEN:
            raise
        raise Faulted(explain_forbidden()) from error


def explain_forbidden() -> Fault:
    """Say what keeps us from sending, and what to do about it."""
    group = os.getegid()
    message = (
        f"this system does not let the monitor (group {group}) send pings: set the sysctl "
        f'net.ipv4.ping_group_range to "{group} {group}", which is for IPv6 as well, or give it '
        "CAP_NET_RAW; docs/operations.md has both"
    )

    return Fault(code=Code.INTERNAL, message=message, own=True)


def _prepare_4(sock: socket.socket, options: IcmpOptions) -> None:
    fragments = _NEVER_FRAGMENT if options.dont_fragment else _MAY_FRAGMENT
    sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, fragments)
    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
    if options.ttl is not None:
        sock.setsockopt(socket.IPPROTO_IP, _IP_TTL, options.ttl)
    if sock.type == socket.SOCK_RAW:
        blocked = ~(1 << _REPLY_4) & 0xFFFF_FFFF
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", blocked))


def _prepare_6(sock: socket.socket, options: IcmpOptions) -> None:
    fragments = _NEVER_FRAGMENT if options.dont_fragment else _MAY_FRAGMENT
    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, fragments)
    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
    if options.ttl is not None:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_UNICAST_HOPS, options.ttl)
    if sock.type == socket.SOCK_RAW:
        words = [0xFFFF_FFFF] * 8
        words[_REPLY_6 // 32] &= ~(1 << _REPLY_6 % 32)
        blocked = struct.pack("=8I", *words)
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, blocked)
