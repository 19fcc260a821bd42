"""Messages: they point at the right place, say what was wanted, and never show a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from monitor.config.translate import Complaint, found, kind_of, translate, unknown_key
from monitor.fields import Options
from tests.support.configuring import API, configure, mistakes

if TYPE_CHECKING:
    from pathlib import Path


class Inner(Options):
    """A part of a plug-in's options."""

    size: int = 0
    title: str = ""


class Sample(Options):
    """Options with every kind of field that a plug-in may have."""

    whole: Annotated[int, Field(ge=1, lt=10)] = 1
    above: Annotated[float, Field(gt=0, le=1)] = 1.0
    flag: bool = False
    text: Annotated[str, Field(min_length=1, max_length=5)] = "x"
    long: Annotated[str, Field(min_length=3)] = "xxx"
    coded: Annotated[str, Field(pattern="^[a-z]+$")] = "x"
    words: Annotated[list[str], Field(min_length=1, max_length=2)] = Field(default=["x"])
    pair: tuple[int, int] = (1, 2)
    choice: Literal["a", "b"] = "a"
    either: int | Inner = 1
    inner: Inner = Inner()
    many: dict[str, Inner] = Field(default={})
    token: str = ""
    ratio: Annotated[float, Field(multiple_of=0.5)] = 0.5


def complaints(data: object) -> list[Complaint]:
    with pytest.raises(ValidationError) as refused:
        Sample.model_validate(data)

    return list(translate(refused.value, Sample, data, ("top",)))


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        ({"whole": "x"}, ("whole",), 'expected an integer, found "x"'),
        ({"whole": True}, ("whole",), "expected an integer, found true"),
        ({"whole": 1.5}, ("whole",), "expected an integer, found 1.5"),
        ({"whole": 0}, ("whole",), "expected at least 1, found 0"),
        ({"whole": 10}, ("whole",), "expected less than 10, found 10"),
        ({"above": 0.0}, ("above",), "expected more than 0.0, found 0.0"),
        ({"above": 2.0}, ("above",), "expected at most 1.0, found 2.0"),
        ({"above": "x"}, ("above",), 'expected a number, found "x"'),
        ({"flag": "yes"}, ("flag",), 'expected true or false, found "yes"'),
        ({"text": 5}, ("text",), "expected text, found 5; quote it"),
        ({"text": None}, ("text",), "expected text, found nothing"),
        ({"text": ["x"]}, ("text",), "expected text, found a list"),
        ({"text": ""}, ("text",), 'expected some text, found ""'),
        ({"text": "xxxxxx"}, ("text",), 'expected at most 5 characters, found "xxxxxx"'),
        ({"long": "x"}, ("long",), 'expected 3 or more characters, found "x"'),
        ({"coded": "X"}, ("coded",), 'expected text that matches ^[a-z]+$, found "X"'),
        ({"words": "x"}, ("words",), "expected a list, found text"),
        ({"words": []}, ("words",), "expected at least 1, found 0"),
        ({"words": ["x"] * 3}, ("words",), "expected at most 2, found 3"),
        ({"words": ["x", 1]}, ("words", 1), "expected text, found 1; quote it"),
        ({"pair": [1, 2]}, ("pair",), "expected a list, found a list"),
        ({"choice": "c"}, ("choice",), 'expected a or b, found "c"'),
        ({"inner": 5}, ("inner",), "expected a map, found a number"),
        ({"inner": {"size": "x"}}, ("inner", "size"), 'expected an integer, found "x"'),
        ({"many": {"a": {"size": "x"}}}, ("many", "a", "size"), 'expected an integer, found "x"'),
        ({"many": [1]}, ("many",), "expected a map, found a list"),
        ({"token": 12345}, ("token",), "expected text, found a number; quote it"),
        ({"ratio": 0.7}, ("ratio",), "input should be a multiple of 0.5, found 0.7"),
    ],
    ids=str,
)
def test_what_pydantic_finds_is_told_in_our_words(
    data: object, place: tuple[str | int, ...], message: str
) -> None:
    assert complaints(data) == [Complaint(at=("top", *place), message=message)]


