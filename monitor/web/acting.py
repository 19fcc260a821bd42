"""What the handlers of acts share: what the body says, who acts, and how an act is refused."""

from __future__ import annotations

import asyncio
import json
import pwd
import socket
import struct
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from monitor.operations import NotFound, OperationError
from monitor.store.errors import StoreError
from monitor.web.backend import BACKEND
from monitor.web.guard import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from monitor.operations import Desk

ACTING_USER: Final = "X-Acting-User"
"""In what the command line sends over the control socket: who sits there."""

_LONGEST_USER: Final = 100
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid and gid of whoever is at the other end

_DEEPEST: Final = 16
"""So many levels may be nested in a body: what works on it later may be recursive."""

_PATIENCE: Final = timedelta(seconds=10)
"""How long a client may take to send a body."""


def who(request: web.Request) -> str:
    """Say who acts: the name of the token, or over the control socket the user who is there.

    Whoever may open the socket may do everything, and so may say who asked for it.
    """
    name: str | None = request.get(TOKEN)
    if name is not None:
        return name

    given = request.headers.get(ACTING_USER, "").strip()
    if 0 < len(given) <= _LONGEST_USER and given.isprintable():
        return given

    return _peer(request)


@contextmanager
def refusals(done: str = "") -> Iterator[None]:
    """Answer 404 or 422 with the words of what is refused, 503 where the store does not work.

    `done` says what is so although it could not be written; who only reads has done nothing.
    """
    try:
        yield
    except NotFound as error:
        raise web.HTTPNotFound(text=str(error)) from error
    except OperationError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
    except StoreError as error:
        text = f"{done}, but that is not written down yet: {error}" if done else str(error)
        raise web.HTTPServiceUnavailable(text=text) from error


def _peer(request: web.Request) -> str:
    """Name the user at the other end of a Unix socket; of another one nobody is known."""
    transport = request.transport
    link = transport.get_extra_info("socket") if transport is not None else None
    if link is None or link.family != socket.AF_UNIX:
        return "somebody"

    size = _CREDENTIALS.size
    _, user, _ = _CREDENTIALS.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)

    return f"{name}@{socket.gethostname()}"


def desk_of(request: web.Request) -> Desk:
    """Give where the acts of this monitor are taken."""
    return request.app[BACKEND].desk


def id_in(request: web.Request) -> str:
    """Give the id that the path names."""
    return request.match_info["id"]


async def read_some(request: web.Request) -> Mapping[str, Any]:
    """Read a body where there is one: an act may need no words."""
    return await read_object(request) if request.can_read_body else {}


async def read_object(request: web.Request) -> Mapping[str, Any]:
    """Read a body that is one JSON object; an error in plain words where it is none."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(
            text=f"expected Content-Type: application/json, found {request.content_type}"
        )

    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise web.HTTPUnsupportedMediaType(
            text=f"expected a body without Content-Encoding, found {encoding!r:.80}"
        )

    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            body = await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body did not come in time") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise web.HTTPBadRequest(
            text="the body broke off, or is not what its headers say"
        ) from error
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text="expected a JSON object, found no valid JSON") from error
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(text=f"expected a JSON object, found {type(found).__name__}")
    if not _is_shallow(found):
        raise web.HTTPBadRequest(text=f"expected at most {_DEEPEST} levels of JSON")

    return found


def _is_shallow(value: object) -> bool:
    """Say whether no value is nested deeper than may be, level by level."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]

    return not level
