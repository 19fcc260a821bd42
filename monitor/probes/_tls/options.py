"""The options of a handshake: with whom, on which terms, and for which protocols."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from monitor.options import found
from monitor.probes._net.options import TlsOptions
from monitor.probes._net.port_options import Address, Addressed, read_address_text

if TYPE_CHECKING:
    from monitor.probes._net.dial import Way

_HTTPS: Final = 443
_LONGEST_PROTOCOL: Final = 255


def _read_place(value: object) -> Address:
    """Read host and port, or a host alone: that of HTTPS."""
    if isinstance(value, str) and value and ":" not in value:
        return read_address_text(f"{value}:{_HTTPS}")

    return read_address_text(value)


def _read_protocol(name: str) -> str:
    if not name.isascii() or not 0 < len(name) <= _LONGEST_PROTOCOL:
        raise ValueError(f"expected a protocol such as h2 or http/1.1, found {found(name)}")

    return name


class TlsProbeOptions(Addressed, TlsOptions):
    """A handshake and nothing more; of the protocols in `alpn`, the server has to choose one."""

    address: Annotated[
        Address,
        PlainValidator(_read_place),
        PlainSerializer(str, return_type=str, when_used="json"),
        WithJsonSchema({"type": "string", "examples": ["shop.example", "ldap.example:636"]}),
    ]
    alpn: Annotated[list[Annotated[str, AfterValidator(_read_protocol)]], Field(max_length=20)] = (
        Field(default_factory=list)
    )

    def way(self) -> Way:
        """Give the way there."""
        terms = self.terms(alpn=tuple(self.alpn))

        return replace(super().way(), tls=terms, server_name=self.server_name)
