"""One HTTP observation in one line: options as a configuration writes them, then the probe."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from monitor.names import Resolver
from monitor.probes._http.options import HttpOptions
from monitor.probes._http.probe import HttpProbe
from monitor.probes.http import KIND
from monitor.probes.probe import ProbeContext
from tests.support.servers import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from monitor.core.model.observation import Observation
    from monitor.names import Address
    from monitor.probes.probe import Probe
    from monitor.runner.tied import Commands

USER_AGENT = "production-monitor/1.2.3"


def ask_loopback(host: str, port: int) -> Sequence[Address]:
    """Resolve localhost and every name under `.test` to loopback, and no other."""
    if host not in ("localhost", HOST) and not host.endswith(".test"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    return socket.getaddrinfo(HOST, port, type=socket.SOCK_STREAM)


_RESOLVER = Resolver(ask=ask_loopback)


def make_probe(
    url: str,
    *,
    timeout: float = 5,
    names: Resolver | None = None,
    base: Path | None = None,
    preflight: bool = False,
    **request: object,
) -> HttpProbe:
    """Make a probe from what a configuration says under `request`.

    `names` resolves them; without it, those under `.test` are loopback.
    """
    options = HttpOptions.model_validate(
        {"url": url, "request": request}, context={"base": base} if base else None
    )

    return HttpProbe(options, make_context(timeout, names, preflight=preflight))


def make_context(
    timeout: float = 5,
    resolver: Resolver | None = None,
    *,
    preflight: bool = False,
    commands: Commands | None = None,
) -> ProbeContext:
    """Give what a probe is told besides its options."""
    return ProbeContext(
        clock=lambda: datetime.now(UTC),
        resolver=resolver or _RESOLVER,
        timeout=timedelta(seconds=timeout),
        user_agent=USER_AGENT,
        mask=str,
        preflight=preflight,
        endpoint="shop",
        commands=commands,
    )


@asynccontextmanager
async def probing(url: str, **asked: object) -> AsyncIterator[HttpProbe]:
    """Make a probe for more than one observation, and close it."""
    probe = make_probe(url, **asked)  # type: ignore[arg-type]  # passed on as they were given
    try:
        yield probe
    finally:
        await probe.close()


async def observe(url: str, **asked: object) -> Observation:
    """Observe once."""
    async with probing(url, **asked) as probe:
        return await probe.observe()


async def observe_burst(
    url: str, size: int, *, preflight: bool = False, **request: object
) -> Observation:
    """Observe so many requests at once, as the kind does."""
    options = KIND.options.model_validate({"url": url, "request": {"burst": size, **request}})
    probe: Probe = KIND.make(options, make_context(preflight=preflight))
    try:
        return await probe.observe()
    finally:
        await probe.close()
