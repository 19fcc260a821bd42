"""What an expectation says of a page, of a schema, and of what other kinds of probes bring."""

from __future__ import annotations

import json
import resource
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from monitor.core.expectations import Evidence, ExpectationError, check, compile_expectation
from monitor.core.model.observation import Certificate, Hop
from tests.support.judging import NOON, answer

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

PAGE: Final = b"""<!doctype html><title>Shop</title>
<div id="live-stream" class="wide b">
  <h1>Welcome <b>to</b>
      us</h1><p>One<p>Two <a href="/x">more</a><br>Three</p>
</div><script>if (a < b) { document.write("<h1>No</h1>") }</script>"""
SCHEMA: Final = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"enum": ["ok"]},
        "ms": {"type": "number", "exclusiveMaximum": 100},
        "tags": {"uniqueItems": True, "items": {"pattern": "^[a-z]+$"}},
        "tree": {"$ref": "#/$defs/tree"},
        "step": {"multipleOf": 0.5},
    },
    "patternProperties": {"^x-": {"type": "string"}},
    "additionalProperties": False,
    "$defs": {"tree": {"properties": {"tree": {"$ref": "#/$defs/tree"}}}},
}
ROWS: Final = [
    {"client_id": "acme", "failed": 3, "region": "eu"},
    {"client_id": "globex", "failed": 12, "region": "us"},
    {"client_id": "hooli", "failed": 40, "region": "us"},
]
CERTIFICATE: Final = Certificate(
    subject="CN=shop.example",
    issuer="CN=R11,O=Let's Encrypt,C=US",
    subject_alternative_names=("shop.example", "www.shop.example"),
    serial_number="03ab",
    fingerprint_sha256="ab" * 32,
    not_before=NOON - timedelta(days=60),
    not_after=NOON + timedelta(days=30),
    earliest_not_after=NOON + timedelta(days=30),
    verified=True,
)


def said(raw: object, observation: Observation, schema: object = SCHEMA) -> str | None:
    """Give the words for what is first wrong, None where all is well."""
    evidence = Evidence(observation)
    for one in compile_expectation(raw, "", read_file=lambda _: json.dumps(schema)):
        reason = check(one, evidence)
        if reason is not None:
            return reason.message

    return None


def page(text: bytes = PAGE, **facts: Any) -> Observation:
    """Give an answer with a page."""
    return answer(body=text, headers=(("content-type", "text/html"),), **facts)


@pytest.mark.parametrize(
    "raw",
    [
        {"html": "div#live-stream", "exists": True},
        {"html": "#live-stream.wide > h1", "equals": "Welcome to us"},
        {"html": "h1", "count": 1},
        {"html": "h1 > b", "equals": "to"},
        {"html": "b", "count": 1},
        {"html": ".b", "count": 1},
        {"html": "a[href='/x']", "equals": "more"},
        {"html": "p", "count": 2},
        {"html": "p", "any": {"starts_with": "Two"}},
        {"html": "p", "every": {"not_contains": "Error"}},
        {"html": "p:nth-of-type(1)", "equals": "One"},
        {"html": "h2", "exists": False},
        {"html": "h2", "count": 0},
        {"html": "title", "not_matches": "(?i)maintenance"},
        {"html": "b:not(.x), code", "equals": "to"},
    ],
    ids=str,
)
def test_a_selector_finds_the_text_of_elements(raw: object) -> None:
    assert said(raw, page()) is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"html": "h2", "exists": True}, "html h2 is absent, expected to exist"),
        ({"html": "h1", "exists": False}, 'html h1 is "Welcome to us", expected to be absent'),
        ({"html": "h1", "equals": "Hi"}, 'html h1 is "Welcome to us", expected "Hi"'),
        (
            {"html": "p", "equals": "One"},
            'html p finds 2 values (write every or any), expected exactly one: "One"',
        ),
        ({"html": "p", "count": {"gte": 3}}, "html p finds 2 values, expected at least 3"),
        (
            {"html": "p", "every": {"equals": "One"}},
            'html p is "Two moreThree", expected every value to be a string: "One" '
            "(1 of 2 are not)",
        ),
    ],
    ids=str,
)
def test_what_a_page_does_not_have_is_said(raw: object, message: str) -> None:
    assert said(raw, page()) == message


def test_what_was_cut_off_a_page_may_be_what_matters() -> None:
    cut = page(body_truncated=True)

    assert said({"html": "h1", "exists": True}, cut) is None
    assert said({"html": "h1", "equals": "Welcome to us"}, cut) is None
    assert said({"html": "p", "count": {"gte": 2}}, cut) is None
    assert said({"html": "p", "any": {"equals": "One"}}, cut) is None
    for raw in (
        {"html": "h2", "exists": False},
        {"html": "p", "count": 2},
        {"html": "p", "every": {"contains": "o"}},
        {"html": "h1", "not_contains": "Error"},
    ):
        told = said(raw, cut)
        assert told is not None
        assert "cut" in told or "expected every value" in told


