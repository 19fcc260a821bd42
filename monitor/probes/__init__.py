"""The table of the kinds of probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.fields import Kinds

if TYPE_CHECKING:
    from monitor.probes.kind import ProbeKind

KINDS: Final[Kinds[ProbeKind]] = Kinds(
    {
        "url": "monitor.probes.http",
        "grpc": "monitor.probes.grpc",
        "redis": "monitor.probes.redis",
        "sql": "monitor.probes.sql",
        "tcp": "monitor.probes.tcp",
        "tls": "monitor.probes.tls",
        "websocket": "monitor.probes.websocket",
        "metrics": "monitor.probes.metrics",
        "command": "monitor.probes.command",
        "journey": "monitor.probes.journey",
        "dns": "monitor.probes.dns",
        "icmp": "monitor.probes.icmp",
        "heartbeat": "monitor.probes.heartbeat",
        "browser": "monitor.probes.browser",
    },
    beside={"url": ("request",)},
)
"""By the key that names the kind in an endpoint; a kind imports its client when it is made."""
