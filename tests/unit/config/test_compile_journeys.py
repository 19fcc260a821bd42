"""Journeys in a configuration: what is wrong with a step is told where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.core.expectations import Source
from monitor.probes import KINDS
from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "endpoints:\n  it:\n    journey:\n"
FIRST = '      - {name: a, url: "http://x/", capture: {id: {json: $.id}}}\n'


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            '{name: b, url: "http://x/{di}"}',
            "5:24: endpoints.it.journey[1].url: {di} is captured by none of the steps, "
            "which capture id; write {{di}} for the text {di} itself",
        ),
        (
            '{name: b, url: "http://x/", request: {json: [1, "{b}"]}, capture: {b: {json: $}}}',
            "5:57: endpoints.it.journey[1].request.json[1]: "
            "{b} is captured only by this step or a later one",
        ),
        (
            '{name: b, url: "http://x/", request: {headers: {X-A: "{no}"}}}',
            "5:62: endpoints.it.journey[1].request.headers.X-A: {no} is captured by none",
        ),
        (
            '{name: b, url: "http://{id}.x/"}',
            "5:24: endpoints.it.journey[1].url: the host is written out: "
            "what an answer says does not choose it",
        ),
        (
            '{name: a, url: "http://x/"}',
            "5:16: endpoints.it.journey[1].name: two steps are named a",
        ),
        (
            '{name: b, url: "http://x/", expect: [{status: 999}]}',
            "5:55: endpoints.it.journey[1].expect[0].status: expected",
        ),
        (
            '{name: b, url: "http://x/", expect: [{rows: {count: 1}}]}',
            "5:47: endpoints.it.journey[1].expect[0].rows: an answer to url has no rows",
        ),
        (
            '{name: b, url: "http://x/", expect: [{json: $.id, equals: "{id}"}]}',
            "5:67: endpoints.it.journey[1].expect[0].equals: "
            "{id} is not filled in: an expectation is fixed",
        ),
        (
            "{name: b, url: x}",
            "5:24: endpoints.it.journey[1].url: expected a URL such as https://shop.example/",
        ),
        (
            '{name: b, url: "http://x/", capturs: {}}',
            "5:37: endpoints.it.journey[1].capturs: unknown key capturs; did you mean capture?",
        ),
        (
            '{name: b, url: "http://x/", capture: {c: {json: "$["}}}',
            '5:57: endpoints.it.journey[1].capture.c.json: the JSONPath "$[" cannot be read',
        ),
        (
            '{name: b, url: "http://x/", capture: {c: {body: "a"}}}',
            "5:57: endpoints.it.journey[1].capture.c.body: expected one group ( ) around",
        ),
        (
            '{name: b, url: "http://x/", capture: {c: {}}}',
            "5:50: endpoints.it.journey[1].capture.c: expected exactly one of json, header, html, "
            "cookie, body, found none of them",
        ),
        (
            '{name: b, url: "http://x/", capture: {c-d: {json: $}}}',
            "5:47: endpoints.it.journey[1].capture.c-d: expected a name of letters, digits and _",
        ),
    ],
)
def test_a_mistake_in_a_step_is_told_where_it_stands(step: str, said: str, tmp_path: Path) -> None:
    told = mistakes(tmp_path, f"{HEAD}{FIRST}      - {step}\n")

    assert any(one.startswith(said) for one in told), told


def test_braces_that_name_nothing_are_text(tmp_path: Path) -> None:
    step = "{name: b, url: 'http://x/', request: {body: '{\"a\": {\"b\": {id}}} {{no}} { no } {}'}}"

    assert mistakes(tmp_path, f"{HEAD}{FIRST}      - {step}\n") == []


def test_expectations_of_steps_are_compiled_with_their_places(tmp_path: Path) -> None:
    step = '{name: b, url: "http://x/", expect: [{status: 201}, {header: x-a, exists: true}]}'
    compiled = configure(tmp_path, f"{HEAD}{FIRST}      - {step}\n")

    found = compiled.probes["it"].expectations
    assert {place: [one.source for one in some] for place, some in found.items()} == {
        (0, "expect"): [],
        (1, "expect"): [Source.STATUS, Source.HEADER],
    }
    assert [one.at for one in found[1, "expect"]] == ["monitor.yml:5:46", "monitor.yml:5:61"]


def test_another_expectation_of_a_step_is_another_check_and_another_probe(tmp_path: Path) -> None:
    def compiled(status: int) -> tuple[str, object]:
        step = f'{{name: b, url: "http://x/", expect: [{{status: {status}}}]}}'
        read = configure(tmp_path, f"{HEAD}{FIRST}      - {step}\n")
        return read.endpoints[0].checks[0].fingerprint, read.probes["it"]

    assert compiled(200) == compiled(200)
    assert compiled(200)[0] != compiled(201)[0]
    assert compiled(200)[1] != compiled(201)[1]


@pytest.mark.parametrize(
    ("method", "harmless"), [("GET", True), ("HEAD", True), ("POST", False), ("DELETE", False)]
)
def test_a_journey_that_writes_is_not_tried_by_the_way(method: str, harmless: bool) -> None:
    options = KINDS["journey"].options.model_validate(
        [
            {"name": "a", "url": "http://x/"},
            {"name": "b", "url": "http://x/", "request": {"method": method}},
        ]
    )

    assert getattr(options, "harmless", None) is harmless
