"""Names in braces: what takes their place, and what stays as it is written."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.options import Secret
from monitor.probes._journey.templates import (
    fill,
    fill_document,
    fill_secret,
    leading_name,
    names_in,
    without_names,
)

VALUES: dict[str, Any] = {"id": 42, "token": 't"{id}', "flag": True, "share": 0.5}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("{id}", "42"),
        ("/users/{id}/{flag}/{share}", "/users/42/true/0.5"),
        ("{token}", 't"{id}'),
        ("{{id}}", "{id}"),
        ("{{id}", "{42"),
        ("{id}}", "42}"),
        ("{{{id}}}", "{{id}}"),
        ('{"a": {"b": {id}}}', '{"a": {"b": 42}}'),
        ("{ id } {i-d} {} { {1a}", "{ id } {i-d} {} { {1a}"),
        ("{unknown}", "{unknown}"),
    ],
)
def test_a_name_in_braces_is_filled_and_every_other_brace_stays(text: str, filled: str) -> None:
    assert fill(text, VALUES) == filled


@pytest.mark.parametrize(
    ("document", "filled"),
    [
        ("{id}", 42),
        ("{flag}", True),
        ("no {id}", "no 42"),
        ({"{id}": ["{share}", {"a": "{token}"}], "n": 1}, {"42": [0.5, {"a": 't"{id}'}], "n": 1}),
        ("{{id}}", "{id}"),
        ([None, 1.5, False], [None, 1.5, False]),
    ],
)
def test_a_name_alone_keeps_its_type_in_json(document: object, filled: object) -> None:
    assert fill_document(document, VALUES) == filled


def test_a_secret_without_names_may_be_read_again() -> None:
    live = Secret("first", refresh=lambda: "second")

    assert fill_secret(live, VALUES) is live
    assert fill_secret(Secret("Bearer {id}"), VALUES).reveal() == "Bearer 42"


@pytest.mark.parametrize(("text", "name"), [("{a}/b", "a"), ("/{a}", None), ("{{a}}", None)])
def test_a_text_may_begin_with_a_name(text: str, name: str | None) -> None:
    assert leading_name(text) == name


@given(text=st.text(alphabet="{}ab ", max_size=30))
def test_what_names_are_found_in_is_what_is_filled(text: str) -> None:
    values: dict[str, Any] = dict.fromkeys(names_in(text), "")

    assert fill(text, values) == without_names(text, "")
    assert list(names_in(text.replace("{", "").replace("}", ""))) == []


@given(value=st.text(min_size=1))
def test_no_value_breaks_out_of_where_it_stands(value: str) -> None:
    values: dict[str, Any] = {"v": value}

    sent = json.dumps(fill_document({"a": ["x{v}", "{v}"]}, values))
    assert json.loads(sent) == {"a": [f"x{value}", value]}
    url = fill("http://x/{v}/y?q={v}", values, lambda text: quote(text, safe=""))
    path, _, query = url.removeprefix("http://x/").partition("?")
    assert unquote(path.removesuffix("/y")) == unquote(query.removeprefix("q=")) == value
    assert not set(url.removeprefix("http://x/")) & set("#&;\r\n \"'")
