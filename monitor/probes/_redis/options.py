"""The options of a Redis server that is asked: where it is, who we are, and what it is asked."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from monitor.fields import SecretText  # noqa: TC001 -- pydantic reads it at run time
from monitor.options import found
from monitor.probes._net.port_options import PortOptions

READS: Final = frozenset(
    {
        "DBSIZE",
        "ECHO",
        "EXISTS",
        "EXPIRETIME",
        "GET",
        "GETBIT",
        "GETRANGE",
        "HEXISTS",
        "HGET",
        "HGETALL",
        "HLEN",
        "HMGET",
        "HSTRLEN",
        "INFO",
        "LASTSAVE",
        "LINDEX",
        "LLEN",
        "LRANGE",
        "MGET",
        "OBJECT",
        "PEXPIRETIME",
        "PFCOUNT",
        "PING",
        "PTTL",
        "ROLE",
        "SCARD",
        "SISMEMBER",
        "SMISMEMBER",
        "STRLEN",
        "TIME",
        "TTL",
        "TYPE",
        "XLEN",
        "XPENDING",
        "XRANGE",
        "ZCARD",
        "ZCOUNT",
        "ZRANGE",
        "ZRANK",
        "ZSCORE",
    }
)
"""Commands of Redis and Valkey that have the flag `readonly`, or tell of the server alone."""

PORT: Final = 6379
_SCHEMES: Final = {"redis": False, "rediss": True}


def _read_url(text: str) -> dict[str, Any]:
    """Read `redis://user:password@host:port/database`. Any: options as they would be written."""
    wanted = "expected a URL such as redis://cache.example:6379/0"
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{wanted}, found the scheme {parts.scheme!r}")
    try:
        host, port = parts.hostname, parts.port or PORT
    except ValueError as error:
        raise ValueError(f"{wanted}: the port is none") from error
    if not host or parts.query or parts.fragment:
        raise ValueError(f"{wanted}, without anything behind the database")

    database = parts.path.removeprefix("/")
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError(f"{wanted}, found the database {database!r}")

    read: dict[str, Any] = {"address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}
    if _SCHEMES[parts.scheme]:
        read["tls"] = True
    if parts.username:
        read["username"] = unquote(parts.username)
    if parts.password:
        read["password"] = unquote(parts.password)
    if database:
        read["database"] = int(database)

    return read


def _read_word(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"expected text or a number, found {found(value)}")

    return str(value)


def _check_command(words: list[str]) -> list[str]:
    name = words[0].upper()
    if name not in READS:
        raise ValueError(
            f"expected a command that only reads (such as PING, INFO, LLEN or GET), found {name}"
        )

    return words


Word = Annotated[str, PlainValidator(_read_word), WithJsonSchema({"type": ["string", "integer"]})]
Command = Annotated[list[Word], Field(min_length=1), AfterValidator(_check_command)]


class RedisOptions(PortOptions):
    """A server of Redis, Valkey or whatever speaks their protocol; a URL stands for the map.

    `command` is a list of words and only reads. `database` is chosen before it.
    """

    username: Annotated[str, Field(min_length=1)] | None = None
    password: SecretText | None = None
    database: Annotated[int, Field(ge=0, le=65_535)] = 0
    command: Command = Field(default_factory=lambda: ["PING"])

    @property
    def question(self) -> str:
        """The command."""
        return " ".join(self.command)

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if "://" in value:
            return _read_url(value)

        return {"address": value}

    @model_validator(mode="after")
    def _check_user(self) -> Self:
        if self.username is not None and self.password is None:
            raise ValueError("expected a password with the username")

        return self