def test_an_unknown_key_is_pointed_at_itself_with_what_was_meant() -> None:
    assert complaints({"inner": {"sise": 1}, "many": {"a": {"titel": ""}}}) == [
        Complaint(
            at=("top", "inner", "sise"), message="unknown key sise; did you mean size?", at_key=True
        ),
        Complaint(
            at=("top", "many", "a", "titel"),
            message="unknown key titel; did you mean title?",
            at_key=True,
        ),
    ]


def test_of_the_branches_of_a_union_the_first_is_told() -> None:
    assert [complaint.at for complaint in complaints({"either": "x"})] == [("top", "either")]


def test_an_unknown_key_unlike_any_names_those_that_are_known() -> None:
    assert unknown_key("zzz", ["b", "a"]) == "unknown key zzz, expected one of a, b"


def test_a_hostile_key_stays_on_one_line(tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, f'"a\\nb\\e[31m": 1\n{API}')

    assert told.startswith(r"1:1: a\nb\x1b[31m: unknown key a\nb\x1b[31m, expected one of")


@pytest.mark.parametrize("value", ['"a\\nb\\e[31m"', "x" * 100_000], ids=["acting", "long"])
def test_a_hostile_value_stays_on_one_line_that_can_be_read(tmp_path: Path, value: str) -> None:
    (told,) = mistakes(
        tmp_path,
        f"endpoints: {{api: {{url: https://a.example/, request: {{tls: {{ca_file: {value}}}}}}}}}",
    )

    assert told.isprintable()
    assert len(told) < 700


@pytest.mark.parametrize(
    ("value", "shown", "kind"),
    [
        (None, "nothing", "nothing"),
        (True, "true", "true or false"),
        (1.5, "1.5", "a number"),
        ("x\n", '"x\\n"', "text"),
        ("", '""', "empty text"),
        ({"token": "secret"}, "a map", "a map"),
        (["secret"], "a list", "a list"),
    ],
)
def test_a_value_is_shown_short_or_only_by_its_kind(value: object, shown: str, kind: str) -> None:
    assert (found(value), kind_of(value)) == (shown, kind)


@pytest.mark.parametrize(
    "text",
    [
        "endpoints: {api: {url: 'https://a.example/', every: '${SECRET}'}}",
        "endpoints: {api: {url: '${SECRET}'}}",
        "endpoints: {api: {url: 'https://a.example/', tags: ['${SECRET}']}}",
        "endpoints: {api: {url: 'https://a.example/', health: {severity: 'x${SECRET}'}}}",
        "endpoints: {api: {url: 'https://a.example/', health: {expect: ['${SECRET}']}}}",
        "endpoints: {api: {url: 'https://a.example/', request: {body_limit: '${SECRET}'}}}",
        "endpoints: {api: {url: 'https://a.example/', service: '${SECRET}'}}",
        f"store: 'postgresql://u:${{SECRET}}@db/'\n{API}",
        f"web: {{listen: '${{SECRET}}'}}\n{API}",
        f"notifiers: {{oncall: '${{SECRET}}'}}\n{API}",
        f"notifiers: {{oncall: {{slack: '${{SECRET}}'}}}}\n{API}",
        f"services: {{api: {{rollback: {{mode: '${{SECRET}}'}}}}}}\n{API}",
        f"services: {{api: {{rollback: {{when: {{any: ['${{SECRET}}']}}}}}}}}\n{API}",
        f"services: {{api: {{version: {{endpoint: api, json: '${{SECRET}}'}}}}}}\n{API}",
    ],
)
@pytest.mark.parametrize("secret", ["hunter2 hunter2", "h\u00fc2'\" x"])
def test_no_message_shows_what_a_variable_stands_for(
    tmp_path: Path, text: str, secret: str
) -> None:
    told = mistakes(tmp_path, text, SECRET=secret)

    assert told != []
    assert not [line for line in told if "hunter2" in line or "h\u00fc2" in line]


