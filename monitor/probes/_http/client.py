"""The session of aiohttp that all HTTP probes share: one for each would cost more than they do."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Final

import aiohttp

from monitor.probes._http.connector import Connector
from monitor.probes._net.resolver import shared_resolver

if TYPE_CHECKING:
    from monitor.probes._net.resolver import Resolver

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=None)
_WRITTEN_BY_US: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Client:
    """Sends the requests of any number of probes; nothing of one request is kept for another.

    There is one session for each event loop, as long as somebody there uses it.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._users: dict[asyncio.AbstractEventLoop, int] = {}

    def open(self) -> aiohttp.ClientSession:
        """Give the session of the running loop, to somebody who will call `close` once."""
        loop = asyncio.get_running_loop()
        self._users[loop] = self._users.get(loop, 0) + 1
        if loop not in self._sessions:
            self._sessions[loop] = _make_session(self._resolver)

        return self._sessions[loop]

    async def close(self) -> None:
        """Let go of the session; whoever is last closes it."""
        loop = asyncio.get_running_loop()
        self._users[loop] -= 1
        if self._users[loop]:
            return

        del self._users[loop]
        await self._sessions.pop(loop).close()


@cache
def shared_client() -> Client:
    """Give the one client of the process, over its one resolver."""
    return Client(shared_resolver())


def _make_session(resolver: Resolver) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=Connector(resolver),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_NO_TIMEOUT,
        auto_decompress=False,
        skip_auto_headers=_WRITTEN_BY_US,
    )
    # aiohttp sends a request again when the connection closes before the answer, on a new
    # connection too; one probe is one request, so this is switched off (and tested)
    session._retry_connection = False

    return session
