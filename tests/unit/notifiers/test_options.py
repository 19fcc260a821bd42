"""What the options of notifiers take, and what they say about what they do not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.notifiers import KINDS
from monitor.notifiers.slack import SlackOptions
from monitor.notifiers.webhook import WebhookOptions
from tests.support.notices import make_context

HOOK = "https://hooks.slack.example/services/T/B/canary-secret"


def problem(kind: str, data: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        KINDS[kind].options.model_validate(data)

    return "; ".join(str(one["ctx"].get("error", one["msg"])) for one in caught.value.errors())


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("slack", {"webhook_url": HOOK}),
        ("slack", {"token": "xoxb-1", "channel": "#on-call"}),
        ("slack", {"token": "xoxb-1", "channel": "C1", "base_url": "http://proxy.example/api"}),
        ("webhook", {"url": "https://ops.example/hook"}),
        ("webhook", {"url": "https://ops.example/hook", "secret": "whsec_aGVsbG8="}),
        ("webhook", {"url": "http://[::1]:8080/", "headers": {"Authorization": "Bearer x"}}),
        ("log", {}),
    ],
)
def test_what_people_write_is_taken(kind: str, data: dict[str, Any]) -> None:
    options = KINDS[kind].options.model_validate(data)

    assert KINDS[kind].make(options, make_context())


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("slack", {}, "expected webhook_url, or token and channel together"),
        ("slack", {"token": "xoxb-1"}, "expected webhook_url, or token and channel together"),
        ("slack", {"channel": "#on-call"}, "expected webhook_url, or token and channel together"),
        (
            "slack",
            {"webhook_url": HOOK, "channel": "#on-call"},
            "webhook_url and channel exclude each other; remove one",
        ),
        ("slack", {"webhook_url": "hooks"}, "expected a URL such as https://ops.example/hook"),
        (
            "slack",
            {"token": "xoxb-1\n", "channel": "c"},
            "expected one line of text, found a control character",
        ),
        (
            "slack",
            {"token": "x", "channel": "c", "base_url": "ftp://x/"},
            "expected a URL such as https://slack.com/api/",
        ),
        (
            "slack",
            {"webhook_url": HOOK, "timeout": "5m"},
            "expected a timeout above 0 and up to 30s, found 5m",
        ),
        ("webhook", {"url": "https:///hook"}, "expected a URL such as https://ops.example/hook"),
        (
            "webhook",
            {"url": "https://a.example/a b"},
            "expected a URL such as https://ops.example/hook",
        ),
        (
            "webhook",
            {"url": "https://a.example:99999/"},
            "expected a URL such as https://ops.example/hook",
        ),
        ("webhook", {"url": HOOK, "method": "GET"}, "expected POST, PUT or PATCH, found 'GET'"),
        (
            "webhook",
            {"url": HOOK, "headers": {"Idempotency-Key": "1"}},
            "Idempotency-Key is set by the monitor itself; remove it",
        ),
        (
            "webhook",
            {"url": HOOK, "headers": {"X A": "1"}},
            "expected a header name such as Authorization, found 'X A'",
        ),
        (
            "webhook",
            {"url": HOOK, "headers": {"X-A": "1", "x-a": "2"}},
            "header x-a is given twice; names ignore case",
        ),
        ("webhook", {"url": HOOK, "secret": "whsec_!"}, "expected base64 after whsec_"),
        (
            "webhook",
            {"url": HOOK, "secret": "whsec_"},
            "expected base64 after whsec_, found nothing",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    kind: str, data: dict[str, Any], said: str
) -> None:
    assert problem(kind, data) == said


def test_a_refusal_does_not_show_the_secret() -> None:
    assert "canary" not in problem("slack", {"webhook_url": "canary-secret no url"})


def test_ten_seconds_are_the_timeout_unless_another_is_given() -> None:
    assert WebhookOptions.model_validate({"url": HOOK}).timeout == timedelta(seconds=10)
    assert SlackOptions.model_validate({"webhook_url": HOOK}).timeout == timedelta(seconds=10)


def test_options_show_no_secret() -> None:
    shown = repr(SlackOptions.model_validate({"webhook_url": HOOK}))

    assert "canary" not in shown


def test_the_same_options_are_equal_so_that_a_reload_keeps_the_worker() -> None:
    one, other = (WebhookOptions.model_validate({"url": HOOK, "secret": "shh"}) for _ in "12")

    assert one == other
