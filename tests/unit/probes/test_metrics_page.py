"""What is read of an exposition page: the samples of one name, as the format's own parser does."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from monitor.probes._metrics.page import MOST_SAMPLES, read_page
from monitor.probes._metrics.selector import read_selector
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from collections.abc import Iterable


def read(page: bytes | str, selector: str) -> list[tuple[dict[str, str], float]]:
    raw = page.encode() if isinstance(page, str) else page

    return [(dict(one.labels), one.value) for one in read_page(raw, read_selector(selector))]


PAGE = """\
# HELP http_requests_total Requests; http_requests_total{code="1"} is no sample here.
# TYPE http_requests_total counter
http_requests_total{code="200",method="GET"} 120
http_requests_total{code="200",method="POST"} 7 1712345678000
http_requests_total{code="500",method="GET",} 3
http_requests_total_created 1.7e+09
up 1
up_since\t5
odd { a = "x\\"}\\\\\\n" , b="" }  -2.5e-3
odd{} +Inf
odd 1 # {trace_id="a"} 0.5 1.6
"""


@pytest.mark.parametrize(
    ("selector", "values"),
    [
        ("http_requests_total", [120, 7, 3]),
        ('http_requests_total{code="200"}', [120, 7]),
        ("http_requests_total{code='500'}", [3]),
        ('http_requests_total{code=~"[45].."}', [3]),
        ('http_requests_total{code=~"5"}', []),
        ('http_requests_total{code!~"2..", method="GET"}', [3]),
        ('http_requests_total{host=""}', [120, 7, 3]),
        ('http_requests_total{host!=""}', []),
        (' http_requests_total { code = "500" , } ', [3]),
        ("up", [1]),
        ("up_since", [5]),
        ("http_requests", []),
        ('odd{b=""}', [-0.0025, math.inf, 1]),
        ('odd{a="x\\"}\\\\\\n"}', [-0.0025]),
    ],
)
def test_a_selector_finds_the_samples_that_promql_would(selector: str, values: list[float]) -> None:
    assert [value for _, value in read(PAGE, selector)] == values


def test_a_page_of_windows_or_without_a_last_newline_is_read() -> None:
    assert read("up 1\r\nup 2", "up") == [({}, 1), ({}, 2)]


@pytest.mark.parametrize(
    "line",
    ["up", "up x", "up {", 'up{a="x} 1', "up{a=1} 1", "up 1_000", "up 0x10", "up 1 2 3", "up 1e"],
)
def test_a_line_that_is_no_sample_is_told(line: str) -> None:
    if line == "up":
        assert read(line, "up") == []
        return

    with pytest.raises(Faulted) as raised:
        read(f"down 1\n{line}\n", "up")

    assert raised.value.fault.message.startswith("the page has a line that is no sample: ")


def test_more_samples_than_can_be_read_at_once_are_told() -> None:
    with pytest.raises(Faulted) as raised:
        read('up{a="1"} 1\n' * (MOST_SAMPLES + 1), "up")

    assert raised.value.fault.message == "the page has more than 20,000 samples of up"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(b"up " + b"1" * 8_000_000 + b"x", id="digits"),
        pytest.param(b"up{" + b'a="' * 2_600_000, id="quotes"),
        pytest.param(b"up" * 4_000_000, id="the name without an end"),
        pytest.param(b"up_x\n" * 1_600_000, id="another name that begins so"),
        pytest.param(b"\n" * 8_000_000, id="empty lines"),
        pytest.param(b'up{a="' + b"\\" * 60_000 + b'"} 1', id="escapes"),
        pytest.param(b"up " + b" " * 60_000 + b"x", id="blanks"),
        pytest.param(b"up{" + b'a="",' * 10_000 + b"} 1", id="labels"),
        pytest.param(b"\xff\xfe" * 4_000_000, id="no text"),
    ],
)
def test_no_page_takes_long(page: bytes) -> None:
    began = time.process_time()
    with suppress(Faulted):
        read(page, "up")

    assert time.process_time() - began < 1


LABELS = st.text(max_size=8)
NUMBERS = st.floats(allow_nan=False)


@given(samples=st.lists(st.tuples(LABELS, LABELS, NUMBERS), max_size=5), amount=st.floats(0, 1e9))
def test_it_reads_what_the_library_writes_in_both_formats(
    samples: list[tuple[str, str, float]], amount: float
) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("pool", "A gauge\nwith lines.", ["a", "b"], registry=registry)
    for first, second, value in samples:
        gauge.labels(first, second).set(value)
    counter = Counter("served", "A counter.", registry=registry)
    counter.inc(amount, exemplar={"trace": 'x # y"'})
    histogram = Histogram("took", "A histogram.", registry=registry)
    histogram.observe(0.3)

    openmetrics: Any = generate_openmetrics
    for page in (generate_latest(registry), openmetrics(registry)):
        for name in ("pool", "served_total", "took_bucket", "took_sum", "took_count"):
            assert read(page, name) == written(registry.collect(), name)


@given(values=st.lists(st.one_of(NUMBERS, st.just(math.nan)), max_size=5))
def test_it_reads_as_the_library_reads(values: list[float]) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("pool", "A gauge.", ["n"], registry=registry)
    for number, value in enumerate(values):
        gauge.labels(str(number)).set(value)
    page = generate_latest(registry).decode()

    theirs = written(text_string_to_metric_families(page), "pool")
    assert repr(read(page, "pool")) == repr(theirs)


def written(families: Iterable[Any], name: str) -> list[tuple[dict[str, str], float]]:
    return [
        (sample.labels, float(sample.value))
        for family in families
        for sample in family.samples
        if sample.name == name
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected the name of a series such as"),
        ("5xx", "expected the name of a series such as"),
        ('{code="500"}', "expected the name of a series such as"),
        ("rate(up[5m])", "a page has no PromQL, that is asked of a Prometheus with query"),
        ("up / down", "a page has no PromQL"),
        ("up{code=500}", 'expected labels such as code="500", method!="GET"'),
        ('up{code="500"', "expected the name of a series such as"),
        ('up{a="1" b="2"}', "expected a comma before"),
        ('up{a=~"("}', "a: the pattern '(' is wrong: missing )"),
        (5, "expected the name of a series such as"),
    ],
)
def test_a_selector_that_cannot_be_read_says_what_is_wanted(text: object, said: str) -> None:
    with pytest.raises(ValueError, match=r"expected|pattern") as raised:
        read_selector(text)

    assert said in str(raised.value)
