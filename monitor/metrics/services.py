"""The series of each service: its open incidents and its newest deploy."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from monitor.metrics.exposition import escape, write_family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.core.engine import Engine


def service_series(engine: Engine) -> Iterator[str]:
    """Write the series of all services, for which the client library is too slow."""
    situation = engine.situation
    open_now = Counter((one.service, one.severity) for one in situation.open_incidents())
    known = {(one.service, one.severity) for one in engine.checks.values()}
    yield write_family(
        "production_monitor_incidents_open",
        "Open incidents.",
        (
            (f'{{service="{escape(one[0])}",severity="{one[1]}"}}', float(open_now[one]))
            for one in known | open_now.keys()
        ),
    )
    deploys = ((service, situation.current_deploy(service)) for service in known_services(engine))
    yield write_family(
        "production_monitor_last_deploy_timestamp_seconds",
        "When the newest deploy was first seen.",
        (
            (f'{{service="{escape(service)}"}}', deploy.at.timestamp())
            for service, deploy in deploys
            if deploy is not None and not deploy.baseline
        ),
    )


def known_services(engine: Engine) -> set[str]:
    """Give the services of all checks and all those that are described."""
    return {check.service for check in engine.checks.values()} | set(engine.directory.services)
