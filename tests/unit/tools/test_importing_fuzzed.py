"""Imports of what no peer would take: told with its place, or drafted; never a traceback."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from monitor.cli.importing import import_
from monitor.tools.importing.blackbox import import_blackbox, targets_of_prometheus
from monitor.tools.importing.draft import Draft, write_draft
from monitor.tools.importing.foreign import Foreign, Unusable
from monitor.tools.importing.gatus import import_gatus
from monitor.tools.importing.review import review

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEERS = Path(__file__).with_name("peers")
WRONG: tuple[Any, ...] = (
    None,
    True,
    -7,
    1.5,
    float("nan"),
    "",
    "x",
    "http://[",
    "a: b\r\nc",
    [],
    [7],
    [None],
    [[]],
    [{}],
    {},
    {"a": 7},
    {"a": []},
    {"a\r\nb": "c"},
    {7: 7, None: None},
)
_REVIEWED = 25  # one in so many: to read a configuration takes some time


def documents() -> Iterator[tuple[Callable[[Foreign], Draft], dict[str, Any]]]:
    """Give small configurations that hold together every key that an import knows."""
    blackbox = yaml.safe_load((PEERS / "blackbox.yml").read_text())
    for name, module in blackbox["modules"].items():
        yield import_blackbox, {"modules": {name: module}}

    gatus = yaml.safe_load((PEERS / "gatus.yml").read_text())
    endpoints = gatus.pop("endpoints")
    yield import_gatus, {**gatus, "endpoints": []}
    for endpoint in endpoints:
        yield import_gatus, {"alerting": gatus["alerting"], "endpoints": [endpoint]}

    prometheus = yaml.safe_load((PEERS / "prometheus.yml").read_text())
    yield read_targets, prometheus


def read_targets(foreign: Foreign) -> Draft:
    draft = Draft()
    targets_of_prometheus(foreign, draft)

    return draft


def ways(value: object) -> Iterator[list[Any]]:
    """Give the way to every value."""
    yield []
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, one in items:
        for way in ways(one):
            yield [key, *way]


def put(document: dict[str, Any], way: list[Any], value: object) -> Any:
    if not way:
        return value
    changed = copy.deepcopy(document)
    within: Any = changed
    for key in way[:-1]:
        within = within[key]
    within[way[-1]] = value

    return changed


def draft_or_say(drafter: Callable[[Foreign], Draft], foreign: Foreign) -> Draft | str:
    try:
        return drafter(foreign)
    except Unusable as error:
        return str(error)


@pytest.mark.parametrize("importer", [import_blackbox, import_gatus, read_targets])
def test_a_value_of_a_wrong_type_is_told_with_its_place(
    importer: Callable[[Foreign], Draft],
) -> None:
    tried = 0
    for drafter, document in documents():
        if drafter is not importer:
            continue
        for way in ways(document):
            for value in WRONG:
                tried += 1
                changed = put(document, way, value)
                foreign = Foreign(file="peer.yml", data=changed, places={(): (1, 1)})
                outcome = draft_or_say(drafter, foreign)
                if isinstance(outcome, Draft) and tried % _REVIEWED == 0:
                    review(outcome)
                    assert yaml.safe_load(write_draft(outcome, head="")) is not None
                elif isinstance(outcome, str):
                    assert outcome.startswith("peer.yml:1:1: "), (way, value)

    assert tried > 500


def run(folder: Path, command: str, text: str) -> Any:
    file = folder / "peer.yml"
    file.write_text(text)

    return CliRunner().invoke(import_, [command, str(file)])


@pytest.mark.parametrize(
    ("command", "text", "told"),
    [
        (
            "blackbox",
            "modules: {a: {prober: http, http: {headers: [a]}}}",
            "peer.yml:1:45: modules.a.http.headers: expected a mapping, found a list",
        ),
        (
            "blackbox",
            'modules: {a: {prober: http, http: {valid_status_codes: "200"}}}',
            "modules.a.http.valid_status_codes: expected a list of whole numbers, found a text",
        ),
        (
            "blackbox",
            "modules: {a: {prober: http, http: {body_size_limit: []}}}",
            "modules.a.http.body_size_limit: expected a text, found a list",
        ),
        ("blackbox", "modules: {a: !!int x}", "a value is not what its tag says"),
        ("blackbox", "modules: {a: !!timestamp x}", "a value is not what its tag says"),
        ("blackbox", "modules: &a {b: *a}", "too many values, counting aliases"),
        (
            "gatus",
            "endpoints: [{name: a, url: 'tcp://h:x'}]",
            "endpoints[0].url: expected a URL, found what is none",
        ),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, command: str, text: str, told: str) -> None:
    ended = run(tmp_path, command, text)

    assert (ended.exit_code, type(ended.exception)) == (2, SystemExit)
    assert told in ended.stderr


@pytest.mark.parametrize(
    ("command", "text", "told"),
    [
        (
            "blackbox",
            "modules: {a: {prober: http, http: {compression: 9}}}",
            "peer.yml:1:14: modules.a: is refused as drafted: endpoints.a.request.compression",
        ),
        (
            "blackbox",
            'modules: {a: {prober: http, http: {headers: {"X\\r\\nY": b}}}}',
            "modules.a: is refused as drafted: endpoints.a.request.headers",
        ),
        (
            "blackbox",
            "modules: {a: {prober: http, http: {fail_if_body_matches_regexp: ['(']}}}",
            "modules.a: is refused as drafted: endpoints.a.health.expect[0]",
        ),
        (
            "gatus",
            "endpoints: [{name: a, url: 'ftp://h/'}, {name: b, url: 'http://h/'}]",
            "peer.yml:1:13: endpoints[0]: is refused as drafted: endpoints.a.url",
        ),
        (
            "gatus",
            "endpoints: []\nalerting: {custom: {url: x, headers: {'a b': c}}}",
            "alerting.custom: is refused as drafted: notifiers.custom.webhook.headers",
        ),
        (
            "gatus",
            "endpoints: [{name: a, url: 'http://h/', name: b}]",
            "peer.yml:1:47: endpoints[0].name: is written twice, and the last one counts",
        ),
    ],
)
def test_what_check_config_would_refuse_is_among_what_is_left(
    tmp_path: Path, command: str, text: str, told: str
) -> None:
    ended = run(tmp_path, command, text)

    assert ended.exit_code == 0
    assert told in ended.stderr
    assert "left over" in ended.stderr
    assert told in ended.stdout.replace("\n#   ", " ")
