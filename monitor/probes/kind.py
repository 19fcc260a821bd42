"""What every kind of probe tells of itself and of its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from monitor.fields import Kind, Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import timedelta

    from monitor.core.expectations import Source
    from monitor.options import Secret

    Place = tuple[str | int, ...]


class ProbeOptions(Options):
    """The options of a probe, and what is known of it beforehand.

    A kind overrides what is otherwise with it. Its `secrets` are each Secret in its options, unless
    it makes others of them.
    """

    @property
    def target(self) -> str:
        """What is asked, as it may be shown; where it is empty, the endpoint by its name."""
        return ""

    @property
    def question(self) -> str:
        """What is asked there, as it may be shown, where the target does not say it."""
        return ""

    @property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it."""
        return True

    @property
    def shows_certificate(self) -> bool:
        """Whether an answer can come over TLS: with a certificate, if the kind tells of one."""
        return True

    @property
    def untold(self) -> Mapping[Source, str]:
        """What no answer tells with these options, though others of the kind do; and why."""
        return {}

    @property
    def may_redirect_to_https(self) -> bool:
        """Whether a way from plain HTTP to HTTPS can be seen."""
        return False

    @property
    def harmless(self) -> bool:
        """Whether asking changes nothing there, as far as can be known, and costs little."""
        return True

    @property
    def healthy(self) -> tuple[Mapping[str, object], ...]:
        """The expectations that hold where nobody wrote one on the same source."""
        return ()

    @property
    def beats(self) -> str:
        """By what pings are expected; empty where something is asked."""
        return ""

    @property
    def ping_key(self) -> Secret | None:
        """The secret part of the address that is pinged, where nothing is asked."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often a kind of probe looks at most by default, and how much one look says of health.

    None is as everywhere.
    """

    every: timedelta | None = None
    failure_threshold: int | None = None
    success_threshold: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeKind(Kind):
    """One kind of probe.

    `sources` are what an answer tells: what expectations can look at. `carries` says that what is
    asked may merely carry a figure about something else: with a `value` its own health is judged
    only where that is written. `judges` gives the lists of expectations in the options that the
    kind judges itself, each with its place: its probe finds them compiled in its context.
    `encrypted_by` says what to write so that answers come over TLS. `prober` is what
    blackbox_exporter calls it, where that is not its own name, `series` its families beside those
    that each kind has, with what they mean. `rhythm` is how often it looks, and how often it is
    wrong before that is told.
    """

    options: type[ProbeOptions]
    sources: frozenset[Source]
    carries: bool = False
    # Any: its own options
    judges: Callable[[Any], Iterable[tuple[Place, Sequence[object]]]] | None = None
    encrypted_by: str = ""
    prober: str = ""
    rhythm: Rhythm = Rhythm()
    series: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
