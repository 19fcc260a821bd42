"""Expectations in a configuration: files that they name, places of mistakes, what is shared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from monitor.config import load
from monitor.core.expectations import schemas_of
from monitor.core.model.endpoint import HealthRule
from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
    from monitor.core.expectations import Expectation
    from monitor.core.model.endpoint import Check

WITH_SCHEMA = """\
endpoints:
  api:
    url: https://api.shop.example/
    health:
      expect:
        - json_schema: schemas/health.json
"""


def schema(folder: Path, text: str) -> None:
    """Write the schema that the configuration of this module names."""
    (folder / "schemas").mkdir(exist_ok=True)
    (folder / "schemas/health.json").write_text(text)


def health(folder: Path) -> Check:
    """Load the configuration of this module, and give its only check."""
    return configure(folder, WITH_SCHEMA).endpoints[0].checks[0]


def expectations(check: Check) -> tuple[Expectation, ...]:
    """Give what a health check expects."""
    assert isinstance(check.rule, HealthRule)

    return check.rule.expectations


def test_a_schema_is_a_file_beside_the_configuration(tmp_path: Path) -> None:
    schema(tmp_path, '{"type": "object"}')

    assert [one.name for one in expectations(health(tmp_path))] == ["schemas/health.json"]


def test_a_schema_is_beside_the_file_that_names_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.yml").write_text(WITH_SCHEMA.replace("api:", f"{name}:", 1))
        schema(tmp_path / name, f'{{"title": "{name}"}}')
    (tmp_path / "monitor.yml").write_text("include: [a/one.yml, b/one.yml]\n")

    endpoints = load([Path("monitor.yml")], environ={}, cwd=tmp_path).endpoints

    digests = [schemas_of(expectations(endpoint.checks[0])) for endpoint in endpoints]
    assert len(digests) == 2
    assert digests[0] != digests[1]


def test_another_schema_in_the_same_file_is_another_rule(tmp_path: Path) -> None:
    schema(tmp_path, '{"type": "object"}')
    before = health(tmp_path)
    schema(tmp_path, '{"type": "array"}')
    after = health(tmp_path)

    assert before.fingerprint != after.fingerprint
    assert before != after


def test_what_is_wrong_with_a_schema_is_told_where_it_is_named(tmp_path: Path) -> None:
    place = "6:24: endpoints.api.health.expect[0].json_schema:"

    assert mistakes(tmp_path, WITH_SCHEMA) == [
        f'{place} "schemas/health.json" cannot be read: No such file or directory'
    ]
    schema(tmp_path, '{"$ref": "https://other.example/"}')
    assert mistakes(tmp_path, WITH_SCHEMA) == [
        f'{place} "schemas/health.json" refers to "https://other.example/", which is not in it '
        "(nothing else is read)"
    ]
    schema(tmp_path, "type: object")
    assert mistakes(tmp_path, WITH_SCHEMA) == [
        f'{place} "schemas/health.json" is not JSON (Expecting value at line 1 column 1)'
    ]
    (tmp_path / "schemas/health.json").write_bytes(b'"\xff"')
    assert mistakes(tmp_path, WITH_SCHEMA) == [f'{place} "schemas/health.json" is not UTF-8']


def test_a_source_that_an_answer_over_http_does_not_have_is_refused(tmp_path: Path) -> None:
    text = """\
        endpoints:
          api:
            url: https://api.shop.example/
            health:
              expect:
                - exit_code: 0
    """

    assert mistakes(tmp_path, text) == [
        "6:11: endpoints.api.health.expect[0].exit_code: an answer to url has no exit_code, "
        "expected one of status, header, body, json, json_schema, html, response_time, "
        "response_size, redirect, certificate, http_version"
    ]


def test_a_certificate_is_not_expected_of_what_never_speaks_tls(tmp_path: Path) -> None:
    text = """\
        endpoints:
          api:
            url: http://api.shop.example/
            request: {follow_redirects: false}
            health:
              expect:
                - certificate: {expires_in: {gt: 14d}}
    """

    (told,) = mistakes(tmp_path, text)
    assert told == (
        "7:11: endpoints.api.health.expect[0].certificate: a certificate needs an https:// URL, "
        "or redirects that are followed to one"
    )


def test_each_part_of_a_source_stands_where_it_was_written(tmp_path: Path) -> None:
    text = """\
        endpoints:
          api:
            url: https://api.shop.example/
            health:
              expect:
                - redirect: {to: https://api.shop.example/v2, hops: 1}
                - status: 200
    """

    check = configure(tmp_path, text).endpoints[0].checks[0]

    assert [one.at for one in expectations(check)] == [
        "monitor.yml:6:11",
        "monitor.yml:6:11",
        "monitor.yml:7:11",
    ]
