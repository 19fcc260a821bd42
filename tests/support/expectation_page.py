"""Writes docs/expectations.md: the table of sources, and what each says of a real failure.

Run `python -m tests.support.expectation_page` in the repository after a message has changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from monitor.core.expectations import HTTP_SOURCES, Evidence, Source, check, compile_expectation
from monitor.core.expectations.sources import SOURCES
from monitor.core.model.observation import Certificate, Hop, Observation

if TYPE_CHECKING:
    from monitor.core.expectations.facet import Facet

PAGE: Final = Path(__file__).parents[2] / "docs" / "expectations.md"
NOON: Final = datetime(2026, 7, 1, 12, tzinfo=UTC)
SCHEMA: Final = '{"required": ["status"], "properties": {"queue": {"maximum": 100}}}'

INTRODUCTION: Final = """\
# Expectations

<!-- Written by tests/support/expectation_page.py: change that, and run it. -->

An expectation says what is healthy: a source, then an operator. An endpoint's `health` takes a
list of them, and all have to hold. All mistakes in them are told when the configuration is read,
with file, line and column.

```yaml
endpoints:
  api:
    url: https://api.shop.example/health
    health:
      expect:
        - status: 200
        - json: $.database.status
          equals: connected
        - json: $.deps[*].ms
          every: {lt: 100}
        - response_time: {lt: 800ms}
```

## Sources

{sources}

Without an expectation on the `status`, 2xx stays required; where the status (or the `rcode`) is
wrong, nothing else of the answer is judged. `json` takes a JSONPath of RFC 9535, `html` a CSS
selector; what is compared is the text of the element as a person reads it, with one space between
words. A `json_schema` is a file beside the configuration file that names it (draft 2020-12, or the
one that its `$schema` names), and is read with the configuration; it may refer to nothing outside
of itself, and its patterns are in RE2 syntax. `redirect.to` is the final URL. `response_size`
counts the bytes of the decoded body. `dns_answer` is what the records of the answer say,
`dns_records` are whole records, a line each, as `dig` writes them; a section without records is one
empty line.

## Operators

| operator | holds for |
|---|---|
| `equals` | the same value: `5` is `5.0`, but `"5"` and `true` are neither |
| `in` | one of a list of values |
| `lt` `lte` `gt` `gte` | a number, duration or size below, at most, above, at least |
| `between` | from the lowest to the highest that is healthy, both included |
| `contains` | a text with this in it; of `json` also an array with this item |
| `starts_with` `ends_with` | a text that begins or ends so |
| `matches` | a text in which a regular expression (RE2 syntax) finds something |
| `is_empty` | a text, array or object with nothing in it |
| `type` | `string` `number` `boolean` `null` `array` or `object` |
| `exists` | anything at all, also null; `exists: false` nothing |
| `count` | so many values: `count: 3`, `count: {gte: 1}` |
| `every` `any` | all values, or one of them: `every: {lt: 100}` |

Each but the last three lines has a `not_` form: `not_contains`, `not_matches`, `not_in`. Several
operators beside each other have to hold together.

What is decided, so that nobody has to guess:

- A value of another type fails, in the `not_` form as well: nothing is converted.
- Null is not absent. On what is absent every operator fails but `exists` and `count`. Beside a
  `header`, a `json` path or an `html` selector, `optional: true` lets it be absent.
- An operator on one value needs exactly one; for several, write `every` or `any`. Of repeated
  header lines, and of the lines of `dns_records`, one that matches is enough, and the `not_` form
  needs none to match.
- `every` and `any` fail where there is no value at all.
- NaN, Infinity, a key twice and data after the end are not JSON. NaN that another kind of probe
  brings is neither below nor above anything.
- A body above `request.body_limit` is cut. That fails only what would need the rest: any JSON, a
  `not_` form, `ends_with`, `exists: false` and `count` of elements.

## Figures: `value` and `failure_rate`

```yaml
endpoints:
  queue:
    url: https://api.shop.example/metrics.json
    every: 15s
    value: {json: $.queue.length, lt: 1000, failure_threshold: 3}   # three in a row
  cpu:
    url: https://app.shop.example/load.json
    every: 30s
    value: {json: $.cpu, lte: 70, window: 10m, statistic: min, failure_threshold: 1}
  api:
    url: https://api.shop.example/health
    every: 10s
    failure_rate: {lt: 5%, over: 5m, min_samples: 20, severity: critical}
```

