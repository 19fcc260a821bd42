"""`/probe`: blackbox_exporter's answer, from the newest result instead of a new request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from yarl import URL

from monitor.metrics import TEXT, render_probe, why_no_series
from monitor.options import format_address
from monitor.probes import KINDS
from monitor.web.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.core.model.endpoint import Endpoint

_DNS_PORT: Final = 53


async def probe(request: web.Request) -> web.Response:
    """Answer for one target: 400 without one or for a foreign module, 404 unknown, 503 no result.

    A module is taken as known where its name begins with the prober's, such as `http_2xx`, or where
    it is a tag of the endpoint.
    """
    backend = request.app[BACKEND]
    target, module = request.query.get("target", ""), request.query.get("module")
    if not target:
        raise web.HTTPBadRequest(text="expected the parameter target: an endpoint's name or URL")

    asked = find_endpoints(backend.engine.endpoints, target)
    if not asked:
        raise web.HTTPNotFound(text=f"no endpoint is named or asks {target!r}")

    endpoint = choose(asked, module)
    if endpoint is None:
        probers = " or ".join(sorted({f"{_prober(one)}_2xx" for one in asked}))
        raise web.HTTPBadRequest(
            text=f"expected a module of its prober such as {probers}, found {module!r}"
        )

    latest = backend.engine.latest.get(endpoint.name)
    why = why_no_series(latest, backend.now())
    if latest is None or why is not None:
        raise web.HTTPServiceUnavailable(text=f"{endpoint.name} {why}")

    return web.Response(body=render_probe(latest).encode(), headers={"Content-Type": TEXT})


def find_endpoints(endpoints: Mapping[str, Endpoint], target: str) -> list[Endpoint]:
    """Find the one that has this name, else all that ask this, however it is written."""
    if target in endpoints:
        return [endpoints[target]]

    wanted = {target, f"unix:{target}", normalise(target)}

    return [one for one in endpoints.values() if not wanted.isdisjoint(_spellings(one.target))]


def choose(asked: Sequence[Endpoint], module: str | None) -> Endpoint | None:
    """Choose the endpoint that a module means: the one with it as a tag, else of its prober."""
    if module is None:
        return asked[0]

    tagged = (one for one in asked if module in one.tags)
    probed = (one for one in asked if module.startswith(_prober(one)))

    return next(tagged, None) or next(probed, None)


def normalise(target: str) -> str | None:
    """Write a URL as all its spellings: scheme and host in lower case, no default port, a path.

    What is asked at a port, without a scheme, is written as if over HTTP.
    """
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


def _spellings(target: str) -> tuple[str, ...]:
    """Give what an endpoint's target may be called: of a question to a DNS server, that server."""
    written = normalise(target)
    if not target.startswith("dns://") or written is None:
        return (target, written) if written else (target,)

    server = URL(target)
    host, port = server.host or "", server.port or _DNS_PORT

    return tuple(normalise(one) or "" for one in (host, format_address(host, port)))


def _prober(endpoint: Endpoint) -> str:
    return KINDS[endpoint.kind].prober or endpoint.kind
