"""The JSON Schema is valid, takes what the loader takes, and refuses common mistakes."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator

from monitor.config import schema

_ROOT: Final = Path(__file__).parents[3]
_FILES: Final = [
    _ROOT / "config" / "monitor.yml",
    *sorted((_ROOT / "config/examples").glob("*.yml")),
]
_FULL: Final = _ROOT / "config" / "examples" / "full.yml"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())

    return Draft202012Validator(schema())


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_every_shipped_configuration_is_valid(path: Path, validator: Draft202012Validator) -> None:
    document = yaml.safe_load(path.read_text())

    assert [error.message for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("endpointz",), {}),
        (("retention",), 90),
        (("endpoints", "api one"), "https://api.shop.example/"),
        (("endpoints", "api", "evry"), "10s"),
        (("endpoints", "api", "every"), 10),
        (("endpoints", "api", "health"), True),
        (("endpoints", "api", "health", "severity"), "urgent"),
        (("endpoints", "api", "health", "failure_threshold"), "five"),
        (("endpoints", "api", "health", "expect"), [{"statsu": 200}]),
        (("endpoints", "api", "request", "methd"), "GET"),
        (("endpoints", "homepage", "headers", "policies"), ["hstss"]),
        (("endpoints", "homepage", "latency", "p96"), {"lt": "1s"}),
        (("notifiers", "oncall"), {"slak": {}}),
        (("notifiers", "oncall"), {}),
        (("services", "storefront", "rollback", "mode"), "approved"),
        (("services", "storefront", "rollback", "steps"), [{"netlify": {}}]),
        (("web", "tokens"), [{"name": "ci", "scope": "root", "token": "abcdefgh"}]),
    ],
    ids=str,
)
def test_a_mistake_is_shown_while_typing(
    way: tuple[str, ...], value: object, validator: Draft202012Validator
) -> None:
    document = deepcopy(yaml.safe_load(_FULL.read_text()))
    part: Any = document
    for step in way[:-1]:
        part = part[step]
    part[way[-1]] = value

    assert list(validator.iter_errors(document)) != []


@pytest.mark.parametrize(
    "document",
    [
        {"endpoints": {"api": "https://api.shop.example/"}},
        {"endpoints": {"api": {"url": "https://api.shop.example/", "health": False}}},
        {"endpoints": None, "services": {"api": None}},
        {"services": {"api": {"rollback": {"steps": [{"command": ["./restore.sh"]}]}}}},
        {"notifiers": {"mail": {"email": {"host": "mail", "from": "a@b.test", "to": "c@d.test"}}}},
    ],
    ids=str,
)
def test_short_forms_are_valid(document: object, validator: Draft202012Validator) -> None:
    assert list(validator.iter_errors(document)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("every", "${EVERY:-30s}"),
        ("health", {"failure_threshold": "${FAILURES}", "severity": "${SEVERITY}"}),
        ("request", {"max_redirects": "${HOPS}", "follow_redirects": "${FOLLOW}"}),
    ],
)
def test_a_variable_may_stand_for_any_single_value(
    key: str, value: object, validator: Draft202012Validator
) -> None:
    document = {"endpoints": {"api": {"url": "https://api.shop.example/", key: value}}}

    assert list(validator.iter_errors(document)) == []


def test_defaults_are_written_as_in_a_file() -> None:
    definitions = schema()["$defs"]

    assert definitions["Defaults"]["properties"]["every"]["default"] == "30s"
    assert definitions["Defaults"]["properties"]["failure_threshold"]["default"] == 3
    assert definitions["LimitsSettings"]["properties"]["cooldown"]["default"] == "30m"
