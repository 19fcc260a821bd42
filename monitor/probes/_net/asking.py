"""What kinds that ask over the network share: they look, and hold nothing between looks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from monitor.probes._net.look import EVERY_PHASE, measure_phases, observe
from monitor.probes._net.resolve import load_nameserver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.model.observation import Observation, Phase
    from monitor.probes._net.dial import Way
    from monitor.probes._net.look import Look
    from monitor.probes._net.port_options import Reached
    from monitor.probes.probe import ProbeContext

AnyReached = TypeVar("AnyReached", bound="Reached")


class NetworkProbe(Generic[AnyReached]):
    """A probe that asks over the network; its kind says how, and what its phases are called."""

    durations: ClassVar[str]
    """The series with the time of each phase."""

    phase_names: ClassVar[Mapping[Phase, str]] = EVERY_PHASE
    """What phases are called in it; those of one name are added up, the others left out."""

    def __init__(self, options: AnyReached, context: ProbeContext) -> None:
        self._options = options
        self._context = context
        load_nameserver(options.resolver)

    async def observe(self) -> Observation:
        """Look once."""
        return await observe(
            self._context, self._options.target, self._ask, conclude=self._conclude
        )

    async def close(self) -> None:
        """Hold nothing: each observation gives back what it used."""

    @cached_property
    def _way(self) -> Way:
        """The way to what is asked."""
        return self._options.way()

    async def _ask(self, look: Look) -> None:
        """Fill in the look; raises Faulted. What it holds it gives back without waiting."""
        raise NotImplementedError

    def _conclude(self, look: Look) -> None:
        """Add the measures of what did take place, however the look ended."""
        measure_phases(look, self.durations, self.phase_names)
