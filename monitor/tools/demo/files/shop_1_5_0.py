"""The shop of the demo, version 1.5.0: its pool of database connections is soon used up."""

from __future__ import annotations

import sys
from time import monotonic

from aiohttp import web

VERSION = "1.5.0"
POOL_LASTS = 6.0

started = monotonic()


def database() -> str:
    return "connected" if monotonic() - started < POOL_LASTS else "pool exhausted"


async def health(_request: web.Request) -> web.Response:
    state = database()
    status = 200 if state == "connected" else 503

    return web.json_response({"version": VERSION, "database": {"status": state}}, status=status)


async def homepage(_request: web.Request) -> web.Response:
    if database() != "connected":
        raise web.HTTPInternalServerError(text="Something went wrong.")

    return web.Response(text="<h1>Shop</h1><p>Buy more.</p>", content_type="text/html")


def main() -> None:
    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/", homepage)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
