"""The kind `command`: a program that is run once is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from monitor.core.expectations import Source
from monitor.fields import later
from monitor.probes._command.options import CommandOptions
from monitor.probes.kind import ProbeKind

KIND: Final = ProbeKind(
    options=CommandOptions,
    make=later("monitor.probes._command.probe.CommandProbe"),
    sources=frozenset(
        {
            Source.EXIT_CODE,
            Source.OUTPUT,
            Source.BODY,
            Source.JSON,
            Source.JSON_SCHEMA,
            Source.VALUE,
            Source.ROWS,
            Source.RESPONSE_TIME,
        }
    ),
    series=MappingProxyType(
        {
            "probe_command_exit_code": "The exit code of the command.",
            "probe_command_perfdata": "Performance data without a unit, or in one of its own.",
            "probe_command_perfdata_bytes": "Performance data in bytes.",
            "probe_command_perfdata_ratio": "Performance data in percent, as a ratio.",
            "probe_command_perfdata_seconds": "Performance data in seconds.",
        }
    ),
)