@pytest.mark.parametrize("selector", ["div[", "", "..", "p::before", "h1,,h2", "123", ":has("])
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(ExpectationError) as refused:
        compile_expectation({"html": selector, "exists": True}, "")

    assert refused.value.path == ("html",)
    assert "is no CSS selector" in refused.value.message


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"status": "ok", "ms": 5, "tags": ["a", "b"], "x-a": "b"}, None),
        ({}, "json_schema s.json does not fit: $ is {}, expected the key status"),
        (5, "json_schema s.json does not fit: $ is 5, expected object"),
        (
            {"status": "down"},
            'json_schema s.json does not fit: $.status is "down", expected one of ["ok"]',
        ),
        (
            {"status": "ok", "ms": 100},
            "json_schema s.json does not fit: $.ms is 100, expected less than 100",
        ),
        (
            {"status": "ok", "ms": "5"},
            'json_schema s.json does not fit: $.ms is "5", expected number',
        ),
        (
            {"status": "ok", "ms": None},
            "json_schema s.json does not fit: $.ms is null, expected number",
        ),
        (
            {"status": "ok", "tags": ["a", "a"]},
            'json_schema s.json does not fit: $.tags is ["a", "a"], expected no item twice',
        ),
        (
            {"status": "ok", "tags": ["A"]},
            'json_schema s.json does not fit: $.tags[0] is "A", expected text matching ^[a-z]+$',
        ),
        (
            {"status": "ok", "more": 1},
            "json_schema s.json does not fit: $.more is 1, expected no such key",
        ),
        (
            {"status": "ok", "x-a": 1},
            "json_schema s.json does not fit: $['x-a'] is 1, expected string",
        ),
    ],
    ids=str,
)
def test_a_document_fits_its_schema_or_the_place_is_said(
    document: object, message: str | None
) -> None:
    assert said({"json_schema": "s.json"}, answer(body=json.dumps(document).encode())) == message


def test_what_no_schema_can_be_held_against_is_said() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(400):
        inner["tree"] = inner = {}
    tree = json.dumps({"status": "ok", "tree": deep}).encode()
    huge = b'{"status": "ok", "step": 1' + b"0" * 400 + b"}"

    assert "body is not JSON" in str(said({"json_schema": "s.json"}, answer(body=b"<html>")))
    for body in (tree, huge):
        told = said({"json_schema": "s.json"}, answer(body=body))
        assert told is not None
        assert told.startswith("json_schema s.json does not fit: $ is {")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ([], '"s.json" holds [], expected an object'),
        ({"type": "objct"}, '"s.json" is no JSON Schema: at $.type '),
        ({"$ref": "https://a.example/b.json"}, '"s.json" refers to "https://a.example/b.json"'),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, '"s.json" refers to "#/$defs/b"'),
        ({"$schema": "https://a.example/"}, '"s.json" has the unknown $schema'),
        ({"$schema": 7}, '"s.json" has the unknown $schema 7'),
        ({"items": {"pattern": "(?=a)"}}, '"s.json" has the pattern "(?=a)", which is none of RE2'),
    ],
    ids=str,
)
def test_a_schema_that_cannot_be_used_is_refused(schema: object, message: str) -> None:
    with pytest.raises(ExpectationError) as refused:
        said({"json_schema": "s.json"}, answer(), schema)

    assert refused.value.path == ("json_schema",)
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {"$id": "https://a.example/", "$ref": "#here", "$defs": {"a": {"$anchor": "here"}}},
        {"$defs": {"a": {"$id": "inner.json", "type": "object"}}, "$ref": "inner.json"},
    ],
    ids=str,
)
def test_schemas_of_other_drafts_and_references_within_are_read(schema: object) -> None:
    assert said({"json_schema": "s.json"}, answer(body=b"{}"), schema) is None


@pytest.mark.parametrize(
    ("raw", "size", "cut", "message"),
    [
        ({"response_size": {"lt": "1KiB"}}, 1023, False, None),
        (
            {"response_size": {"lt": "1KiB"}},
            1024,
            False,
            "response size is 1KiB, expected less than 1KiB",
        ),
        (
            {"response_size": {"gte": 10}},
            9,
            False,
            "response size is 9 bytes, expected at least 10 bytes",
        ),
        ({"response_size": {"gte": 10}}, 10, True, None),
        (
            {"response_size": {"lt": "1KiB"}},
            100,
            True,
            "response size is more than 100 bytes, where it was cut (raise request.body_limit), "
            "expected less than 1KiB",
        ),
        ({"response_size": {"equals": 0}}, 0, False, None),
    ],
    ids=str,
)
def test_a_size_is_that_of_the_body_as_it_was_decoded(
    raw: object, size: int, cut: bool, message: str | None
) -> None:
    assert said(raw, answer(body=b"x" * size, body_truncated=cut)) == message


