"""The options of a host that is pinged: where it is, and what is sent."""

from __future__ import annotations

import ipaddress
import re
from functools import cached_property
from typing import Annotated, Final

from pydantic import Field, PlainValidator, WithJsonSchema

from monitor.fields import ShortForm
from monitor.options import found, is_loopback
from monitor.probes._net.dial import Way
from monitor.probes._net.port_options import Reached

_HOST: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_LARGEST: Final = 65_507
"""So many bytes fit into one packet behind the headers of IPv4 and ICMP."""


def _read_host(value: object) -> str:
    wanted = "expected a host such as gateway.example or 192.0.2.1"
    if not isinstance(value, str):
        raise ValueError(f"{wanted}, found {found(value)}")
    if ":" not in value:
        if not _HOST.fullmatch(value):
            raise ValueError(f"{wanted}, found {found(value)}")
        return value

    try:
        return str(ipaddress.IPv6Address(value.removeprefix("[").removesuffix("]")))
    except ValueError as error:
        raise ValueError(f"{wanted}, without a port, found {found(value)}") from error


Host = Annotated[
    str,
    PlainValidator(_read_host),
    WithJsonSchema({"type": "string", "examples": ["gateway.example", "192.0.2.1"]}),
]


class IcmpOptions(ShortForm, Reached):
    """A host that is pinged; `host` alone may be written in place of the map.

    `size` counts the bytes behind the header of ICMP. `count` requests are sent, one after another;
    the share of those without a reply is the value.
    """

    host: Host
    size: Annotated[int, Field(ge=0, le=_LARGEST)] = 56
    ttl: Annotated[int, Field(ge=1, le=255)] | None = None
    dont_fragment: bool = False
    count: Annotated[int, Field(ge=1, le=100)] = 1

    short_form = "host"

    def way(self) -> Way:
        """Give the way to the host, which has no port."""
        return Way(host=self.host, port=0, ip=self.ip, nameserver=self.resolver)

    @cached_property
    def target(self) -> str:
        """What is asked, as it may be shown."""
        return self.host

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it: not for loopback."""
        return not is_loopback(self.host)
