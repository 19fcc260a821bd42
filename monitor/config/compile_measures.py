"""What is measured over time: latency, values and failure rates, from their settings to rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.config.settings import BaselineSettings, ValueBaselineSettings
from monitor.config.settings_fields import LARGEST_FACTOR
from monitor.core.model.endpoint import Baseline, LatencyRule, RateRule, ValueRule, ValueWindowRule
from monitor.options import format_duration

if TYPE_CHECKING:
    from monitor.config.compile_rules import Rules
    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.config.section import Section
    from monitor.config.settings import (
        FailureRateSettings,
        LatencySettings,
        ValueSettings,
    )
    from monitor.config.settings_fields import Percentile
    from monitor.core.expectations import Source

_LEAST_WINDOWS: Final = 20
"""So many windows a baseline has to look back on: half of them make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Makes the rules of one endpoint on what is measured.

    `timed` says that its times are known to be meant: only then are others held against them.
    """

    findings: Findings
    every: timedelta
    timeout: timedelta
    timed: bool

    def latency(self, percentile: Percentile, settings: LatencySettings, at: At) -> LatencyRule:
        """Make the rule on a percentile of the durations in a window."""
        key = "lt" if settings.lt else "lte"
        limit = self._limit(settings.lt or settings.lte, settings.window, (*at, key))
        self._check_span("window", settings.window, settings.min_samples, settings, at)
        if self.timed and isinstance(limit, timedelta) and limit > self.timeout:
            self.findings.complain(
                (*at, key),
                f"a limit of {format_duration(limit)} can never be exceeded: "
                f"the timeout is {format_duration(self.timeout)}",
            )

        return LatencyRule(
            percentile=percentile.rank,
            limit=limit,
            inclusive=settings.lte is not None,
            window=settings.window,
            min_samples=settings.min_samples,
            on_insufficient=settings.on_insufficient,
            at=self._place(at),
        )

    def _limit(self, raw: object, window: timedelta, at: At) -> timedelta | Baseline:
        """Read a limit that may follow from what is usual."""
        if isinstance(raw, timedelta):
            return raw

        return self._baseline(BaselineSettings, raw, window, at) or self.timeout

    def _baseline(
        self, model: type[BaselineSettings], raw: object, window: timedelta, at: At
    ) -> Baseline | None:
        settings = self.findings.read(model, raw, at)
        if settings is None:
            return None

        above = str(at[-1]).startswith("g")
        least, most = (1 / LARGEST_FACTOR, 1) if above else (1, LARGEST_FACTOR)
        if not least <= settings.baseline <= most:
            self.findings.complain(
                (*at, "baseline"),
                f"expected {least:g}x to {most}x, found {settings.baseline:g}x",
            )
        if settings.over < _LEAST_WINDOWS * window:
            self.findings.complain(
                at,
                f"{format_duration(settings.over)} hold {settings.over // window} windows of "
                f"{format_duration(window)}, expected at least {_LEAST_WINDOWS}: make over "
                f"{format_duration(_LEAST_WINDOWS * window)} or longer",
            )

        return Baseline(factor=settings.baseline, over=settings.over, plus=settings.plus)

    def failure_rate(self, of: str, settings: FailureRateSettings, at: At) -> RateRule:
        """Make the rule on the share of verdicts of another check that failed."""
        limit = settings.lt if settings.lt is not None else settings.lte
        assert limit is not None
        self._check_span("over", settings.over, settings.min_samples, settings, at)

        return RateRule(
            of=of,
            limit=limit,
            inclusive=settings.lte is not None,
            over=settings.over,
            min_samples=settings.min_samples,
            at=self._place(at),
        )

    def value(
        self,
        settings: ValueSettings,
        at: At,
        *,
        rules: Rules,
        kind: str,
        sources: frozenset[Source],
    ) -> ValueRule | ValueWindowRule | None:
        """Make the rule on a value that a probe brings, or on the values in a window."""
        follows = {
            name: limit for name, limit in settings.operators.items() if isinstance(limit, dict)
        }
        settings = settings.model_copy(update=dict.fromkeys(follows, 0.0))
        expectation = rules.value(settings, at, kind=kind, sources=sources)
        if expectation is None:
            return None
        if settings.window is None:
            return ValueRule(expectation=expectation, column=settings.column or "")

        self._check_span("window", settings.window, settings.min_samples, settings, at)
        limits = [
            self._baseline(ValueBaselineSettings, limit, settings.window, (*at, name))
            for name, limit in follows.items()
        ]

        return ValueWindowRule(
            expectation=expectation,
            percentile=settings.statistic.rank,
            window=settings.window,
            min_samples=settings.min_samples,
            on_insufficient=settings.on_insufficient,
            at=self._place(at),
            limit=next(iter(limits), None),
        )

    def _check_span(
        self, key: str, span: timedelta, min_samples: int, settings: Section, at: At
    ) -> None:
        """Refuse a span of time that cannot hold the samples that it takes to judge it."""
        holds = span // self.every
        if holds >= min_samples or not self.timed:
            return

        written = next(
            (one for one in ("min_samples", key) if one in settings.model_fields_set), None
        )
        needed = format_duration(self.every * min_samples)
        what = "a window of" if key == "window" else "over"
        self.findings.complain(
            (*at, written) if written else at,
            f"{what} {format_duration(span)} holds {holds} samples at one every "
            f"{format_duration(self.every)}, expected at least {min_samples}: "
            f"make it {needed} or longer, or lower min_samples",
        )

    def _place(self, at: At) -> str:
        return str(self.findings.document.position(at))
