"""Kinds: an endpoint names exactly one, and its options stand under its key or beside others."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from monitor.config.compile_endpoints import Pace, Watched, compile_endpoints
from monitor.config.document import Document, Position
from monitor.config.findings import Findings
from monitor.config.masking import mask
from monitor.config.settings import Defaults
from monitor.core.expectations import Source
from monitor.core.judge import judge
from monitor.core.model.verdict import Outcome
from monitor.fields import Kinds, SecretText
from monitor.options import Secret
from monitor.probes import http
from monitor.probes.kind import ProbeKind, ProbeOptions
from tests.support.judging import answer


class TcpOptions(ProbeOptions):
    """A kind whose options stand under its own key."""

    host: str
    password: SecretText | None = None
    more: list[dict[str, SecretText]] | None = None


_KINDS: Final = Kinds(
    {
        "url": http.KIND,
        "tcp": ProbeKind(
            options=TcpOptions,
            make=None,
            sources=frozenset({Source.BODY, Source.RESPONSE_TIME}),
        ),
    },
    beside={"url": ("request",)},
)


def compile_one(data: object) -> tuple[Watched, list[str]]:
    """Compile one endpoint named `it` by a table with two kinds."""
    raw: dict[str, object] = {"it": data}
    document = Document(data={"endpoints": raw}, positions={(): Position("m.yml", 1, 1)}, keys={})
    findings = Findings(document, Path("/nowhere"))
    defaults = Defaults()
    watched = compile_endpoints(
        findings, raw, _KINDS, Pace(defaults=defaults, every=defaults.every)
    )

    return watched, [problem.message for problem in findings.problems]


def test_options_stand_under_the_key_of_their_kind() -> None:
    watched, told = compile_one({"tcp": {"host": "db.example"}, "every": "1m"})

    assert told == []
    assert watched.probes["it"].options == TcpOptions(host="db.example")
    # a kind that shows nothing else is shown by the name of its endpoint
    assert (watched.endpoints["it"].kind, watched.endpoints["it"].target) == ("tcp", "it")


def test_an_endpoint_of_two_kinds_is_refused() -> None:
    _, told = compile_one({"url": "https://a.example/", "tcp": {"host": "db.example"}})

    assert told == ["expected exactly one kind of probe, found url and tcp"]


def test_an_endpoint_of_no_kind_is_told_which_there_are() -> None:
    _, told = compile_one({"every": "1m"})

    assert told == ["nothing says what to ask: expected one of url, tcp"]


def test_the_keys_of_another_kind_are_not_taken() -> None:
    _, told = compile_one({"tcp": {"host": "db.example", "prot": 5}})

    assert told == ["unknown key prot, expected one of host, more, password"]


def test_a_fingerprint_is_of_the_options_without_their_secrets() -> None:
    def fingerprint(**options: str) -> str:
        watched, _ = compile_one({"tcp": options})
        return watched.endpoints["it"].checks[0].fingerprint

    assert fingerprint(host="a", password="xxxx") == fingerprint(host="a", password="yyyy")
    assert fingerprint(host="a", password="xxxx") != fingerprint(host="b", password="xxxx")


def test_secrets_are_found_at_any_depth_and_masked_in_any_type() -> None:
    options = TcpOptions.model_validate(
        {"host": "h", "password": "12345", "more": [{"a": "inner-secret"}]}
    )

    secrets = options.secrets

    assert set(secrets) == {Secret("12345"), Secret("inner-secret")}
    written = {"a": [12345, 12, True, None], "b": "x inner-secret y"}
    assert mask(written, secrets) == {"a": ["***", 12, True, None], "b": "x *** y"}


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert mask("abcd abcdef", (Secret("abcd"), Secret("abcdef"))) == "*** ***"


def test_an_expectation_on_what_a_kind_does_not_tell_is_refused() -> None:
    _, told = compile_one({"tcp": {"host": "db.example"}, "health": {"expect": [{"status": 200}]}})

    assert told == ["an answer to tcp has no status, expected one of body, response_time"]


def test_a_source_that_is_written_wrong_is_told_which_the_kind_has() -> None:
    _, told = compile_one({"tcp": {"host": "db.example"}, "health": {"expect": [{"bdy": "x"}]}})

    assert told == ['unknown source "bdy", did you mean body?']


def test_an_answer_without_a_status_is_a_success_by_itself() -> None:
    watched, _ = compile_one({"tcp": {"host": "db.example"}})

    assert judge(watched.endpoints["it"].checks[0], answer(status=None)).outcome is Outcome.PASS
