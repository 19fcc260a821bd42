"""The tree of settings: every key that may be written, its type and its default."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final, Self

from pydantic import Field, WrapValidator, model_validator

from monitor.config.section import Section
from monitor.config.settings_fields import (
    Count,
    FactorValue,
    FlappingThreshold,
    Interval,
    LatencyLimit,
    LimitValue,
    Line,
    Listen,
    Name,
    OnInsufficientName,
    OpenedName,
    Pause,
    Peer,
    PercentileName,
    RatioValue,
    Retention,
    ScopeName,
    SeverityName,
    Span,
    Statistic,
    StatisticName,
    Threshold,
    ValueLimit,
    WebUrl,
    WindowLength,
)
from monitor.config.settings_rollback import RemedySettings, RollbackSettings
from monitor.config.settings_routes import TargetsSettings
from monitor.core.model.endpoint import (
    InARow,
    OnInsufficient,
    Severity,
)
from monitor.fields import SecretText
from monitor.options import is_loopback

VALUE_OPERATORS: Final = ("lt", "lte", "gt", "gte", "between", "equals")
DEFAULT_TIMEOUT: Final = timedelta(seconds=10)


class TokenSettings(Section):
    """One bearer token, its owner's name and what it allows."""

    name: Name
    scope: ScopeName
    token: SecretText


class WebSection(Section):
    """Where the HTTP interface listens, and who may read and change what."""

    listen: Listen = ("127.0.0.1", 9797)
    tokens: list[TokenSettings] = Field(default_factory=list)
    open: list[OpenedName] = Field(default_factory=list)
    public_url: WebUrl | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.listen[0])


class Defaults(Section):
    """What endpoints and checks take where they say nothing themselves.

    `timeout` left out is 10s, or the interval where that is shorter.
    """

    every: Interval = timedelta(seconds=30)
    retry_every: Interval = timedelta(seconds=10)
    timeout: Span | None = None
    failure_threshold: Threshold = InARow(count=3)
    success_threshold: Count = 2
    flapping_threshold: FlappingThreshold = 6
    severity: SeverityName = Severity.HIGH


class WitnessSettings(Section):
    """Something that is up unless the monitor itself is cut off: a TCP port or a URL."""

    tcp: Peer | None = None
    url: WebUrl | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.tcp is None) == (self.url is None):
            raise ValueError("expected exactly one of tcp, url")

        return self


class TopSection(Section):
    """The keys of the whole configuration; the larger parts are read one by one."""

    include: list[str] = Field(default_factory=list)
    environment: Line = ""
    location: Line = ""
    store: str | None = None
    retention: Retention = timedelta(days=90)
    # Any: each of these is read by its own model, item by item
    web: Any = None
    defaults: Any = None
    witnesses: Any = None
    notifiers: Any = None
    services: Any = None
    endpoints: Any = None
    maintenance: Any = None
    routes: Any = None


class CheckSettings(Section):
    """What every check has: its thresholds and its severity; left out, the defaults hold."""

    failure_threshold: Threshold | None = None
    success_threshold: Count | None = None
    severity: SeverityName | None = None


class HealthSettings(CheckSettings):
    """Whether an endpoint answers as it should; without `expect`, with a status of 2xx."""

    expect: list[Any] = Field(default_factory=list)  # Any: the core reads expectations


class HeadersSettings(CheckSettings):
    """Which header policies an answer meets, and what else holds for its header lines.

    With `pin`, those that say a policy are held against the ones that were accepted.
    """

    policies: list[Any] = Field(default_factory=list)  # Any: the core reads policies
    expect: list[Any] = Field(default_factory=list)  # Any: the core reads expectations
    pin: bool = False

    @model_validator(mode="after")
    def _check_something(self) -> Self:
        if not self.policies and not self.expect and not self.pin:
            raise ValueError("expected policies, expect or pin: there is nothing to check")

        return self


class BaselineSettings(Section):
    """A limit that follows from what is usual: so many times the median of earlier windows.

    It is read where `lt` or `lte` holds a map.
    """

    baseline: FactorValue
    over: Span = timedelta(days=7)
    plus: Pause = timedelta()


class ValueBaselineSettings(BaselineSettings):
    """The same for a value: what is added is a number."""

    plus: LimitValue = 0.0  # type: ignore[assignment]  # another kind of sample


class LatencySettings(CheckSettings):
    """What a percentile of the durations in a window stays below."""

    lt: LatencyLimit | None = None
    lte: LatencyLimit | None = None
    window: WindowLength = timedelta(minutes=5)
    min_samples: Count = 20
    on_insufficient: OnInsufficientName = OnInsufficient.HOLD

    @model_validator(mode="after")
    def _check_one_limit(self) -> Self:
        if (self.lt is None) == (self.lte is None):
            raise ValueError("expected exactly one of lt, lte")

        return self


