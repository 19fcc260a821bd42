"""Options that kinds have in common: files, TLS, the family of addresses, the name server."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from monitor.fields import Options
from monitor.options import format_address, found
from monitor.probes._net.tls import TlsTerms, load_client_certificate

_DNS_PORT: Final = 53
_NAMESERVER: Final = re.compile(
    r"""
      (?:
        \[ (?P<v6> [0-9a-fA-F:.]+ (?: % [\w.-]+ )? ) \]
        | (?P<host> [A-Za-z0-9_][A-Za-z0-9._-]* )
      )
      (?: : (?P<port> [0-9]{1,5} ) )?
    """,
    re.VERBOSE,
)
_REMEMBERED: Final = 64


def _find_file(path: str, info: ValidationInfo) -> str:
    base = info.context.get("base") if isinstance(info.context, Mapping) else None
    place = Path(base, path) if base is not None else Path(path)
    if not place.is_file():
        raise ValueError(f"expected an existing file, found none at {place}")

    return str(place)


FilePath = Annotated[str, AfterValidator(_find_file)]
"""A file that exists; relative to the configuration file that names it, the context's `base`."""


class IpChoice(StrEnum):
    """Over which family of addresses a host is reached; `any` takes whichever answers first."""

    ANY = "any"
    ONLY_4 = "4"
    ONLY_6 = "6"
    PREFER_4 = "prefer-4"
    PREFER_6 = "prefer-6"

    @property
    def family(self) -> int | None:
        """The family that is wanted, 4 or 6; None where either will do."""
        return None if self is IpChoice.ANY else int(self.value[-1])

    @property
    def is_strict(self) -> bool:
        """Whether the other family will not do."""
        return self in (IpChoice.ONLY_4, IpChoice.ONLY_6)


def _read_choice(value: object) -> IpChoice:
    written = str(value) if value in (4, 6) and not isinstance(value, bool | float) else value
    if isinstance(written, str) and written in list(IpChoice):
        return IpChoice(written)

    raise ValueError(f"expected one of {', '.join(IpChoice)}, found {found(value)}")


IpChoiceName = Annotated[
    IpChoice,
    PlainValidator(_read_choice),
    WithJsonSchema({"enum": [*IpChoice, 4, 6]}),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameserver:
    """A DNS server that is asked instead of the system's resolver."""

    host: str
    port: int = _DNS_PORT

    def __str__(self) -> str:
        return self.host if self.port == _DNS_PORT else format_address(self.host, self.port)


def read_nameserver(value: object) -> Nameserver:
    """Read `192.0.2.53`, `ns.example:5353` or `[2001:db8::53]:53`; raises ValueError."""
    if isinstance(value, Nameserver):
        return value

    complaint = f"expected a DNS server such as 192.0.2.53 or 192.0.2.53:53, found {found(value)}"
    if not isinstance(value, str):
        raise ValueError(complaint)
    if value.count(":") > 1 and not value.startswith("["):
        value = f"[{value}]"

    written = _NAMESERVER.fullmatch(value)
    if written is None:
        raise ValueError(complaint)

    host = written["v6"] or written["host"]
    number = int(written["port"] or _DNS_PORT)
    if not 1 <= number <= 65_535:
        raise ValueError(f"expected a port of 1 to 65535, found {number}")

    return Nameserver(host=host, port=number)


NameserverText = Annotated[
    Nameserver,
    PlainValidator(read_nameserver),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.53", "[2001:db8::53]:53"]}),
]


class TlsVersion(StrEnum):
    """Versions of TLS, as blackbox_exporter and Prometheus write them."""

    TLS10 = "TLS10"
    TLS11 = "TLS11"
    TLS12 = "TLS12"
    TLS13 = "TLS13"

    @property
    def wire(self) -> ssl.TLSVersion:
        """The same version as the standard library names it."""
        return _WIRE_VERSIONS[self]


_WIRE_VERSIONS: Final = {
    TlsVersion.TLS10: ssl.TLSVersion.TLSv1,
    TlsVersion.TLS11: ssl.TLSVersion.TLSv1_1,
    TlsVersion.TLS12: ssl.TLSVersion.TLSv1_2,
    TlsVersion.TLS13: ssl.TLSVersion.TLSv1_3,
}


def _read_tls_version(value: object) -> object:
    if isinstance(value, str) and value in TlsVersion.__members__:
        return TlsVersion(value)
    if isinstance(value, TlsVersion):
        return value

    raise ValueError(f"expected one of {', '.join(TlsVersion)}, found {value!r}")


TlsVersionName = Annotated[TlsVersion, BeforeValidator(_read_tls_version)]


class TlsOptions(Options):
    """How the peer's certificate is verified, and which versions of TLS may be spoken.

    `verify: false` accepts any certificate. `server_name` is the name that is asked for and
    checked instead of the host's. With `cert_file` and `key_file` we present a certificate of our
    own; both are read again when they changed.
    """

    verify: bool = True
    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    server_name: Annotated[str, Field(min_length=1)] | None = None
    min_version: TlsVersionName | None = None
    max_version: TlsVersionName | None = None

    @model_validator(mode="after")
    def _check_versions(self) -> Self:
        if self.min_version and self.max_version and self.min_version > self.max_version:
            raise ValueError(
                f"min_version {self.min_version} is above max_version {self.max_version}: "
                "no version is left"
            )

        return self

    @model_validator(mode="after")
    def _check_client_certificate(self) -> Self:
        if self.cert_file is None and self.key_file is None:
            return self
        if self.cert_file is None or self.key_file is None:
            given = "cert_file" if self.cert_file else "key_file"
            raise ValueError(f"expected cert_file and key_file together, found {given} alone")

        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            load_client_certificate(context, self.cert_file, self.key_file)
        except PermissionError:
            return self  # whoever checks may not read the key, while the service may
        except OSError as error:
            raise ValueError(str(error)) from error

        return self

    def terms(self, *, alpn: tuple[str, ...] = (), anonymous: bool = False) -> TlsTerms:
        """Give the same as connections take it; `alpn` are the protocols that are offered.

        Without our own certificate, where we are to be `anonymous`.
        """
        return _share(
            TlsTerms(
                verify=self.verify,
                ca_file=self.ca_file,
                cert_file=None if anonymous else self.cert_file,
                key_file=None if anonymous else self.key_file,
                min_version=self.min_version.wire if self.min_version else None,
                max_version=self.max_version.wire if self.max_version else None,
                alpn=alpn,
            )
        )


@lru_cache(maxsize=_REMEMBERED)
def _share(terms: TlsTerms) -> TlsTerms:
    """Give the same terms as one object: most probes have them in common."""
    return terms
