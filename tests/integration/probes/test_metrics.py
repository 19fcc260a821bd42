"""The kind `metrics`: figures of a page and of a real Prometheus, and what is no figure."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError

from monitor.core.expectations import compile_expectation
from monitor.core.judge import judge
from monitor.core.model.endpoint import ValueRule
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from tests.support.http_probe import make_context
from tests.support.judging import make_check
from tests.support.probing import ask, measured
from tests.support.prometheus import serve_prometheus
from tests.support.servers import page, serve_pages, unused_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitor.core.model.endpoint import Check

TEXT = {"content-type": CONTENT_TYPE_LATEST}
PAGE = b"""\
http_requests_total{code="200"} 970
http_requests_total{code="500"} 20
http_requests_total{code="503"} 10
db_pool_in_use{pool="main"} 17
process_resident_memory_bytes 3.5e+08
nothing_yet NaN
"""


def value(column: str = "", **operators: Any) -> Check:
    raw = {"rows": {"column": column, **operators}} if column else {"value": operators}
    (expectation,) = compile_expectation(raw, "")

    return make_check(ValueRule(expectation=expectation, column=column))


class Changing:
    """A page that says what it is told to, and remembers how it was asked."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.asked: list[Mapping[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers)
        return web.Response(body=self.text, headers=TEXT)


async def look(text: bytes = PAGE, **options: Any) -> Any:
    async with serve_pages({"/metrics": page(text, headers=TEXT)}) as app:
        return await ask("metrics", {"url": app.url("/metrics"), **options})


# A page


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"series": "process_resident_memory_bytes"}, 350_000_000),
        ({"series": 'http_requests_total{code="500"}'}, 20),
        ({"series": "http_requests_total"}, [970, 20, 10]),
        ({"series": "http_requests_total", "aggregate": "sum"}, 1000),
        ({"series": "http_requests_total", "aggregate": "max"}, 970),
        ({"series": "http_requests_total", "aggregate": "min"}, 10),
        ({"series": "http_requests_total", "aggregate": "avg"}, 1000 / 3),
        ({"series": "http_requests_total", "aggregate": "count"}, 3),
        ({"series": "absent", "aggregate": "count"}, 0),
        ({"series": "absent", "empty": 0}, 0),
        ({"series": "nothing_yet", "empty": 5}, 5),
        (
            {
                "series": 'http_requests_total{code=~"5.."}',
                "divided_by": "http_requests_total",
            },
            0.03,
        ),
        (
            {
                "series": 'http_requests_total{code="418"}',
                "divided_by": "http_requests_total",
            },
            0,
        ),
    ],
    ids=str,
)
async def test_a_series_of_a_page_is_the_value(options: dict[str, Any], found: object) -> None:
    seen = await look(**options)

    assert seen.fault is None
    assert seen.values["value"] == pytest.approx(found)
    assert seen.body == b""
    if not isinstance(found, list):
        assert measured(seen, "probe_metrics_value") == pytest.approx(found)


@pytest.mark.parametrize(
    "options",
    [
        {"series": "absent"},
        {"series": "absent", "aggregate": "sum"},
        {"series": "http_requests_total", "divided_by": "absent"},
    ],
    ids=str,
)
async def test_what_is_not_on_the_page_is_absent(options: dict[str, Any]) -> None:
    seen = await look(**options)

    (reason,) = judge(value(lt=5), seen).reasons
    assert "value" not in seen.values
    assert (
        reason.message == "value is absent, expected less than 5: no sample of absent on the page"
    )


async def test_what_is_not_a_number_meets_nothing() -> None:
    seen = await look(series="nothing_yet")

    (reason,) = judge(value(lt=5), seen).reasons
    assert math.isnan(seen.values["value"])
    assert reason.message == "value is NaN, expected less than 5"


async def test_several_series_are_rows_and_no_single_value() -> None:
    seen = await look(series="http_requests_total")

    (single,) = judge(value(lt=5), seen).reasons
    (worst,) = judge(value(column="value", lt=100), seen).reasons
    assert single.message == (
        "value is an array, [970, 20, 10], expected a number less than 5: "
        "3 samples, write aggregate, or judge each by value: {column: value}"
    )
    assert worst.message == 'value is 970 for code "200" (1 of 3 rows), expected less than 100'


async def test_a_rate_needs_two_looks_and_waits_for_the_second() -> None:
    registry = CollectorRegistry()
    served = Counter("served", "Requests.", ["code"], registry=registry)
    served.labels("200").inc(1000)
    metrics = Changing(generate_latest(registry))
    async with serve_pages({"/metrics": metrics.answer}) as app:
        options = KINDS["metrics"].options.model_validate(
            {
                "url": app.url("/metrics"),
                "series": 'served_total{code="500"}',
                "divided_by": "served_total",
                "rate": True,
            }
        )
        probe = KINDS["metrics"].make(options, make_context())
        first = await probe.observe()
        served.labels("200").inc(90)
        served.labels("500").inc(10)
        metrics.text = generate_latest(registry)
        second = await probe.observe()
        again = await probe.observe()
        served.clear()
        served.labels("200").inc(30)
        metrics.text = generate_latest(registry)
        restarted = await probe.observe()
        await probe.close()

    waiting = judge(value(lt=0.01), first)
    assert (waiting.outcome, waiting.note) == (Outcome.WAITING, "a rate needs a second look")
    assert second.values["value"] == pytest.approx(0.1)
    assert math.isnan(again.values["value"]), "nothing was served in between"
    assert restarted.values["value"] == 0


