"""What the web side needs of the monitor behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from monitor.clicks import Clicks
    from monitor.config import WebSettings
    from monitor.config.difference import Reloaded
    from monitor.core.engine import Engine
    from monitor.hearing import Hearing
    from monitor.operations import Desk


class Backend(Protocol):
    """The monitor as its web side sees it."""

    @property
    def engine(self) -> Engine:
        """What is known, and the newest result of each endpoint."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the configuration is loaded and the first round is done."""
        ...

    @property
    def web(self) -> WebSettings:
        """Who may use the HTTP interface now, and for what."""
        ...

    @property
    def hearing(self) -> Hearing:
        """Who takes pings."""
        ...

    @property
    def clicks(self) -> Clicks:
        """Who takes clicks on buttons in Slack."""
        ...

    def token_refused(self) -> None:
        """Count a wrong token."""
        ...

    def now(self) -> datetime:
        """Give the time, UTC."""
        ...

    def status(self) -> dict[str, Any]:
        """Give what is failing now, incidents, rollbacks and deploys."""
        ...

    def metrics_parts(self, *, as_openmetrics: bool) -> Iterator[bytes]:
        """Write the page that Prometheus reads, so that probes go on between its parts."""
        ...

    @property
    def desk(self) -> Desk:
        """Where acts of people are taken."""
        ...

    async def reload(self) -> Reloaded:
        """Read the configuration again; what was wrong with it, and then nothing has changed."""
        ...


BACKEND: Final = web.AppKey("backend", Backend)
