"""The kind `redis`: one command that reads, and its reply, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._redis.options import RedisOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: RedisOptions, context: ProbeContext) -> Probe:
    """Build the probe; what reads the protocol is imported here."""
    from monitor.probes._redis.probe import RedisProbe

    return RedisProbe(options, context)


KIND: Final = Kind(
    options=RedisOptions,
    make=make,
    sources=frozenset(
        {
            Source.VALUE,
            Source.JSON,
            Source.JSON_SCHEMA,
            Source.BODY,
            Source.RESPONSE_TIME,
            Source.CERTIFICATE,
        }
    ),
    carries=True,
    prober="redis",
    series=MappingProxyType({"probe_redis_duration_seconds": "Time by phase."}),
)