- `value` is a check of its own, with its own threshold and severity. The figure is the `value` that
  the probe brought, what stands at `json`, or in each row what stands in `column`: then no rows are
  healthy, and the alert names the worst rows by their other columns. Operators are `lt` `lte` `gt`
  `gte` `between` and `equals`; a ratio may be written `5%`, and seconds as a duration: `30s`, `1h`.
- With `window` the values between two ticks of the clock are judged once, when it closes, by one
  of them: `statistic` is `min`, `p50` (where nothing is said), `p95`, `p99` or `max`. `min_samples`
  (20) and `on_insufficient` (`hold`) are those of latency windows.
- A limit may follow from what is usual, of latencies (`lt: {baseline: 1.5x, over: 7d, plus: 50ms}`)
  as of values in windows (`gt: {baseline: 0.5x, over: 7d}`): half as much again as the median of
  the windows of a week, plus 50 ms; or half of it. It waits until a hundred windows are known, or
  half of those that the time holds. What is usual stands still while the check alerts, and from a
  deploy until it is certified, has failed, or is a day old; windows that failed are no part of it.
  The factor and `plus` may be changed without learning anew.
- Where what carries the figure does not answer, or answers 5xx, the verdict is unknown: that is a
  matter of `health`.
- `failure_rate` is the share of failed `health` verdicts in the time `over`, up to now. It waits
  below `min_samples`, and opens at the first share that is too high: its `failure_threshold` is 1
  where nothing is said.
- Windows and rates count scheduled probes only, and go on after a restart and from one
  `--cycles 1` to the next.

## What a failure says