def test_a_redirect_is_where_it_ends_and_how_many_there_were() -> None:
    hop = Hop(url="http://shop.example/", status=301, location="https://shop.example/")
    seen = answer(url="https://shop.example/home", redirects=(hop,))

    assert said({"redirect": {"to": "https://shop.example/home", "hops": {"lte": 2}}}, seen) is None
    assert said({"redirect": {"hops": 1}}, seen) is None
    assert (
        said({"redirect": {"to": {"starts_with": "http://"}}}, seen)
        == 'final URL is "https://shop.example/home", expected text starting with "http://"'
    )
    assert (
        said({"redirect": {"hops": {"lt": 1}}}, seen)
        == "number of redirects is 1, expected less than 1"
    )


def test_a_certificate_says_who_issued_it_to_whom_and_for_how_long() -> None:
    seen = answer(certificate=CERTIFICATE, tls_version="TLSv1.3")

    assert said({"certificate": {"expires_in": {"gt": "14d"}}}, seen) is None
    assert said({"certificate": {"issuer": {"contains": "Let's Encrypt"}}}, seen) is None
    assert said({"certificate": {"names": "www.shop.example"}}, seen) is None
    assert (
        said({"certificate": {"expires_in": {"gt": "45d"}}}, seen)
        == "time until the certificate expires is 30d, expected more than 45d"
    )
    assert (
        said({"certificate": {"issuer": {"contains": "Internal"}}}, seen)
        == 'issuer of the certificate is "CN=R11,O=Let\'s Encrypt,C=US", '
        'expected text containing "Internal"'
    )
    assert (
        said({"certificate": {"subject": "CN=x"}}, answer())
        == 'subject of the certificate is absent, expected "CN=x"'
    )


@pytest.mark.parametrize(
    ("raw", "values", "message"),
    [
        ({"value": {"lt": 10}}, {"value": 9}, None),
        ({"value": {"lt": 10}}, {"value": 10.5}, "value is 10.5, expected less than 10"),
        (
            {"value": {"lt": 10}},
            {"value": "9"},
            'value is a string, "9", expected a number less than 10',
        ),
        (
            {"value": {"lt": 10}},
            {"value": None},
            "value is null, expected a number less than 10",
        ),
        ({"value": {"lt": 10}}, {}, "value is absent, expected less than 10"),
        ({"value": {"exists": False}}, {}, None),
        ({"value": {"exists": True}}, {"value": None}, None),
        ({"value": "ok"}, {"value": "ok"}, None),
        ({"value": None}, {"value": None}, None),
        ({"exit_code": 0}, {"exit_code": 0}, None),
        ({"exit_code": {"lte": 1}}, {"exit_code": 2}, "exit code is 2, expected at most 1"),
        ({"output": {"contains": "done"}}, {"output": "all done\n"}, None),
        (
            {"output": {"not_contains": "Traceback"}},
            {"output": "a\nTraceback (most"},
            'output is "a\\nTraceback (most", expected text not containing "Traceback"',
        ),
        ({"rcode": "NOERROR"}, {"rcode": "NXDOMAIN"}, 'rcode is "NXDOMAIN", expected "NOERROR"'),
        ({"dns_answer": {"count": 2}}, {"dns_answer": ["192.0.2.1", "192.0.2.2"]}, None),
        ({"dns_answer": {"any": {"equals": "192.0.2.2"}}}, {"dns_answer": ["192.0.2.2"]}, None),
        (
            {"dns_answer": {"every": {"starts_with": "192."}}},
            {"dns_answer": ["192.0.2.1", "10.0.0.1"]},
            'DNS answer is "10.0.0.1", expected every value to be text starting with "192." '
            "(1 of 2 are not)",
        ),
        (
            {"dns_answer": {"equals": "192.0.2.1"}},
            {"dns_answer": ["192.0.2.1", "192.0.2.2"]},
            'DNS answer finds 2 values (write every or any), expected exactly one: "192.0.2.1"',
        ),
        ({"dns_answer": {"exists": False}}, {"dns_answer": []}, None),
    ],
    ids=str,
)
def test_what_other_kinds_bring_is_compared_by_its_type(
    raw: object, values: dict[str, object], message: str | None
) -> None:
    assert said(raw, answer(status=None, values=values)) == message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"rows": {"count": 3}}, None),
        ({"rows": {"count": {"lt": 3}}}, "rows has 3 rows, expected less than 3"),
        ({"rows": {"any": {"column": "failed", "gt": 30}}}, None),
        (
            {"rows": {"every": {"column": "failed", "lt": 10}}},
            'column failed is 12 in row 2 (client_id "globex", region "us"), expected every value '
            "to be a number less than 10 (2 of 3 are not)",
        ),
        ({"rows": {"column": "client_id", "any": {"equals": "acme"}}}, None),
        ({"rows": {"column": "failed", "every": {"lt": 50}}}, None),
        (
            {"rows": {"column": "failed", "lt": 10}},
            "column failed has 3 values (write every or any), expected exactly one: less than 10",
        ),
        (
            {"rows": {"every": {"column": "fialed", "lt": 10}}},
            'column fialed is absent in row 1 (client_id "acme", failed 3, region "eu"), expected '
            "every value to be a number less than 10 (3 of 3 are not)",
        ),
        (
            {"rows": {"exists": False}},
            'rows has 3 rows, the first is {"client_id": "acme", "failed": 3, "region": "eu"}, '
            '{"client_id": "globex", "failed": 12, "region":…, expected to be absent',
        ),
    ],
    ids=str,
)
def test_a_row_that_is_not_healthy_is_named_by_its_other_columns(
    raw: object, message: str | None
) -> None:
    assert said(raw, answer(status=None, values={"rows": ROWS})) == message


