"""Reading what a Prometheus answers to a query: a vector, a scalar, or why there is neither."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from monitor.core.expectations import Evidence
from monitor.core.expectations.json_body import BodyError
from monitor.core.expectations.shown import plain
from monitor.core.model.observation import Code, Fault
from monitor.probes._metrics.page import Sample
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.model.observation import Observation

MOST_ROWS: Final = 10_000

_NOT_LET_IN: Final = frozenset({401, 403})
_RANGES: Final = {
    "matrix": "a range of samples for each series: use rate(…) or last_over_time(…)",
    "string": "a text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a query; `warnings` are a Prometheus's own words about it."""

    samples: list[Sample]
    warnings: list[str] = field(default_factory=list)


def read_result(seen: Observation, peer: str) -> Result:
    """Read the answer to a query; raises Faulted where there is none."""
    try:
        document: Any = Evidence(seen).json()  # Any: JSON of the server's
    except BodyError as error:
        refuse_status(seen, peer)
        message = f"{peer} does not answer as a Prometheus does: its body {error}"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message)) from error

    match document:
        case {"status": "error"}:
            raise Faulted(_explain_error(document, seen, peer))
        case {"status": "success", "data": {"resultType": str(kind), "result": result}}:
            refuse_status(seen, peer)
            return Result(
                samples=_read_samples(kind, result, peer), warnings=_warnings_of(document)
            )

    refuse_status(seen, peer)
    message = f"{peer} does not answer as a Prometheus does: its JSON has no result"
    raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))


def refuse_status(seen: Observation, peer: str) -> None:
    """Raise Faulted unless the status is one of success."""
    status = seen.status or 0
    if 200 <= status <= 299:
        return

    code = Code.CREDENTIALS if status in _NOT_LET_IN else Code.STATUS
    raise Faulted(Fault(code=code, message=f"{peer} answers {status}, expected 2xx"))


def _explain_error(document: Mapping[str, Any], seen: Observation, peer: str) -> Fault:
    if seen.status in _NOT_LET_IN:
        return Fault(code=Code.CREDENTIALS, message=f"{peer} answers {seen.status}, expected 2xx")

    kind, said = document.get("errorType", "error"), document.get("error", "")
    message = f"{peer} refuses the query ({seen.status}): {plain(str(kind))}: {plain(str(said))}"

    return Fault(code=Code.QUERY, message=message)


def _read_samples(kind: str, result: object, peer: str) -> list[Sample]:
    match kind, result:
        case "vector", list():
            if len(result) > MOST_ROWS:
                message = f"the query gives more than {MOST_ROWS:,} series: aggregate them"
                raise Faulted(Fault(code=Code.QUERY, message=message))
            return [_read_sample(one, peer) for one in result]
        case "scalar", _:
            return [Sample(labels={}, value=_read_number(result, peer))]

    what = _RANGES.get(kind, f"a result of the type {plain(kind)}")
    message = f"the query gives {what}; expected one number for each series"
    raise Faulted(Fault(code=Code.QUERY, message=message))


def _read_sample(one: object, peer: str) -> Sample:
    match one:
        case {"metric": dict(labels), "value": pair}:
            told = {str(name): str(value) for name, value in labels.items()}
            return Sample(labels=told, value=_read_number(pair, peer))
        case {"histogram": _}:
            message = (
                "the query gives native histograms, expected numbers: "
                "use histogram_quantile(…), histogram_sum(…) or histogram_count(…)"
            )
            raise Faulted(Fault(code=Code.QUERY, message=message))

    raise Faulted(_explain_sample(peer))


def _read_number(pair: object, peer: str) -> float:
    match pair:
        case [_, str(text)] if len(text) <= 100 and "_" not in text:
            try:
                return float(text)
            except ValueError:
                pass

    raise Faulted(_explain_sample(peer))


def _explain_sample(peer: str) -> Fault:
    message = f"{peer} does not answer as a Prometheus does: a sample has no number"

    return Fault(code=Code.BAD_RESPONSE, message=message)


def _warnings_of(document: Mapping[str, Any]) -> list[str]:
    warnings = document.get("warnings")

    return [plain(str(one)) for one in warnings[:10]] if isinstance(warnings, list) else []
