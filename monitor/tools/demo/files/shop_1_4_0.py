"""The shop of the demo, version 1.4.0: it works."""

from __future__ import annotations

import sys

from aiohttp import web

VERSION = "1.4.0"


async def health(_request: web.Request) -> web.Response:
    return web.json_response({"version": VERSION, "database": {"status": "connected"}})


async def homepage(_request: web.Request) -> web.Response:
    return web.Response(text="<h1>Shop</h1><p>Buy something.</p>", content_type="text/html")


def main() -> None:
    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/", homepage)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