async def test_a_rate_is_per_second() -> None:
    metrics = Changing(b"jobs_total 5\n")
    async with serve_pages({"/metrics": metrics.answer}) as app:
        options = KINDS["metrics"].options.model_validate(
            {"url": app.url("/metrics"), "series": "jobs_total", "rate": True}
        )
        probe = KINDS["metrics"].make(options, make_context())
        began = time.monotonic()
        await probe.observe()
        seen_once = time.monotonic()
        metrics.text = b"jobs_total 1005\n"
        asked_again = time.monotonic()
        second = await probe.observe()
        ended = time.monotonic()
        await probe.close()

    assert 1000 / (ended - began) <= second.values["value"] <= 1000 / (asked_again - seen_once)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (page(b"down", status=503), Code.STATUS, "answers 503, expected 2xx"),
        (page(b"", status=404), Code.STATUS, "answers 404, expected 2xx"),
        (page(b"", status=401), Code.CREDENTIALS, "answers 401, expected 2xx"),
        (
            page(b"<html>up 1</html>", headers={"content-type": "text/html; charset=utf-8"}),
            Code.BAD_RESPONSE,
            "answers text/html, expected an exposition page of metrics",
        ),
        (
            page(b"up one\n", headers=TEXT),
            Code.BAD_RESPONSE,
            'the page has a line that is no sample: "up one"',
        ),
        (
            page(b"up 1\n" + b"#" * 5000, headers=TEXT),
            Code.BAD_RESPONSE,
            "was cut after 4096 bytes, raise request.body_limit",
        ),
    ],
    ids=["503", "404", "401", "html", "a broken line", "too large"],
)
async def test_a_page_that_gives_nothing_says_nothing_about_the_value(
    answer: Any, code: Code, said: str
) -> None:
    async with serve_pages({"/metrics": answer}) as app:
        seen = await ask(
            "metrics",
            {"url": app.url("/metrics"), "series": "up", "request": {"body_limit": "4KiB"}},
        )

    verdict = judge(value(lt=5), seen)
    assert seen.fault is not None
    assert (seen.fault.code, verdict.outcome) == (code, Outcome.UNKNOWN)
    assert said in seen.fault.message


async def test_a_page_behind_credentials_is_asked_with_them() -> None:
    metrics = Changing(b"up 1\n")
    async with serve_pages({"/metrics": metrics.answer}) as app:
        await ask(
            "metrics",
            {
                "url": app.url("/metrics"),
                "series": "up",
                "request": {"auth": {"bearer": "hunter22"}},
            },
        )

    (headers,) = metrics.asked
    assert headers["Authorization"] == "Bearer hunter22"
    assert headers["Accept"].startswith("text/plain;version=0.0.4,")


# A Prometheus


NOTHING_TO_SCRAPE = "scrape_configs: []\n"
POOL = """(
    label_replace(vector(17), "name", "main", "", "")
    or label_replace(vector(3), "name", "side", "", "")
)"""


@pytest.mark.needs("prometheus")
async def test_a_real_prometheus_is_asked(tmp_path: Path) -> None:
    async with serve_prometheus(tmp_path, NOTHING_TO_SCRAPE) as prometheus:
        await prometheus("vector(1)")

        async def figure(query: str, **options: Any) -> Any:
            return await ask("metrics", {"prometheus": prometheus.url, "query": query, **options})

        one = await figure(f"max({POOL})")
        by_get = await figure(f"sum({POOL}) + 0.5", request={"method": "GET"})
        scalar = await figure(f"scalar(min({POOL})) / 2")
        several = await figure(f"sum by (name) ({POOL}) > 1")
        none = await figure(f"{POOL} > 100")
        none_is_zero = await figure(f"{POOL} > 100", empty=0)
        not_a_number = await figure("vector(0) / 0")
        infinite = await figure("vector(-1) / 0")
        mistaken = await figure("sum(pool")
        failing = await figure(f"{POOL} * on () group_left () {POOL}")
        of_a_range = await figure("vector(1)[1m:10s]")
        text = await figure('"pool"')

    assert [seen.values["value"] for seen in (one, by_get, scalar)] == [17, 20.5, 1.5]
    assert several.values["rows"] == [
        {"name": "main", "value": 17},
        {"name": "side", "value": 3},
    ]
    assert measured(several, "probe_metrics_samples") == 2
    assert ("value" in none.values, none.fault) == (False, None)
    assert none_is_zero.values["value"] == 0
    assert math.isnan(not_a_number.values["value"])
    assert infinite.values["value"] == -math.inf
    said = {}
    for name, seen in {
        "mistaken": mistaken,
        "failing": failing,
        "range": of_a_range,
        "text": text,
    }.items():
        assert seen.fault is not None
        assert seen.fault.code is Code.QUERY
        said[name] = seen.fault.message.replace(prometheus.url.removeprefix("http://"), "prom:9090")
    assert said["mistaken"].startswith(
        "prom:9090 refuses the query (400): bad_data: invalid parameter"
    )
    assert said["failing"].startswith("prom:9090 refuses the query (422): execution: ")
    assert said["range"] == (
        "the query gives a range of samples for each series: use rate(…) or last_over_time(…); "
        "expected one number for each series"
    )
    assert said["text"] == "the query gives a text; expected one number for each series"
    assert all(seen.url == prometheus.url for seen in (one, by_get, none))


