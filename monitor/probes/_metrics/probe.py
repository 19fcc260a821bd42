"""Observes one figure: an HTTP request, and what is read out of the answer to it."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault, Measure
from monitor.options import format_address
from monitor.probes._http.probe import HttpProbe
from monitor.probes._metrics.figures import Counters, aggregate, divide, plain_number
from monitor.probes._metrics.page import read_page
from monitor.probes._metrics.prometheus import MOST_ROWS, read_result, refuse_status
from monitor.probes._net.faults import Faulted
from monitor.probes._net.look import explain_bug

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.model.observation import Observation
    from monitor.probes._metrics.options import MetricsOptions
    from monitor.probes._metrics.page import Sample
    from monitor.probes._metrics.selector import Selector
    from monitor.probes.probe import ProbeContext

_NOT_YET: Final = "a rate needs a second look"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was found: one figure, or the samples of which each stands for itself."""

    figure: float | None = None
    rows: Sequence[Sample] = ()
    samples: int = 0
    not_yet: str = ""
    warnings: Sequence[str] = ()


class MetricsProbe:
    """Asks for one figure; it remembers counters from one look to the next."""

    def __init__(self, options: MetricsOptions, context: ProbeContext) -> None:
        url = options.shown
        self._options = options
        self._peer = format_address(url.host or "", url.port or 0)
        self._http = HttpProbe(options.asked, replace(context, preflight=False))
        self._above = Counters()
        self._below = Counters()

    async def observe(self) -> Observation:
        """Ask once, and read the answer."""
        seen = await self._http.observe()
        # a page is large, and nothing of it is asked for again
        lean = replace(seen, url=self._options.target, body=b"", body_truncated=False)
        if seen.fault is not None:
            return lean

        try:
            found = self._read(seen)
        except Faulted as error:
            return replace(lean, fault=error.fault)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not look like the target's
            return replace(lean, fault=explain_bug(error, self._options.target))

        return self._tell(lean, found)

    async def close(self) -> None:
        """Hold nothing: each observation gives back what it used."""
        await self._http.close()

    def _read(self, seen: Observation) -> _Found:
        options = self._options
        if options.series is None:
            result = read_result(seen, self._peer)
            if not result.samples and result.warnings:
                message = f"{self._peer} gives no result, and warns: {result.warnings[0]}"
                raise Faulted(Fault(code=Code.QUERY, message=message))
            return _Found(
                rows=result.samples, samples=len(result.samples), warnings=result.warnings
            )

        refuse_status(seen, self._peer)
        self._refuse_other_than_pages(seen)
        now = asyncio.get_running_loop().time()
        above = self._samples(seen, options.series, self._above, now)
        below: Sequence[Sample] | None = ()
        if options.divided_by is not None:
            below = self._samples(seen, options.divided_by, self._below, now)
        if above is None or below is None:
            return _Found(not_yet=_NOT_YET)

        if options.divided_by is not None:
            return _Found(figure=divide(above, below), samples=len(above))
        if options.aggregate is not None:
            return _Found(figure=aggregate(options.aggregate, above), samples=len(above))
        if len(above) > MOST_ROWS:
            many = f"{options.series} are more than {MOST_ROWS:,} series: aggregate them"
            raise Faulted(Fault(code=Code.QUERY, message=many))

        return _Found(rows=above, samples=len(above))

    def _samples(
        self, seen: Observation, selector: Selector, counters: Counters, now: float
    ) -> Sequence[Sample] | None:
        samples = read_page(seen.body, selector)
        if not self._options.rate:
            return samples

        return counters.rates(samples, now)

    def _refuse_other_than_pages(self, seen: Observation) -> None:
        """Raise Faulted where the answer cannot be an exposition page, or is cut off."""
        types = seen.header("content-type")
        kind = types[-1].partition(";")[0].strip().lower() if types else ""
        if kind in ("text/html", "application/json", "application/vnd.google.protobuf"):
            message = f"{self._peer} answers {kind}, expected an exposition page of metrics"
            raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))
        if seen.body_truncated:
            message = (
                f"the page of {self._peer} was cut after {len(seen.body)} bytes, "
                "raise request.body_limit"
            )
            raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))

    def _tell(self, lean: Observation, found: _Found) -> Observation:
        """Write down what was found."""
        values: dict[str, object] = {
            "rows": [
                {**sample.labels, "value": plain_number(sample.value)} for sample in found.rows
            ]
        }
        if found.warnings:
            values["warnings"] = list(found.warnings)
        measures = [Measure(family="probe_metrics_samples", value=float(found.samples))]

        figure = self._figure(found)
        if isinstance(figure, list):
            values["value"] = figure
        elif figure is not None:
            values["value"] = plain_number(figure)
            measures.append(Measure(family="probe_metrics_value", value=float(figure)))
        if hint := self._hint(found, figure):
            values["hint"] = hint

        return replace(
            lean,
            values=MappingProxyType(values),
            measures=tuple(measures),
            not_yet=found.not_yet,
        )

    def _hint(self, found: _Found, figure: float | list[int | float] | None) -> str:
        """Say why there is no one figure, and what to write; nothing where there is one."""
        series = self._options.series
        if isinstance(figure, list):
            way = "aggregate them in the query" if series is None else "write aggregate"
            return f"{len(figure)} samples, {way}, or judge each by value: {{column: value}}"
        if figure is not None or found.not_yet:
            return ""
        if series is None:
            return "the query found nothing"

        # of nothing above another series the figure is 0
        return f"no sample of {self._options.divided_by or series} on the page"

    def _figure(self, found: _Found) -> float | list[int | float] | None:
        """Give the one figure, a list where there are several, None where there is none."""
        if len(found.rows) > 1:
            return [plain_number(sample.value) for sample in found.rows]

        figure = found.rows[0].value if found.rows else found.figure
        if figure is None or math.isnan(figure):
            return figure if self._options.empty is None else float(self._options.empty)

        return figure
