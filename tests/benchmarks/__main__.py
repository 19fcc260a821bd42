"""Measures what a probe costs here and elsewhere: run it by `make bench`, on a quiet machine."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks import counterparts, watching
from tests.benchmarks.processes import machine_busy, peak_memory, usage
from tests.benchmarks.watching import lags, must_be_calm, quantile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from tests.benchmarks.counterparts import Target
    from tests.benchmarks.watching import Watching

QUICK: Final = bool(os.environ.get("QUICK"))
SECONDS: Final = 6 if QUICK else 20
WARM_UP: Final = 3 if QUICK else 5
WARM_UP_OF_PEER: Final = 10  # Prometheus takes up its targets some seconds after it is ready
RATES: Final = (500, 1000)
ROUNDS: Final = 3 if QUICK else 11
MANY: Final = 10_000
MANY_SECONDS: Final = 20 if QUICK else 60
SCRAPE_EVERY: Final = 5
MEGABYTE: Final = 1_000_000


@dataclass
class Span:
    """What was used while something ran."""

    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    served: int = 0
    others: float = 0.0
    scrapes: list[float] = field(default_factory=list)

    @property
    def per_probe(self) -> float:
        """Processor milliseconds for each request that arrived."""
        return self.cpu / self.served * 1000

    def __str__(self) -> str:
        return (
            f"{self.served / self.seconds:6.0f} probes/s  {self.per_probe:6.3f} ms CPU a probe  "
            f"{self.cpu / self.seconds:4.0%} of a core  {self.memory / MEGABYTE:5.0f} MB"
        )


@contextmanager
def measured(watched: Target, *processes: Popen[bytes]) -> Iterator[Span]:
    """Measure process trees while the block runs; `others` are the cores that anybody else took."""
    span = Span()
    served, busy = watched.served(), machine_busy()
    all_before = usage(*processes, watched.process).cpu + sum(os.times()[:2])
    before, started = usage(*processes), time.monotonic()
    yield span
    after = usage(*processes)
    span.seconds = time.monotonic() - started
    all_after = usage(*processes, watched.process).cpu + sum(os.times()[:2])
    span.cpu, span.memory = after.cpu - before.cpu, after.memory
    span.served = watched.served() - served - 1
    span.others = (machine_busy() - busy - (all_after - all_before)) / span.seconds


def watch_here(monitor: Watching, watched: Target, seconds: int) -> Span:
    """Measure this monitor, scraped meanwhile; print its lag."""
    first = monitor.page()
    with measured(watched, monitor.process) as span:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(SCRAPE_EVERY, left))
            started = time.perf_counter()
            last = monitor.page()
            span.scrapes.append(time.perf_counter() - started)
    must_be_calm(first, last)
    late = lags(first, last)
    p50, p99 = quantile(0.5, late) * 1000, quantile(0.99, late) * 1000
    scrape = f"{statistics.median(span.scrapes):.2f} s, at most {max(span.scrapes):.2f} s"
    print(f"  this monitor           {span}")
    print(f"    lag p50 {p50:.0f} ms, p99 {p99:.0f} ms; /metrics {scrape}; {_others(span)}")

    return span


def compare(folder: Path, watched: Target, rate: int) -> None:
    """Measure this monitor and its peer at so many endpoints a second."""
    print(f"\n{rate} endpoints, each once a second, for {SECONDS} s")
    with watching.watching(
        folder / f"here-{rate}", watched, endpoints=rate, every=1, window="1m"
    ) as monitor:
        watching.wait_for_first_round(monitor)
        time.sleep(WARM_UP)
        here = watch_here(monitor, watched, SECONDS)
    with counterparts.blackbox_and_prometheus(folder / f"peer-{rate}", watched, rate) as processes:
        time.sleep(WARM_UP_OF_PEER)
        with measured(watched, *processes) as peer:
            time.sleep(SECONDS)
    print(f"  blackbox + Prometheus  {peer}")
    print(f"    {_others(peer)}")
    print(f"  ratio of CPU a probe   {here.per_probe / peer.per_probe:.2f}")


def check_once(folder: Path, watched: Target) -> None:
    """Measure the one-shot check, from the start of the interpreter to its end."""
    folder.mkdir()
    config = watching.write_config(folder, watched, endpoints=20, every=60, window="1h")
    took = []
    for number in range(ROUNDS + 1):
        started = time.perf_counter()
        ended = subprocess.run(
            watching.one_shot(config), stdout=subprocess.PIPE, cwd=folder, check=False
        )
        watching.must_pass(ended.stdout)
        if number:  # the first fills the caches of the machine
            took.append(time.perf_counter() - started)
    print(f"\n--cycles 1 over 20 endpoints, {ROUNDS} times")
    print(f"  {statistics.median(took):.2f} s ({min(took):.2f} to {max(took):.2f})")


def watch_many(folder: Path, watched: Target) -> None:
    """Measure many endpoints: the start, the first round, and the page of metrics."""
    print(f"\n{MANY} endpoints, each every 10 s, for {MANY_SECONDS} s")
    with watching.watching(folder / "many", watched, endpoints=MANY, every=10, window="5m") as run:
        started = time.monotonic()
        watching.wait_for_first_round(run)
        first = time.monotonic() - started
        watch_here(run, watched, MANY_SECONDS)
        print(f"  start to the first full round {first:.1f} s")
        print(f"  at most {peak_memory(run.process) / MEGABYTE:.0f} MB at any moment")


def _others(span: Span) -> str:
    return f"others took {max(span.others, 0):.2f} cores meanwhile"


def main() -> None:
    for program in ("nginx", "prometheus", "prometheus-blackbox-exporter"):
        counterparts.find(program)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with counterparts.target(folder / "target") as watched:
            for rate in RATES:
                compare(folder, watched, rate)
            check_once(folder / "once", watched)
            watch_many(folder, watched)


if __name__ == "__main__":
    main()
