"""What the options of notifiers take, and what they say about what they do not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.notifiers import KINDS
from monitor.notifiers._slack_options import SlackOptions
from monitor.notifiers.webhook import WebhookOptions
from tests.support.notices import make_context

BOT = {"token": "xoxb-1", "channel": "C1"}
HOOK = "https://hooks.slack.example/services/T/B/canary-secret"
KEY = "0123456789abcdef0123456789abcdef"
AM = {"urls": ["http://am:9093"]}
MAIL = {"host": "mail.example", "from": "Monitor <m@shop.example>", "to": ["Ana <a@shop.example>"]}


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
        ("slack", {**BOT, "app_token": "xapp-1", "users": ["U024BE7LH"]}),
        ("slack", {**BOT, "signing_secret": "s", "users": ["<@U024BE7LH>"], "approvers": []}),
        ("webhook", {"url": "https://ops.example/hook"}),
        ("webhook", {"url": "https://ops.example/hook", "secret": "whsec_aGVsbG8="}),
        ("webhook", {"url": "http://[::1]:8080/", "headers": {"Authorization": "Bearer x"}}),
        ("pagerduty", {"routing_key": KEY, "base_url": "https://events.eu.pagerduty.com/"}),
        ("alertmanager", {"urls": ["http://am-1:9093", "https://am.example/path/"]}),
        ("alertmanager", {"urls": ["http://[::1]:9093"], "auth": {"bearer": "canary-1"}}),
        ("email", {"host": "mail.example", "from": "m@shop.example", "to": "a@shop.example"}),
        ("email", {**MAIL, "username": "m", "password": "canary-1", "tls": "implicit"}),
        ("email", {**MAIL, "host": "127.0.0.1", "username": "m", "password": "x", "tls": "none"}),
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
        (
            "slack",
            {"webhook_url": HOOK, "app_token": "xapp-1"},
            "webhook_url and app_token exclude each other; remove one",
        ),
        (
            "slack",
            {**BOT, "app_token": "xoxb-1"},
            "expected an app-level token, which begins with xapp-, found another kind",
        ),
        (
            "slack",
            {**BOT, "users": ["U024BE7LH"]},
            "users may press buttons where app_token or signing_secret is",
        ),
        (
            "slack",
            {**BOT, "signing_secret": "s", "users": ["@ana"]},
            "expected the id of a member such as U024BE7LH (in Slack: their profile, "
            "Copy member ID), found '@ana'",
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
        (
            "pagerduty",
            {"routing_key": "canary-1"},
            "expected the integration key of Events API v2: 32 letters and digits, "
            "found 8 characters",
        ),
        (
            "pagerduty",
            {"routing_key": KEY, "base_url": "events"},
            "expected a URL such as https://events.pagerduty.com",
        ),
        (
            "alertmanager",
            {"urls": ["am:9093"]},
            "expected a URL such as http://alertmanager.example:9093",
        ),
        (
            "alertmanager",
            {**AM, "labels": {"severity": "page"}},
            "severity is set by the monitor itself; remove it",
        ),
        (
            "alertmanager",
            {**AM, "labels": {"a-b": "c"}},
            "expected a label name such as team, found 'a-b'",
        ),
        ("alertmanager", {**AM, "auth": {}}, "expected exactly one of basic, bearer"),
        (
            "alertmanager",
            {**AM, "auth": {"basic": {"username": "a:b", "password": "c"}}},
            "a user name of basic authentication cannot contain a colon",
        ),
        (
            "alertmanager",
            {**AM, "auth": {"bearer": "t"}, "headers": {"authorization": "t"}},
            "auth and the header Authorization exclude each other; remove one",
        ),
        (
            "alertmanager",
            {**AM, "expires_after": "1m"},
            "expected 2m to 1d: firing alerts are sent again each minute",
        ),
        (
            "alertmanager",
            {**AM, "ca_file": "/nowhere.pem"},
            "expected an existing file, found none at /nowhere.pem",
        ),
        (
            "email",
            {**MAIL, "to": ["ana"]},
            "expected an address such as on-call@shop.example, found 'ana'",
        ),
        (
            "email",
            {**MAIL, "from": "m@shop.example\r\nBcc: e@evil.example"},
            "expected an address such as on-call@shop.example, "
            "found 'm@shop.example\\r\\nBcc: e@evil.example'",
        ),
        (
            "email",
            {**MAIL, "host": "mail example"},
            "expected a host such as mail.shop.example, found 'mail example'",
        ),
        (
            "email",
            {**MAIL, "username": "m"},
            "expected username and password together, found username alone",
        ),
        (
            "email",
            {**MAIL, "username": "m", "password": "x", "tls": "none"},
            "a password is not sent without TLS; remove it or `tls: none`",
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
