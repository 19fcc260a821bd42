"""Which version an answer tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.observation import Code
from monitor.core.model.service import VersionSource
from monitor.core.version import LONGEST, read_version
from tests.support.judging import answer, no_answer

HEADER = VersionSource(endpoint="api", header="X-Release")
JSON = VersionSource(endpoint="api", json="$.build.version")


def body(version: Any) -> bytes:
    """Give a body that tells a version."""
    return json.dumps({"build": {"version": version}}).encode()


def test_the_first_header_line_tells_the_version() -> None:
    observation = answer(headers=(("x-release", " v2 "), ("X-Release", "v3")))

    assert read_version(HEADER, observation) == "v2"


@pytest.mark.parametrize(
    ("version", "read"),
    [("2.1.0", "2.1.0"), (42, "42"), (1.5, "1.5"), (" v2\n", "v2"), ("v\x00\x1b[1m2", "v[1m2")],
    ids=repr,
)
def test_json_tells_the_version_as_text_or_number(version: object, read: str) -> None:
    assert read_version(JSON, answer(body=body(version))) == read


@pytest.mark.parametrize("version", [None, True, "", " ", "\n", [], {}, ["v2"]], ids=repr)
def test_what_is_no_version_tells_none(version: object) -> None:
    assert read_version(JSON, answer(body=body(version))) is None


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b'{"build": 1}', b"\xff"], ids=repr)
def test_a_body_without_a_version_tells_none(content: bytes) -> None:
    assert read_version(JSON, answer(body=content)) is None


def test_a_path_that_finds_several_values_tells_none() -> None:
    source = VersionSource(endpoint="api", json="$.*")

    assert read_version(source, answer(body=b'{"a": "v1", "b": "v2"}')) is None
    assert read_version(source, answer(body=b'{"a": "v1"}')) == "v1"


def test_an_error_page_still_tells_which_version_is_live() -> None:
    assert read_version(JSON, answer(status=500, body=body("v2"))) == "v2"


def test_without_an_answer_there_is_no_version() -> None:
    refused = no_answer(Code.CONNECTION_REFUSED)

    assert read_version(HEADER, refused) is None
    assert read_version(JSON, refused) is None


def test_a_long_version_is_cut() -> None:
    assert read_version(HEADER, answer(headers=(("X-Release", "v" * 500),))) == "v" * 200


@given(text=st.text(max_size=1000))
def test_a_version_is_short_and_printable_whatever_the_target_sends(text: str) -> None:
    version = read_version(HEADER, answer(headers=(("X-Release", text),)))

    assert version is None or (0 < len(version) <= LONGEST and version.isprintable())
