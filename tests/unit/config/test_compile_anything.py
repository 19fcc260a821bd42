"""Whatever stands in the place of any value: no crash, and what loads is valid by the schema."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from monitor.config import schema
from monitor.config.compile import compile_document
from monitor.config.document import Document, Position
from tests.support.configuring import ways

_FULL: Final = Path(__file__).parents[3] / "config" / "examples" / "full.yml"

_WORDS: Final = st.sampled_from(
    ["", "x", "30s", "0s", "1d", "3 of 5", "9 of 5", "5%", "low", "off", "api.health", "a b", "\n"]
)
_SCALARS: Final = st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text()
_VALUES: Final = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


@cache
def full() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(_FULL.read_text())

    return document


def changed(way: tuple[Any, ...], value: object, *, key: str | None) -> dict[str, Any]:
    """Give the full example with another value in one place, or with another key beside it."""
    document = deepcopy(full())
    part: Any = document
    for step in way[:-1]:
        part = part[step]
    part[way[-1] if key is None or isinstance(part, list) else key] = value

    return document


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    way=st.sampled_from(ways(full())),
    value=_VALUES,
    key=st.none() | st.text(max_size=5) | st.sampled_from(["timeout", "expect", "lt", "name"]),
)
def test_any_value_in_any_place_is_taken_or_refused_with_a_message(
    way: tuple[Any, ...], value: object, key: str | None
) -> None:
    document = changed(way, value, key=key)
    read = Document(data=document, positions={(): Position("m.yml", 1, 1)}, keys={})

    compiled, problems = compile_document(read, environ={}, cwd=_FULL.parent)

    assert (compiled is None) == bool(problems)
    for problem in problems:
        assert problem.message
        assert str(problem).isprintable()
    if compiled is not None:
        assert list(validator().iter_errors(document)) == []
