"""What is watched: endpoints, their checks, thresholds and severities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from monitor.core.expectations import Expectation
    from monitor.core.headers import PolicyRule


class Severity(StrEnum):
    """How bad it is, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return _RANK[self]


_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


class Signal(StrEnum):
    """What a check measures; it decides the incident's class."""

    HEALTH = "health"
    HEADERS = "headers"
    LATENCY = "latency"
    RATE = "failure_rate"
    VALUE = "value"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class InARow:
    """N verdicts of one kind without another between them."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KOfN:
    """At least `k` fails among the last `n` judged verdicts."""

    k: int
    n: int


FailureThreshold = InARow | KOfN


class OnInsufficient(StrEnum):
    """What a window with too few samples does to the counters."""

    HOLD = "hold"
    RESET = "reset"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRule:
    """Every expectation holds; without one about the status, 2xx stays required.

    `has_status` says that an answer has a status at all; without, any answer is a success.
    """

    expectations: tuple[Expectation, ...]
    has_status: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadersRule:
    """Policies and expectations on the header lines of an answer."""

    policies: tuple[PolicyRule, ...]
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRule:
    """The header lines of policies are those that were accepted.

    They are accepted at first once `of`, what else is asked of the headers, passed so many times in
    a row as it takes to close.
    """

    of: HeadersRule


Sample = timedelta | float
"""What a window holds: durations, or values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A limit that follows from what is usual: the median of the windows of a time, times a factor.

    `plus` is added to that, a sample like those in the windows. Windows that failed are no part of
    what is usual.
    """

    factor: float
    over: timedelta
    plus: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRule:
    """A nearest-rank percentile of the durations of a clock-aligned window stays below a limit.

    `percentile` is 1 to 100; 100 is the maximum. `inclusive` means lte rather than lt.
    """

    percentile: int
    limit: timedelta | Baseline
    inclusive: bool
    window: timedelta
    min_samples: int
    on_insufficient: OnInsufficient
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRule:
    """The certificate that expires first still has longer than `expires_in`."""

    expires_in: timedelta
    inclusive: bool
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRule:
    """Of the verdicts of another check in a sliding time, a share below a limit failed.

    `of` is the other check. `limit` is 0 to 1; `inclusive` means lte rather than lt.
    """

    of: str
    limit: float
    inclusive: bool
    over: timedelta
    min_samples: int
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRule:
    """What a probe brought is healthy: one value, or in each row what stands in a column.

    No rows at all are healthy. `beside_health` says that the health of the same answer is judged as
    well: that tells where there is none.
    """

    expectation: Expectation
    column: str = ""
    beside_health: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueWindowRule:
    """A nearest-rank percentile of the values of a clock-aligned window is healthy.

    `percentile` is 0 to 100: 0 is the minimum, 100 the maximum. With a `limit`, that is what the
    expectation compares with instead of its own. `beside_health` is as of a `ValueRule`: without,
    a window in which nobody gave any value is unknown.
    """

    expectation: Expectation
    percentile: int
    window: timedelta
    min_samples: int
    on_insufficient: OnInsufficient
    at: str = ""
    limit: Baseline | None = None
    beside_health: bool = False


WindowRule = LatencyRule | ValueWindowRule
OverTime = WindowRule | RateRule
"""Rules on more than one sample: only scheduled ones count for them, and nothing is retried."""

Rule = HealthRule | HeadersRule | DriftRule | CertificateRule | ValueRule | OverTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One judgement of an endpoint: `id` is `endpoint.check`, such as `api.latency.p95`.

    `fingerprint` changes when the request or the rule changes, and with it the counts restart.
    `target` is what is shown of what its endpoint asks, and where. With more openings in an hour
    than `flapping_threshold` it is flapping; None lets each be told.
    """

    id: str
    endpoint: str
    service: str
    signal: Signal
    rule: Rule
    severity: Severity
    failure_threshold: FailureThreshold
    success_threshold: int
    fingerprint: str
    target: str = ""
    flapping_threshold: int | None = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One thing that is requested once per interval; the answer is judged by each of its checks.

    `target` is what is shown (a URL without secrets). `witnessed` says whether the witnesses are
    asked when it gives no answer, `preflight` whether a foreign origin asks besides, for a check
    that judges what it may do. `beats` says by which schedule its pings are expected, empty where
    nothing is heard and everything asked.
    """

    name: str
    service: str
    kind: str
    target: str
    every: timedelta
    retry_every: timedelta
    timeout: timedelta
    checks: tuple[Check, ...]
    tags: frozenset[str] = frozenset()
    witnessed: bool = True
    preflight: bool = False
    beats: str = ""
