"""Where a database is, as its URL says it: the server, who we are there, and whether over TLS."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from monitor.fields import suggest_braces
from monitor.options import format_address, is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult


class Engine(StrEnum):
    """Who speaks there."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    SQLITE = "sqlite"


class TlsUse(StrEnum):
    """Whether TLS is spoken: never, where the server offers it, or always."""

    NEVER = "never"
    OFFERED = "offered"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One database. `path` is a Unix socket, or of SQLite the file; then there is no host."""

    engine: Engine
    host: str = ""
    port: int = 0
    path: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    tls: TlsUse = TlsUse.OFFERED
    verify: bool = False

    @property
    def shown(self) -> str:
        """The URL without who we are there."""
        if self.engine is Engine.SQLITE:
            return f"sqlite:///{self.path}"

        host = "" if self.path else format_address(self.host, self.port)
        socket = f"?socket={self.path}" if self.path else ""

        return f"{self.engine}://{host}/{self.database}{socket}"

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return bool(self.path) or is_loopback(self.host)


_ENGINES: Final = {
    "postgresql": Engine.POSTGRESQL,
    "postgres": Engine.POSTGRESQL,
    "mysql": Engine.MYSQL,
    "mariadb": Engine.MYSQL,
    "sqlite": Engine.SQLITE,
}
_PORTS: Final = {Engine.POSTGRESQL: 5432, Engine.MYSQL: 3306}
_MODES: Final = {
    "disable": (TlsUse.NEVER, False),
    "disabled": (TlsUse.NEVER, False),
    "allow": (TlsUse.OFFERED, False),
    "prefer": (TlsUse.OFFERED, False),
    "preferred": (TlsUse.OFFERED, False),
    "require": (TlsUse.ALWAYS, False),
    "required": (TlsUse.ALWAYS, False),
    "verify-full": (TlsUse.ALWAYS, True),
    "verify_identity": (TlsUse.ALWAYS, True),
}
_MODE_NAMES: Final = ("sslmode", "ssl-mode", "ssl_mode")
_SOCKET_NAMES: Final = ("host", "socket", "unix_socket")
_MOST_PARAMETERS: Final = 20
_EXPECTED: Final = (
    "expected a URL such as postgresql://user:password@db.example:5432/shop, mysql://… or "
    "sqlite:///shop.db"
)
_ESCAPE: Final = "(in a user or password, / ? # @ : and % are written as %2F and so on)"


def read_place(text: str, base: Path | None = None) -> Place:
    """Read the URL of a database; what it complains of never holds the password.

    A file of SQLite is relative to `base`. Raises ValueError.
    """
    scheme, colon, _ = text.partition("://")
    engine = _ENGINES.get(scheme.lower().partition("+")[0])
    if not colon or engine is None:
        shown = f", found the scheme {scheme!r}" if colon else suggest_braces(text)
        raise ValueError(f"{_EXPECTED}{shown}")
    if re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("expected a URL, found white space in it")
    if engine is Engine.SQLITE:
        return _read_file(text[len(scheme) + len("://") :], base)

    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        given = dict(parse_qsl(parts.query, max_num_fields=_MOST_PARAMETERS))
    except ValueError as error:
        # the error itself may quote what it could not read, the password among it
        raise ValueError(f"{_EXPECTED}: host or port cannot be read {_ESCAPE}") from error
    if parts.fragment or "/" in parts.path[1:] or port == 0:
        raise ValueError(f"{_EXPECTED} {_ESCAPE}")

    return _read_server(engine, parts, host, port or _PORTS[engine], given)


def _read_server(
    engine: Engine, parts: SplitResult, host: str, port: int, given: Mapping[str, str]
) -> Place:
    tls, verify = _read_mode(given)
    path = _read_socket(engine, port, given)
    if path and host:
        raise ValueError("expected either a host or a socket in the URL, found both")
    if not path and not host:
        raise ValueError(f"{_EXPECTED}, found no host")
    if not parts.username:
        raise ValueError(f"{_EXPECTED}, found no user")

    user = unquote(parts.username)
    database = unquote(parts.path[1:])

    return Place(
        engine=engine,
        host=host,
        port=port,
        path=path,
        user=user,
        password=unquote(parts.password or ""),
        database=database or (user if engine is Engine.POSTGRESQL else ""),
        tls=TlsUse.NEVER if path else tls,
        verify=verify,
    )


def _read_mode(given: Mapping[str, str]) -> tuple[TlsUse, bool]:
    unknown = set(given) - {*_MODE_NAMES, *_SOCKET_NAMES}
    if unknown:
        raise ValueError(
            f"expected no parameter but sslmode and host in the URL, found {min(unknown)!r}"
        )

    mode = next((given[name] for name in _MODE_NAMES if name in given), "prefer").lower()
    if mode in ("verify-ca", "verify_ca"):
        raise ValueError(
            "sslmode verify-ca does not look at the name: expected verify-full, or with another "
            "name in the certificate tls: {server_name: …}"
        )
    if mode not in _MODES:
        raise ValueError(
            f"expected one of disable, prefer, require, verify-full as sslmode, found {mode!r}"
        )

    return _MODES[mode]


def _read_socket(engine: Engine, port: int, given: Mapping[str, str]) -> str:
    name = next((name for name in _SOCKET_NAMES if name in given), None)
    if name is None:
        return ""

    path = given[name]
    if not path.startswith("/"):
        raise ValueError(f"expected the path of a socket as {name}, found {path!r}")
    if engine is Engine.POSTGRESQL and ".s.PGSQL." not in path:
        return f"{path.rstrip('/')}/.s.PGSQL.{port}"

    return path


def _read_file(rest: str, base: Path | None) -> Place:
    if not rest.startswith("/") or rest == "/" or "?" in rest:
        raise ValueError(
            "expected sqlite:////path/of/shop.db, or sqlite:///shop.db beside the configuration "
            "file, without parameters"
        )

    path = Path(base or "", unquote(rest[1:]))

    return Place(engine=Engine.SQLITE, path=str(path), tls=TlsUse.NEVER)
