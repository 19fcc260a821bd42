"""The series of each service: its open incidents and its newest deploy."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from monitor.metrics.exposition import NOTHING_YET, escape, in_parts, write_family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.core.engine import Engine


def service_series(engine: Engine) -> Iterator[str]:
    """Write the series of all services, for which the client library is too slow."""
    situation = engine.situation
    open_now = Counter((one.service, one.severity) for one in situation.open_incidents())
    watched = {(one.service, one.severity): 0 for one in engine.checks.values()}
    yield NOTHING_YET
    watched |= open_now
    yield from write_family(
        "production_monitor_incidents_open",
        "Open incidents.",
        [f'service="{escape(name)}",severity="{severity.value}"' for name, severity in watched],
        [float(count) for count in watched.values()],
    )
    labels: list[str] = []
    times: list[float] = []
    for some in in_parts(sorted(known_services(engine))):
        for service in some:
            deploy = situation.current_deploy(service)
            if deploy is not None and not deploy.baseline:
                labels.append(f'service="{escape(service)}"')
                times.append(deploy.at.timestamp())
        yield NOTHING_YET
    yield from write_family(
        "production_monitor_last_deploy_timestamp_seconds",
        "When the newest deploy was first seen.",
        labels,
        times,
    )


def known_services(engine: Engine) -> set[str]:
    """Give the services of all checks and all those that are described."""
    return {check.service for check in engine.checks.values()} | set(engine.directory.services)
