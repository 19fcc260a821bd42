"""Speaking to a running monitor: over its control socket, or over HTTP with a token."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TIMEOUT: Final = 30.0
_LONGEST_PATH: Final = 107
"""Of a Unix socket, in bytes; a daemon refuses a longer one as well."""

_LONGEST_USER: Final = 100
_LARGEST_ANSWER: Final = 64 * 1024 * 1024
_EXPECTED_URL: Final = "expected a URL such as https://monitor.example"


class RemoteError(Exception):
    """The monitor could not be asked, or it refused; the message says which and why."""


class NobodyThere(RemoteError):
    """No monitor listens on that socket."""


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(str(self._path))


def ask_socket(path: Path, method: str, resource: str, body: object = None) -> Any:
    """Ask the monitor behind a control socket; gives its JSON.

    Raises NobodyThere where no monitor listens, RemoteError for everything else.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise NobodyThere(f"{path}: no monitor can listen there, the path is too long")

    connection = _SocketConnection(path)
    try:
        return _ask(connection, str(path), method, resource, body, {"X-Acting-User": who_asks()})
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NobodyThere(f"{path}: no monitor listens there") from error
    except OSError as error:
        raise RemoteError(f"{path}: {error.strerror or error}") from error
    finally:
        connection.close()


def ask_server(
    url: str,
    token: str | None,
    method: str,
    resource: str,
    body: object = None,
    *,
    expected: Sequence[str] = (),
) -> Any:
    """Ask a monitor by its URL; gives its JSON, raises RemoteError.

    An answer without the `expected` keys is that of something else.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RemoteError(f"{_EXPECTED_URL}, found {url!r}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise RemoteError(f"{_EXPECTED_URL}, found {url!r}")

    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=_TIMEOUT)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        found = _ask(connection, where, method, parts.path.rstrip("/") + resource, body, headers)
    except OSError as error:
        raise RemoteError(f"{where}: {error.strerror or error}") from error
    finally:
        connection.close()

    if expected and not (isinstance(found, dict) and found.keys() >= set(expected)):
        keys = ", ".join(expected)
        raise RemoteError(f"{where}: expected an answer with {keys}; is it a monitor?")

    return found


def who_asks() -> str:
    """Name who sits at this command line, also where they have become root to type it."""
    user = os.environ.get("SUDO_USER", "")
    if not user:
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = str(os.getuid())
    name = f"{user}@{socket.gethostname()}"[:_LONGEST_USER]

    return name if name.isascii() and name.isprintable() else "somebody"


def _ask(
    connection: http.client.HTTPConnection,
    where: str,
    method: str,
    resource: str,
    body: object,
    headers: dict[str, str],
) -> Any:
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers = {**headers, "Content-Type": "application/json"}
    try:
        connection.request(method, resource, body=data, headers=headers)
        response = connection.getresponse()
        answer = response.read(_LARGEST_ANSWER)
    except http.client.HTTPException as error:
        raise RemoteError(f"{where}: no valid answer ({type(error).__name__})") from error

    try:
        found = json.loads(answer)
    except ValueError as error:
        raise RemoteError(
            f"{where}: expected JSON, found a {response.status} without it; is it a monitor?"
        ) from error
    if response.status >= 400:
        why = found.get("error", "") if isinstance(found, dict) else ""
        raise RemoteError(f"{where}: {why or f'it answered {response.status}'}")

    return found
