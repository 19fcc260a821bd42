"""`/probe`: blackbox_exporter's answer, from the newest result instead of a new request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from yarl import URL

from monitor.metrics import TEXT, render_probe, why_no_series
from monitor.probes import KINDS
from monitor.web.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.model.endpoint import Endpoint


async def probe(request: web.Request) -> web.Response:
    """Answer for one target: 400 without one or for a foreign module, 404 unknown, 503 no result.

    A module is taken as known where its name begins with the prober's: `http_2xx`.
    """
    backend = request.app[BACKEND]
    target = request.query.get("target", "")
    if not target:
        raise web.HTTPBadRequest(text="expected the parameter target: an endpoint's name or URL")

    endpoint = find_endpoint(backend.engine.endpoints, target)
    if endpoint is None:
        raise web.HTTPNotFound(text=f"no endpoint is named or asks {target!r}")

    module = request.query.get("module")
    prefix = KINDS[endpoint.kind].prober or endpoint.kind
    if module is not None and not module.startswith(prefix):
        raise web.HTTPBadRequest(
            text=f"expected a module of the {prefix} prober such as {prefix}_2xx, found {module!r}"
        )

    latest = backend.engine.latest.get(endpoint.name)
    why = why_no_series(latest, backend.now())
    if latest is None or why is not None:
        raise web.HTTPServiceUnavailable(text=f"{endpoint.name} {why}")

    return web.Response(body=render_probe(latest).encode(), headers={"Content-Type": TEXT})


def find_endpoint(endpoints: Mapping[str, Endpoint], target: str) -> Endpoint | None:
    """Find an endpoint by its name, else by its URL however it is written."""
    if target in endpoints:
        return endpoints[target]

    wanted = normalise(target)
    if wanted is None:
        return None

    return next((one for one in endpoints.values() if normalise(one.target) == wanted), None)


def normalise(target: str) -> str | None:
    """Write a URL as all its spellings: scheme and host in lower case, no default port, a path."""
    try:
        url = URL(target if "://" in target else f"http://{target}")
        host, port = url.host, url.port
    except ValueError:
        return None
    if not host:
        return None

    shown = url.with_user(None).with_fragment(None)
    path = shown.raw_path_qs or "/"

    return f"{url.scheme.lower()}://{host.lower().rstrip('.')}:{port}{path}"
