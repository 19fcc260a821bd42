"""The options of a DNS server that is asked: where it is, what it is asked, and over what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from monitor.options import format_address, found, is_loopback
from monitor.probes._net.dial import Way
from monitor.probes._net.options import (
    TlsOptions,
    read_nameserver,
)
from monitor.probes._net.port_options import Reached, TlsChoice

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORT: Final = 53
_PORT_OF_TLS: Final = 853
_NAMES_A_PORT: Final = re.compile(r"(?:\]|^[^:]*):[0-9]+$")
_UNASKABLE: Final = frozenset({"AXFR", "IXFR", "NONE", "OPT", "TKEY", "TSIG", "TYPE0"})


class Transport(StrEnum):
    """Over what a question travels."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A DNS server; its port is None where the usual one is meant."""

    host: str
    port: int | None

    def __str__(self) -> str:
        return self.host if self.port is None else format_address(self.host, self.port)


def _read_server(value: object) -> Server:
    if isinstance(value, Server):
        return value

    named = read_nameserver(value)
    says_port = isinstance(value, str) and _NAMES_A_PORT.search(value)

    return Server(host=named.host, port=named.port if says_port else None)


def _read_transport(value: object) -> object:
    if isinstance(value, str) and value in list(Transport):
        return Transport(value)
    if isinstance(value, Transport):
        return value

    raise ValueError(f"expected one of {', '.join(Transport)}, found {found(value)}")


def _check_name(name: str) -> str:
    """Give the name as it is sent: labels of other scripts as A-labels, without a last dot."""
    import dns.exception
    import dns.name

    try:
        read = dns.name.from_text(name, idna_codec=dns.name.IDNA_2008_Practical)
    except (dns.exception.DNSException, UnicodeError) as error:
        said = str(error).rstrip(".")
        raise ValueError(f"expected a domain name, found {name!r}: {said}") from error

    return read.to_text(omit_final_dot=len(read.labels) > 1)


def _read_type(value: object) -> str:
    import dns.rdatatype

    wanted = "expected a type of DNS records such as A, MX or TXT"
    if not isinstance(value, str):
        raise ValueError(f"{wanted}, found {found(value)}")
    name = value.upper()
    if name in _UNASKABLE:
        raise ValueError(f"{wanted}; nothing can be asked with {name}")
    try:
        return dns.rdatatype.from_text(name).name
    except ValueError as error:
        raise ValueError(f"{wanted}, found {found(value)}") from error
    except dns.rdatatype.UnknownRdatatype as error:
        raise ValueError(f"{wanted}, found {found(value)}") from error


def _read_class(value: object) -> str:
    import dns.rdataclass

    wanted = "expected a class of DNS records such as IN or CH"
    if not isinstance(value, str):
        raise ValueError(f"{wanted}, found {found(value)}")
    try:
        return dns.rdataclass.to_text(dns.rdataclass.from_text(value.upper()))
    except (ValueError, dns.rdataclass.UnknownRdataclass) as error:
        raise ValueError(f"{wanted}, found {found(value)}") from error


ServerText = Annotated[
    Server,
    PlainValidator(_read_server),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.53", "[2001:db8::53]:53"]}),
]
DomainName = Annotated[str, Field(min_length=1), AfterValidator(_check_name)]
TypeName = Annotated[
    str,
    PlainValidator(_read_type),
    WithJsonSchema({"type": "string", "examples": ["A", "AAAA", "MX", "NS", "SOA", "TXT", "ANY"]}),
]
ClassName = Annotated[
    str,
    PlainValidator(_read_class),
    WithJsonSchema({"type": "string", "examples": ["IN", "CH"]}),
]


class DnsOptions(Reached):
    """A question that is put to one DNS server, once.

    `recursion` asks the server to ask others. The port is 53, and 853 for `transport: tls`.
    """

    server: ServerText
    name: DomainName
    type: TypeName = "A"
    class_: ClassName = Field(default="IN", alias="class")
    transport: Annotated[Transport, BeforeValidator(_read_transport)] = Transport.UDP
    recursion: bool = True
    tls: TlsChoice = None

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if self.tls is not None and self.transport is not Transport.TLS:
            raise ValueError(f"expected transport: tls beside tls, found {self.transport}")

        return self

    @property
    def healthy(self) -> tuple[Mapping[str, object], ...]:
        """What is healthy where nobody wrote anything else."""
        return ({"rcode": {"equals": "NOERROR"}},)

    def way(self) -> Way:
        """Give the way to the server."""
        over_tls = self.transport is Transport.TLS
        tls = (self.tls or TlsOptions()) if over_tls else None

        return Way(
            host=self.server.host,
            port=self.server.port or (_PORT_OF_TLS if over_tls else _PORT),
            tls=tls.terms(alpn=("dot",)) if tls else None,
            server_name=tls.server_name if tls else None,
            ip=self.ip,
            nameserver=self.resolver,
        )

    @cached_property
    def target(self) -> str:
        """What is asked, as a URI of RFC 4501."""
        server = str(self.server)
        if self.server.port is None and ":" in server:
            server = f"[{server}]"
        of_class = "" if self.class_ == "IN" else f"class={self.class_};"

        return f"dns://{server}/{self.name}?{of_class}type={self.type}"

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it: not for loopback."""
        return not is_loopback(self.server.host)

    @cached_property
    def shows_certificate(self) -> bool:
        """Whether an answer can come over TLS, and with a certificate."""
        return self.transport is Transport.TLS
