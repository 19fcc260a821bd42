"""This monitor as it is measured: its configuration, its start, and what it says of itself."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.benchmarks.processes import fetch, running, wait_for
from tests.support.servers import unused_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.benchmarks.counterparts import Target

_COMMAND: Final = (sys.executable, "-m", "monitor")
_LAG: Final = "production_monitor_schedule_lag_seconds_bucket"
_CHECKS: Final = """\
    health:
      expect:
        - status: 200
        - {json: $.database, equals: connected}
    headers:
      policies: [csp, nosniff, clickjacking]
      expect:
        - {header: x-release, exists: true}
"""


@dataclass(frozen=True)
class Watching:
    """A monitor that runs."""

    process: subprocess.Popen[bytes]
    port: int

    def page(self) -> str:
        return fetch(f"http://127.0.0.1:{self.port}/metrics")

    def ready(self) -> bool:
        return fetch(f"http://127.0.0.1:{self.port}/-/ready") != ""


def write_config(
    folder: Path, watched: Target, *, endpoints: int, every: int, window: str, port: int = 0
) -> Path:
    """Write a configuration in which each endpoint has all three checks."""
    lines = [f"web: {{listen: 127.0.0.1:{port}}}\n"] if port else []
    lines += [f"defaults: {{every: {every}s, timeout: {min(every, 5)}s}}\n", "endpoints:\n"]
    for number in range(endpoints):
        lines += [f"  e{number}:\n    url: {watched.url(number)}\n", _CHECKS]
        lines += [f"    latency: {{p95: {{lt: 900ms, window: {window}, min_samples: 5}}}}\n"]
    config = folder / "monitor.yml"
    config.write_text("".join(lines))

    return config


@contextmanager
def watching(
    folder: Path, watched: Target, *, endpoints: int, every: int, window: str
) -> Iterator[Watching]:
    """Run the daemon; its store is a file, as always."""
    folder.mkdir()
    port = unused_port()
    config = write_config(
        folder, watched, endpoints=endpoints, every=every, window=window, port=port
    )
    command = [*_COMMAND, "run", "--config", str(config)]
    with running(command, log=folder / "monitor.log") as process:
        yield Watching(process, port)


def wait_for_first_round(monitor: Watching) -> None:
    """Wait until every endpoint was probed once."""
    wait_for(monitor.ready, "the first round")


def one_shot(config: Path) -> list[str]:
    """Give the command that checks once and ends."""
    return [*_COMMAND, "--cycles", "1", "--config", str(config), "--output", "json"]


def must_pass(output: bytes) -> None:
    """Stop where a check did not pass: another path would have been measured."""
    verdict = json.loads(output)["verdict"]
    if verdict != "pass":
        raise SystemExit(f"the one-shot run ended with {verdict}:\n{output.decode()[:2000]}")


def must_be_calm(before: str, after: str) -> None:
    """Stop where something failed meanwhile: the figures would be those of alerting."""
    failed = _failures(after) - _failures(before)
    if failed:
        raise SystemExit(f"{failed:.0f} probes failed meanwhile: the machine is too busy")


def lags(before: str, after: str) -> dict[float, float]:
    """Give how many starts between two pages were at most so late, by the limits of the buckets."""
    first, last = _buckets(before), _buckets(after)

    return {limit: count - first.get(limit, 0) for limit, count in last.items()}


def quantile(share: float, counts: dict[float, float]) -> float:
    """Estimate a quantile from buckets as Prometheus does, in seconds."""
    wanted = share * max(counts.values())
    below, limit_below = 0.0, 0.0
    for limit, count in sorted(counts.items()):
        if count >= wanted:
            if limit == float("inf") or count == below:
                return limit_below
            return limit_below + (limit - limit_below) * (wanted - below) / (count - below)
        below, limit_below = count, limit

    return limit_below


def _failures(page: str) -> float:
    return sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith("production_monitor_probe_failures_total")
    )


def _buckets(page: str) -> dict[float, float]:
    found: dict[float, float] = {}
    for line in page.splitlines():
        if line.startswith(_LAG):
            limit = line.split('le="')[1].split('"')[0]
            found[float(limit)] = float(line.rpartition(" ")[2])

    return found