def test_one_row_can_be_compared_without_a_quantifier() -> None:
    one = answer(status=None, values={"rows": ROWS[1:2]})

    assert said({"rows": {"column": "failed", "lt": 20}}, one) is None
    assert (
        said({"rows": {"column": "failed", "lt": 10}}, one)
        == "column failed is 12, expected less than 10"
    )
    assert (
        said({"rows": {"column": "gone", "lt": 10}}, one)
        == "column gone is absent, expected less than 10"
    )


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        (
            {"rows": {"every": {"lt": 10}}},
            ("rows", "every"),
            "expected a column, as in {column: failed, lt: 10}",
        ),
        (
            {"rows": {"lt": 10}},
            ("rows", "lt"),
            "expected a column beside lt, as in {column: failed, lt: …}",
        ),
        (
            {"redirect": {"hop": 1}},
            ("redirect", "hop"),
            'unknown part of redirect "hop", did you mean hops?',
        ),
        ({"exit_code": 1.5}, ("exit_code",), "expected a whole number, found 1.5"),
        (
            {"response_size": {"lt": "big"}},
            ("response_size", "lt"),
            "expected a size such as 512KiB, found 'big'",
        ),
        (
            {"json_schema": "a.json", "equals": 1},
            ("equals",),
            "expected json_schema alone, as in {json_schema: schemas/health.json}",
        ),
        (
            {"certificate": {"expires_in": "14d"}},
            ("certificate", "expires_in"),
            'expected operators, as in {certificate: {expires_in: {gt: 14d}}}, found "14d"',
        ),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(raw: object, path: tuple[str, ...], message: str) -> None:
    with pytest.raises(ExpectationError) as refused:
        compile_expectation(raw, "", read_file=lambda _: "{}")

    assert (refused.value.path, refused.value.message) == (path, message)


@pytest.mark.parametrize(
    "text",
    [
        b"<div>" * 100_000,
        b"<div><!--</div>-->" * 50_000,
        b"<ul><li>" * 50_000,
        b"<b><div>" * 50_000,
        b"<div><table><td></div></td></table>" * 30_000,
        b"<div><svg></div></svg>" * 40_000,
        b"<p>" + b"".join(b"<b i=%d>" % number for number in range(3_000)) + b"<p>x" * 100_000,
        b"<p " + b" ".join(b"a%d=1" % number for number in range(80_000)) + b">",
        b"<p " + b" ".join(b"a%d='>'" % number for number in range(60_000)) + b">",
        b"<p " + b" ".join(b"a%d='<'" % number for number in range(60_000)) + b">",
        b"<" * 1_000_000,
        b"<!--" * 250_000,
        b"<p a='" * 150_000,
        b"<title>" * 100_000,
        b"\xff\xfe\x00" * 1000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_no_page_makes_us_slow_or_takes_our_memory(text: bytes) -> None:
    used, memory = cpu_seconds(), peak_memory()

    said({"html": "div p", "exists": True}, page(text))

    assert cpu_seconds() - used < 5  # a page that is slow takes minutes
    assert peak_memory() - memory < 300 * 1024 * 1024


def cpu_seconds() -> float:
    """Give the processor time that this process has used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def peak_memory() -> int:
    """Give the most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
