"""A token server as RFC 6749 describes it, for the client credentials grant alone."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from aiohttp import web

from tests.support.servers import Counterpart, serve_pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# what a test makes up: each sign has to be encoded
CLIENT = "monitor"
SECRET = "hunter22/+ä"


@dataclass
class TokenServer:
    """What was asked of it, and how it answers; each token that it issues is another."""

    counterpart: Counterpart
    lifetime: object = 3600
    pause: float = 0
    breaks: web.Response | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.counterpart.url("/token")

    def good(self, header: str | None) -> bool:
        """Whether a header carries the token that was issued last."""
        return bool(self.issued) and header == f"Bearer {self.issued[-1]}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        if self.pause:
            await asyncio.sleep(self.pause)
        if self.breaks is not None:
            return web.Response(body=self.breaks.body, status=self.breaks.status)
        if request.method != "POST" or form.get("grant_type") != "client_credentials":
            return _error(400, "unsupported_grant_type")
        if _client(request, form) != (CLIENT, SECRET):
            return _error(401, "invalid_client", f"no client has the secret {SECRET}")

        self.issued.append(f"t0ken-{len(self.issued)}-of-many")
        said = {"access_token": self.issued[-1], "token_type": "Bearer"}
        if self.lifetime is not None:
            said |= {"expires_in": self.lifetime}  # type: ignore[dict-item]  # whatever a test says

        return web.json_response(said, headers={"Cache-Control": "no-store"})


def _client(request: web.Request, form: dict[str, str]) -> tuple[str, str]:
    header = request.headers.get("Authorization", "")
    if header.startswith("Basic ") and "client_secret" not in form:
        name, _, secret = b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return unquote_plus(name), unquote_plus(secret)

    return form.get("client_id", ""), form.get("client_secret", "")


def _error(status: int, code: str, description: str = "") -> web.Response:
    return web.json_response({"error": code, "error_description": description}, status=status)


@asynccontextmanager
async def serve_tokens() -> AsyncIterator[TokenServer]:
    """Run a token server."""
    server = TokenServer(Counterpart())

    async def answer(request: web.Request) -> web.StreamResponse:
        return await server.answer(request)

    async with serve_pages({"/token": answer}) as counterpart:
        server.counterpart = counterpart
        yield server