async def asked(document: object, *, status: int = 200, **options: Any) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    async with serve_pages({"/prom/api/v1/query": page(body, status=status)}) as server:
        return await ask("metrics", {"prometheus": server.url("/prom/"), "query": "up", **options})


def vector(*samples: object, **more: object) -> dict[str, object]:
    return {
        "status": "success",
        "data": {"resultType": "vector", "result": list(samples)},
        **more,
    }


@pytest.mark.parametrize(
    ("document", "status", "code", "said"),
    [
        (
            {"status": "error", "errorType": "timeout", "error": "query timed\nout"},
            503,
            Code.QUERY,
            "refuses the query (503): timeout: query timed\\nout",
        ),
        (b"<h1>Bad gateway</h1>", 502, Code.STATUS, "answers 502, expected 2xx"),
        (b"<h1>Log in</h1>", 200, Code.BAD_RESPONSE, "its body is not JSON"),
        ({"status": "error", "error": "no"}, 401, Code.CREDENTIALS, "answers 401"),
        ({"status": "success"}, 200, Code.BAD_RESPONSE, "its JSON has no result"),
        ([], 200, Code.BAD_RESPONSE, "its JSON has no result"),
        (vector({"metric": {}}), 200, Code.BAD_RESPONSE, "a sample has no number"),
        (vector({"metric": {}, "value": [1, "1_0"]}), 200, Code.BAD_RESPONSE, "no number"),
        (vector({"metric": {}, "value": [1, None]}), 200, Code.BAD_RESPONSE, "no number"),
        (vector("x"), 200, Code.BAD_RESPONSE, "a sample has no number"),
        (
            vector({"metric": {}, "histogram": [1, {}]}),
            200,
            Code.QUERY,
            "the query gives native histograms, expected numbers",
        ),
        (
            vector(*[{"metric": {}, "value": [1, "1"]}] * 10_001),
            200,
            Code.QUERY,
            "the query gives more than 10,000 series: aggregate them",
        ),
        (
            vector(warnings=["store st-2 did not answer"]),
            200,
            Code.QUERY,
            "gives no result, and warns: store st-2 did not answer",
        ),
        (b"[" * 100_000, 200, Code.BAD_RESPONSE, "its body is JSON nested deeper"),
    ],
)
async def test_what_is_no_result_says_nothing_about_the_value(
    document: object, status: int, code: Code, said: str
) -> None:
    seen = await asked(document, status=status)

    assert seen.fault is not None
    assert (seen.fault.code, said in seen.fault.message) == (code, True), seen.fault.message
    assert judge(value(lt=5), seen).outcome is Outcome.UNKNOWN


async def test_a_query_that_finds_nothing_is_told_as_that() -> None:
    seen = await asked(vector())

    (reason,) = judge(value(lt=5), seen).reasons
    assert reason.message == "value is absent, expected less than 5: the query found nothing"


async def test_warnings_stand_beside_a_result() -> None:
    seen = await asked(vector({"metric": {}, "value": [1, "3"]}, warnings=["partial\x1b"]))

    assert seen.values["value"] == 3
    assert seen.values["warnings"] == ["partial\\x1b"]


async def test_a_prometheus_that_does_not_answer_says_nothing_about_the_value() -> None:
    seen = await ask("metrics", {"prometheus": f"http://127.0.0.1:{unused_port()}", "query": "up"})

    assert judge(value(lt=5), seen).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "expected either url with series, or prometheus with query"),
        ({"url": "http://a/", "prometheus": "http://b/"}, "expected either url with series"),
        ({"url": "http://a/"}, "expected series beside url"),
        ({"url": "http://a/", "series": "up", "query": "up"}, "a page answers no query"),
        ({"prometheus": "http://b/"}, "expected query beside prometheus"),
        ({"prometheus": "http://b/", "query": "up", "rate": True}, "rate is of a page"),
        (
            {"url": "http://a/", "series": "up", "divided_by": "up", "aggregate": "max"},
            "divided_by adds up both sides",
        ),
        (
            {"prometheus": "http://b/", "query": "up", "request": {"json": None}},
            "request.json: what is sent to a Prometheus is the query",
        ),
        (
            {"prometheus": "http://b/", "query": "up", "request": {"method": "PUT"}},
            "asked by GET or POST",
        ),
        ({"url": "http://a/", "series": "up", "aggregate": "p95"}, "expected one of sum, max"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        KINDS["metrics"].options.model_validate(options)

    assert said in str(raised.value)
