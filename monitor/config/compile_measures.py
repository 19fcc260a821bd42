"""What is measured over time: latency, values and failure rates, from their settings to rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.model.endpoint import LatencyRule, RateRule, ValueRule, ValueWindowRule
from monitor.options import format_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from monitor.config.compile_rules import Rules
    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.config.settings import (
        FailureRateSettings,
        LatencySettings,
        Section,
        ValueSettings,
    )
    from monitor.config.settings_fields import Percentile
    from monitor.core.expectations import Source


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
        limit = settings.lt or settings.lte
        assert limit is not None
        self._check_span("window", settings.window, settings.min_samples, settings, at)
        if self.timed and limit > self.timeout:
            self.findings.complain(
                (*at, "lt" if settings.lt else "lte"),
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
        expectation = rules.value(settings, at, kind=kind, sources=sources)
        if expectation is None:
            return None
        if settings.window is None:
            return ValueRule(expectation=expectation, column=settings.column or "")

        self._check_span("window", settings.window, settings.min_samples, settings, at)

        return ValueWindowRule(
            expectation=expectation,
            percentile=settings.statistic.rank,
            window=settings.window,
            min_samples=settings.min_samples,
            on_insufficient=settings.on_insufficient,
            at=self._place(at),
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
