"""The kind `redis`: one command that reads, and its reply, is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._redis.options import RedisOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=RedisOptions,
    make=later("monitor.probes._redis.probe.RedisProbe"),
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
    encrypted_by="tls: true below redis, or a rediss:// URL",
    series=MappingProxyType({"probe_redis_duration_seconds": "Time by phase."}),
)
