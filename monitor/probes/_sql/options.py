"""The options of a database that is asked: where it is, and the query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from monitor.fields import live_secret
from monitor.options import Secret
from monitor.probes._net.dial import Way
from monitor.probes._net.port_options import Reached, TlsChoice
from monitor.probes._net.tls import TlsTerms
from monitor.probes._sql.place import Engine, Place, TlsUse, read_place
from monitor.probes._sql.reading import check_reads, check_writes_no_file

_LONGEST_QUERY: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """The URL of a database, which may hold a password; files are relative to `base`."""

    secret: Secret
    base: Path | None = None

    def read(self, *, again: bool = False) -> Place:
        """Give where it leads; `again` looks whether it has changed. Raises ValueError."""
        return read_place(self.secret.reveal() if again else self.secret.current, self.base)


def _read_url(value: object, info: ValidationInfo) -> DatabaseUrl:
    if isinstance(value, DatabaseUrl):
        return value

    secret = value if isinstance(value, Secret) else live_secret(value)
    if secret is None:
        if not isinstance(value, str) or not value:
            raise ValueError("expected the URL of a database")
        secret = Secret(value)

    base = info.context.get("base") if isinstance(info.context, Mapping) else None
    url = DatabaseUrl(secret=secret, base=Path(base) if base is not None else None)
    url.read()

    return url


UrlOfDatabase = Annotated[
    DatabaseUrl,
    PlainValidator(_read_url),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["${DATABASE_URL}"]}),
]
Query = Annotated[str, Field(min_length=1, max_length=_LONGEST_QUERY), AfterValidator(check_reads)]


class SqlOptions(Reached):
    """A database and one query; `tls` goes before what the URL says of it."""

    url: UrlOfDatabase
    query: Query
    tls: TlsChoice = None

    @model_validator(mode="after")
    def _check_way(self) -> Self:
        place = self.url.read()
        if place.path and self.model_fields_set & {"tls", "ip", "resolver"}:
            raise ValueError("tls, ip and resolver are of a host: a file or socket has none")
        if place.engine is Engine.MYSQL:
            check_writes_no_file(self.query)

        return self

    def place(self, *, again: bool = False) -> Place:
        """Give where the database is, with what `tls` says; raises ValueError."""
        place = self.url.read(again=again)
        if place.path or "tls" not in self.model_fields_set:
            return place

        use = TlsUse.NEVER if self.tls is None else TlsUse.ALWAYS
        verify = self.tls is not None and self.tls.verify

        return replace(place, tls=use, verify=verify)

    def way_to(self, place: Place) -> Way:
        """Give the way there; TLS begins late on it, where both sides agree to it."""
        terms = None
        if place.tls is not TlsUse.NEVER:
            terms = self.tls.terms() if self.tls else TlsTerms(verify=place.verify)

        return Way(
            host=place.host,
            port=place.port,
            tls=terms,
            server_name=self.tls.server_name if self.tls else None,
            upgrades=True,
            ip=self.ip,
            nameserver=self.resolver,
            path=place.path,
        )

    @cached_property
    def target(self) -> str:
        """The URL without user and password."""
        return self.url.read().shown

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it."""
        return not self.url.read().is_here

    @cached_property
    def shows_certificate(self) -> bool:
        """Whether a certificate is presented in any case."""
        return self.place().tls is TlsUse.ALWAYS

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The values that must never be shown: the password, also as the URL has it."""
        url = self.url.secret
        whole = (url,) if url.live and url.parts(_passwords_of) else ()

        return (*whole, *url.parts(_passwords_of))


def _passwords_of(url: str) -> list[str]:
    """Give the password of a URL as it is, and as it is written there; raises ValueError."""
    place = read_place(url)
    if place.engine is Engine.SQLITE or not place.password:
        return []

    return sorted({place.password, urlsplit(url).password or ""})
