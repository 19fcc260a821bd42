"""What kinds that are asked at a port have in common: its address, TLS, and the way there."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    WrapValidator,
)

from monitor.fields import ShortForm
from monitor.options import format_address, found, is_loopback
from monitor.probes._net.dial import Way
from monitor.probes._net.options import IpChoice, IpChoiceName, NameserverText, TlsOptions
from monitor.probes.kind import ProbeOptions

_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host, which is a name or an IP address without brackets, and its port."""

    host: str
    port: int

    def __str__(self) -> str:
        return format_address(self.host, self.port)


def read_address_text(value: object) -> Address:
    """Read `db.example:5432` or `[2001:db8::1]:5432`; raises ValueError."""
    wanted = "expected host:port such as db.example:5432 or [2001:db8::1]:5432"
    if isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{wanted}, found {found(value)}")

    host, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError(f"{wanted}, found {found(value)}")
    if not 1 <= int(port) <= 65_535:
        raise ValueError(f"expected a port of 1 to 65535, found {port}")
    if host.startswith("[") and host.endswith("]"):
        try:
            return Address(host=str(ipaddress.IPv6Address(host[1:-1])), port=int(port))
        except ValueError as error:
            raise ValueError(f"{wanted}, found {found(value)}") from error
    if not _HOST.fullmatch(host):
        raise ValueError(f"{wanted}, found {found(value)}")

    return Address(host=host, port=int(port))


AddressText = Annotated[
    Address,
    PlainValidator(read_address_text),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["db.example:5432", "[2001:db8::1]:5432"]}),
]


def _read_tls(value: object, read: Any) -> Any:
    """Read `true`, `false`, or the terms of TLS. Any: pydantic's own validator of those."""
    if value is True:
        return TlsOptions()
    if value is False or value is None:
        return None

    return read(value)


TlsChoice = Annotated[
    TlsOptions | None,
    WrapValidator(_read_tls, json_schema_input_type=bool | TlsOptions),
]
"""Whether TLS is spoken, and on which terms: `true`, `false`, or a map of them."""


class Reached(ProbeOptions):
    """Whatever is asked over the network.

    `ip` is the family of addresses that may be used, `resolver` a DNS server that is asked for them
    instead of the system's.
    """

    ip: IpChoiceName = IpChoice.ANY
    resolver: NameserverText | None = None

    def way(self) -> Way:
        """Give the way there, where it is always the same."""
        raise NotImplementedError


class Addressed(ShortForm, Reached):
    """Whatever is asked at a port: `address` alone may be written in place of the map."""

    address: AddressText

    short_form = "address"

    def way(self) -> Way:
        """Give the way there, without TLS."""
        return Way(
            host=self.address.host, port=self.address.port, ip=self.ip, nameserver=self.resolver
        )

    @cached_property
    def target(self) -> str:
        """What is asked, as it may be shown."""
        return str(self.address)

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it: not for loopback."""
        return not is_loopback(self.address.host)


class PortOptions(Addressed):
    """A port that is asked, plain or over TLS."""

    tls: TlsChoice = None

    alpn: ClassVar[tuple[str, ...]] = ()
    """The protocols that are offered where TLS is spoken."""

    def way(self) -> Way:
        """Give the way there."""
        way = super().way()
        if self.tls is None:
            return way

        return replace(way, tls=self.tls.terms(alpn=self.alpn), server_name=self.tls.server_name)

    @cached_property
    def shows_certificate(self) -> bool:
        """Whether an answer can come over TLS, and with a certificate."""
        return self.tls is not None
