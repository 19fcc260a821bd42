"""The seam to the world that is watched: what every kind of probe offers and is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from monitor.core.model.heartbeat import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from monitor.core.expectations import Expectation
    from monitor.core.model.observation import Observation
    from monitor.names import Resolver
    from monitor.runner.tied import Commands


class Probe(Protocol):
    """One thing that can be asked, again and again, what it looks like now.

    One that holds more than one socket at once says how many in `sockets`.
    """

    async def observe(self) -> Observation:
        """Look once, within the timeout; never raises, except that a cancellation passes."""
        ...

    async def close(self) -> None:
        """Give back what is held; the probe may not be used again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeContext:
    """What a probe is told besides its own options.

    `clock` tells the time, `resolver` the addresses of names; all probes share both.
    `timeout` bounds one whole observation, name resolution included. `user_agent` is sent where
    none is configured. `preflight` says that a check judges what a foreign origin may do,
    for which a second request is needed. `endpoint` is the name of what is watched, `commands` how
    commands are run, None where a probe has to see to that itself. `expectations` are those in its
    own options, by where they stand there, and `mask` takes the secrets of the configuration out of
    what it tells. `heard` gives the pings that came for this endpoint, and when anybody listened.
    """

    clock: Callable[[], datetime]
    resolver: Resolver
    timeout: timedelta
    user_agent: str
    mask: Callable[[str], str]
    preflight: bool = False
    endpoint: str = ""
    commands: Commands | None = None
    expectations: Mapping[tuple[str | int, ...], tuple[Expectation, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    heard: Callable[[], Heard] = Heard
