"""The kind `command`: a program that is run once is one observation."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Source
from monitor.fields import Kind
from monitor.probes._command.options import CommandOptions

if TYPE_CHECKING:
    from monitor.probes.probe import Probe, ProbeContext


def make(options: CommandOptions, context: ProbeContext) -> Probe:
    """Build the probe; what runs programs is imported here."""
    from monitor.probes._command.probe import CommandProbe

    return CommandProbe(options, context)


KIND: Final = Kind(
    options=CommandOptions,
    make=make,
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
    healthy=({"exit_code": 0},),
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