@pytest.mark.parametrize(
    "text",
    [
        f"notifiers: {{oncall: 'https://hooks.example/hunter2'}}\n{API}",
        f"notifiers: {{oncall: {{slack: 'https://hooks.example/hunter2'}}}}\n{API}",
        f"notifiers: {{oncall: {{slack: {{webhook_url: 'hunter2'}}}}}}\n{API}",
        f"web: {{tokens: [{{name: ci, scope: read, token: [hunter2]}}]}}\n{API}",
        f"web: hunter2\n{API}",
        "endpoints: {api: 'user:hunter2@shop.example/'}",
        "endpoints: {api: 'https://user:hunter2@shop.example:99999/'}",
        f"web: {{tokens: hunter2}}\n{API}",
    ],
)
def test_no_message_shows_a_secret_that_is_written_out(tmp_path: Path, text: str) -> None:
    told = mistakes(tmp_path, text)

    assert told != []
    assert "hunter2" not in str(told)


def test_a_mistake_hides_no_other(tmp_path: Path) -> None:
    text = """\
        defaults: {every: 5, severity: bad}
        web: {listen: 5, tokens: [{name: a, scope: read, token: abcdefgh}]}
        store: x
        environment: 5
        endpoints:
          api:
            url: nowhere
            every: 1h
            timeout: 7
            health: {severity: bad, expect: [{statsu: 200}, {status: 200}]}
            headers: {policies: [hts], severity: 5}
            latency: {p96: {lt: 1s}, max: {window: 5m}}
        services:
          api:
            runbook: x
            version: {endpoint: apy, json: x}
            rollback:
              mode: x
              steps: [{command: [/missing/restore.sh]}, {x: {}}, 5]
              when: {any: [api.health, web.health], within: 5}
    """

    assert [line.split(": ")[1] for line in mistakes(tmp_path, text)] == [
        "defaults.every",
        "defaults.severity",
        "web.listen",
        "store",
        "environment",
        "endpoints.api.url",
        "endpoints.api.timeout",
        "endpoints.api.health.severity",
        "endpoints.api.health.expect[0].statsu",
        "endpoints.api.headers.policies[0]",
        "endpoints.api.headers.severity",
        "endpoints.api.latency.p96",
        "endpoints.api.latency.max",
        "services.api.runbook",
        "services.api.version.endpoint",
        "services.api.version.json",
        "services.api.rollback.mode",
        "services.api.rollback.steps[0].command",
        "services.api.rollback.steps[1].x",
        "services.api.rollback.steps[2]",
        "services.api.rollback.when.any[1]",
        "services.api.rollback.when.within",
    ]


def test_no_mistake_is_made_up_from_what_is_left_of_a_wrong_part(tmp_path: Path) -> None:
    text = """\
        endpoints:
          api: {url: https://a.example/, every: 5, timeout: 5m, latency: {max: {lt: 6m}}}
          web: {url: https://a.example/, evry: 5s, latency: {max: {lt: 5s}}}
        services:
          api: {rollback: {when: {any: [api.health], within: 5}, verify: {within: 1ms}}}
    """

    assert len(mistakes(tmp_path, text)) == 3


def test_what_is_shown_has_variables_as_written_and_secrets_masked(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    text = f"""\
environment: "${{ENVIRONMENT:-staging}}"
web: {{tokens: [{{name: ci, scope: read, token: literal-secret}}]}}
notifiers:
  hook: {{webhook: {{url: "https://ops.example/hook", secret: "${{file:{tmp_path}/token}}"}}}}
endpoints:
  api:
    url: https://user:pass-word@api.shop.example/
    request: {{headers: {{Accept: text/html, Authorization: Bearer abcdefgh}}}}
"""

    compiled = configure(tmp_path, text)

    assert compiled.directory.environment == "staging"
    assert compiled.shown["environment"] == "${ENVIRONMENT:-staging}"
    assert compiled.shown["web"] == {"tokens": [{"name": "ci", "scope": "read", "token": "***"}]}
    for secret in ("literal-secret", "from-a-file", "pass-word", "abcdefgh"):
        assert secret not in str(compiled.shown)
    assert "text/html" in str(compiled.shown)