Each of these is what really is said of such an answer; in the results, `expected` and `found` are
there by themselves as well, and `at` names the line of the configuration.
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One expectation, as it is written, and an answer that does not meet it."""

    written: str
    seen: dict[str, Any] = field(default_factory=dict)


def _json(value: object) -> dict[str, Any]:
    return {"body": json.dumps(value).encode()}


_HOP: Final = Hop(url="http://shop.example/", status=301, location="/login")
_CERTIFICATE: Final = Certificate(
    subject="CN=shop.example",
    issuer="CN=R11,O=Let's Encrypt,C=US",
    subject_alternative_names=("shop.example",),
    serial_number="03ab",
    fingerprint_sha256="ab" * 32,
    not_before=NOON - timedelta(days=81),
    not_after=NOON + timedelta(days=9),
    earliest_not_after=NOON + timedelta(days=9),
    verified=True,
)
_DEPS: Final = _json({"deps": [{"ms": 20}, {"ms": 250}]})
_ROWS: Final = {
    "values": {
        "rows": [
            {"client_id": "acme", "failed": 3},
            {"client_id": "globex", "failed": 12},
        ]
    }
}
_CUT: Final = {"body": b"<h1>Shop</h1>", "body_truncated": True}

CASES: Final = (
    Case(written="status: 200", seen={"status": 500}),
    Case(written="status: {in: [200, 204]}", seen={"status": 404}),
    Case(written="{header: content-type, contains: json}"),
    Case(
        written="{header: content-type, contains: json}",
        seen={"headers": (("Content-Type", "text/html"),)},
    ),
    Case(
        written="{header: x-powered-by, exists: false}",
        seen={"headers": (("X-Powered-By", "PHP/8.1"),)},
    ),
    Case(written="body: {contains: Welcome}", seen={"body": b"Down for maintenance"}),
    Case(
        written="body: {not_matches: 'Traceback|Fatal error'}",
        seen={"body": b"<p>Something went wrong. Traceback (most recent call last)"},
    ),
    Case(written="body: {not_contains: Error}", seen=_CUT),
    Case(written="{json: $.status, equals: ok}", seen=_json({"status": "down"})),
    Case(written="{json: $.status, equals: ok}", seen=_json({"state": "ok"})),
    Case(written="{json: $.status, equals: ok}", seen=_json({"status": None})),
    Case(written="{json: $.queue, lt: 100}", seen=_json({"queue": "7"})),
    Case(written="{json: $.queue, lt: 100}", seen={"body": b"<html>Bad gateway</html>"}),
    Case(written="{json: $.queue, lt: 100}", seen={"body": b'{"queue": NaN}'}),
    Case(written="{json: '$.deps[*].ms', lt: 100}", seen=_DEPS),
    Case(written="{json: '$.deps[*].ms', every: {lt: 100}}", seen=_DEPS),
    Case(written="{json: '$.deps[*].ms', count: {gte: 3}}", seen=_DEPS),
    Case(written="{json: $.error, exists: false}", seen=_json({"error": None})),
    Case(written="json_schema: schemas/health.json", seen=_json({"queue": 7})),
    Case(written="json_schema: schemas/health.json", seen=_json({"status": 1, "queue": 700})),
    Case(written="{html: 'main > h1', equals: Welcome}", seen={"body": b"<main><h1>Sorry</h1>"}),
    Case(written="{html: 'div#live-stream', exists: true}", seen={"body": b"<main></main>"}),
    Case(written="{html: .error, exists: false}", seen=_CUT),
    Case(written="response_time: {lt: 800ms}", seen={"duration": timedelta(seconds=2)}),
    Case(written="response_size: {lt: 1KiB}", seen={"body": b"x" * 2048}),
    Case(
        written="redirect: {to: 'https://shop.example/', hops: {lte: 2}}",
        seen={"url": "https://shop.example/login", "redirects": (_HOP,)},
    ),
    Case(written="redirect: {hops: 0}", seen={"redirects": (_HOP,)}),
    Case(written="certificate: {expires_in: {gt: 14d}}", seen={"certificate": _CERTIFICATE}),
    Case(
        written="certificate: {issuer: {contains: Internal CA}}",
        seen={"certificate": _CERTIFICATE},
    ),
    Case(written='http_version: "2"', seen={"http_version": "1.1"}),
    Case(written="value: {lt: 10}", seen={"values": {"value": 12}}),
    Case(written="value: {lt: 10}", seen={"values": {"value": None}}),
    Case(written="rows: {count: 0}", seen=_ROWS),
    Case(written="rows: {every: {column: failed, lt: 10}}", seen=_ROWS),
    Case(
        written="dns_answer: {any: {equals: 192.0.2.1}}",
        seen={"values": {"dns_answer": ["192.0.2.7", "192.0.2.8"]}},
    ),
    Case(
        written="dns_answer: {exists: false}",
        seen={"values": {"dns_answer": []}, "body_truncated": True},
    ),
    Case(
        written="dns_records: {answer: {not_matches: '\\t192\\.0\\.2\\.'}}",
        seen={"values": {"dns_records": {"answer": ["shop.test.\t60\tIN\tA\t192.0.2.7"]}}},
    ),
    Case(
        written="dns_flags: {any: {equals: ad}}",
        seen={"values": {"dns_flags": ["qr", "rd", "ra"]}},
    ),
    Case(written="rcode: NOERROR", seen={"values": {"rcode": "NXDOMAIN"}}),
    Case(written="exit_code: 0", seen={"values": {"exit_code": 2}}),
    Case(written="output: {contains: done}", seen={"values": {"output": "disk full\n"}}),
    Case(
        written="console_errors: {count: 0}",
        seen={"values": {"console_errors": ["Uncaught TypeError: cart is undefined"]}},
    ),
    Case(
        written="failed_requests: {every: {not_contains: shop.example}}",
        seen={"values": {"failed_requests": ["https://shop.example/app.js answered 404"]}},
    ),
)


def page() -> str:
    """Give the whole page as it should be."""
    said = "\n".join(_tell(case) for case in CASES)

    return INTRODUCTION.replace("{sources}", _table()) + f"\n```text\n{said}```\n"


def message(case: Case) -> str:
    """Give what is said of the answer of a case."""
    seen = Observation(
        **{"at": NOON, "duration": timedelta(milliseconds=100), "status": 200, **case.seen}
    )
    raw = yaml.safe_load(case.written)
    reasons = [
        reason
        for one in compile_expectation(raw, "", read_file=lambda _: SCHEMA)
        if (reason := check(one, Evidence(seen))) is not None
    ]
    assert reasons, f"{case.written} is met"

    return reasons[0].message


def _tell(case: Case) -> str:
    return f"- {case.written}\n      {message(case)}\n"


def _table() -> str:
    lines = ["| source | what it is | operators | example |", "|---|---|---|---|"]
    for source, entry in SOURCES.items():
        facets = dict(entry.facets) if entry.facet is None else {"": entry.facet}
        for part, facet in facets.items():
            name = f"`{source}.{part}`" if part else f"`{source}`"
            lines.append(f"| {name} | {_what(source, facet)} | {_operators(facet)} | ")
            lines[-1] += f"`{entry.example}` |" if part in ("", next(iter(facets))) else "|"

    return "\n".join(lines)


def _what(source: Source, facet: Facet) -> str:
    named = SOURCES[source].named
    what = named.described.removesuffix(".") if named else facet.words
    also = "" if source in HTTP_SOURCES else " (not of HTTP)"

    return f"{what}{also}"


def _operators(facet: Facet) -> str:
    return " ".join(f"`{name}`" for name in facet.operators) or "alone"


if __name__ == "__main__":
    PAGE.write_text(page())