class FailureRateSettings(CheckSettings):
    """Which share of the health verdicts in a sliding time may fail."""

    lt: RatioValue | None = None
    lte: RatioValue | None = None
    over: WindowLength = timedelta(minutes=5)
    min_samples: Count = 20

    @model_validator(mode="after")
    def _check_one_limit(self) -> Self:
        if (self.lt is None) == (self.lte is None):
            raise ValueError("expected exactly one of lt, lte")
        if self.lt == 0:
            raise ValueError("no share is less than 0%: expected lte: 0%, or a higher limit")
        if self.lte == 1:
            raise ValueError("no share is more than 100%: it would never count")

        return self


class ValueSettings(CheckSettings):
    """What the value that a probe brings has to be; over a window, a percentile of the values.

    Without `column` or `json` it is the one value of the answer.
    """

    column: Line | None = None
    json_path: Annotated[str, Field(min_length=1)] | None = Field(default=None, alias="json")
    lt: ValueLimit | None = None
    lte: ValueLimit | None = None
    gt: ValueLimit | None = None
    gte: ValueLimit | None = None
    between: list[LimitValue] | None = None
    equals: Any = None  # Any: the core reads what it is compared with
    window: WindowLength | None = None
    statistic: StatisticName = Statistic.P50
    min_samples: Count = 20
    on_insufficient: OnInsufficientName = OnInsufficient.HOLD

    @model_validator(mode="after")
    def _check_meant(self) -> Self:
        if not self.operators:
            raise ValueError(f"expected what is healthy: one of {', '.join(VALUE_OPERATORS)}")
        if self.column is not None and self.json_path is not None:
            raise ValueError("expected only one of column, json")
        if self.column is not None and self.window is not None:
            raise ValueError("a window is of one value, not of a column: remove one of them")
        follows = [name for name, limit in self.operators.items() if isinstance(limit, dict)]
        if follows and self.window is None:
            raise ValueError("a baseline is what windows usually are: expected window as well")
        if follows and len(self.operators) > 1:
            raise ValueError(f"expected {follows[0]} alone: it follows from what is usual")
        alone = self.model_fields_set & {"statistic", "min_samples", "on_insufficient"}
        if alone and self.window is None:
            raise ValueError(f"{min(alone)} is about a window: expected window as well")

        return self

    @property
    def operators(self) -> dict[str, Any]:
        """What is healthy, as it is written in an expectation; a map is a baseline."""
        return {
            name: getattr(self, name) for name in VALUE_OPERATORS if name in self.model_fields_set
        }


class AgeSettings(Section):
    """For how long a certificate still has to be valid."""

    gt: Span | None = None
    gte: Span | None = None

    @model_validator(mode="after")
    def _check_one_limit(self) -> Self:
        if (self.gt is None) == (self.gte is None):
            raise ValueError("expected exactly one of gt, gte")

        return self


class CertificateSettings(CheckSettings):
    """How soon the certificate may expire."""

    expires_in: AgeSettings


def _read_health(value: object, read: Any) -> Any:
    if value is False:
        return None
    if not isinstance(value, dict):
        raise ValueError("expected false, or a map such as {expect: [{status: 200}]}")

    return read(value)


class EndpointSettings(Section):
    """What every endpoint has, whatever kind of probe asks it."""

    service: Name | None = None
    every: Interval | None = None
    retry_every: Interval | None = None
    timeout: Span | None = None
    tags: list[Name] = Field(default_factory=list)
    witnesses: bool = True
    health: Annotated[HealthSettings | None, WrapValidator(_read_health)] = HealthSettings()
    headers: HeadersSettings | None = None
    failure_rate: FailureRateSettings | None = None
    value: ValueSettings | None = None
    latency: dict[PercentileName, LatencySettings] = Field(default_factory=dict)
    certificate: CertificateSettings | None = None


class VersionSettings(Section):
    """Where an answer tells which version is live: a header, or a JSONPath into the body."""

    endpoint: Name
    header: Line | None = None
    json_path: Annotated[str, Field(min_length=1)] | None = Field(default=None, alias="json")

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.header is None) == (self.json_path is None):
            raise ValueError("expected exactly one of header, json")

        return self


class ServiceSettings(Section):
    """Who is called for a service, where to look, its live version, and what is tried for it."""

    description: str = ""
    contacts: dict[Name, Line] = Field(default_factory=dict)
    runbook: WebUrl | None = None
    links: dict[Name, WebUrl] = Field(default_factory=dict)
    depends_on: list[Name] = Field(default_factory=list)
    checklist: Any = None  # Any: it is read by its own model
    evidence: list[Any] = Field(default_factory=list)  # Any: each is read by its own model
    targets: TargetsSettings = TargetsSettings()
    version: VersionSettings | None = None
    rollback: RollbackSettings | None = None
    remedy: RemedySettings | None = None
