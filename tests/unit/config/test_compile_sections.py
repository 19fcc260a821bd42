"""The other sections: store, web, witnesses, defaults, and the interval from the environment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from monitor.config import ConfigError, Scope, compile_url, load
from monitor.core.model.endpoint import InARow
from monitor.core.model.witness import Witness
from monitor.options import Secret
from tests.support.configuring import API, configure, mistakes

_CONFIG: Final = Path(__file__).parents[3] / "config"
_VARIABLES: Final = {
    name: f"secret-of-{name.lower()}"
    for name in (
        "ADMIN_TOKEN",
        "API_TOKEN",
        "BACKUP_PING_KEY",
        "DEPLOY_TOKEN",
        "HOOK_SECRET",
        "ONCALL_TOKEN",
        "RELEASE_TOKEN",
        "SLACK_APP_TOKEN",
        "SLACK_BOT_TOKEN",
    )
} | {"SLACK_WEBHOOK_URL": "https://hooks.example/services/T1/B1/secret"}


def test_the_default_configuration_needs_no_environment() -> None:
    compiled = load([_CONFIG / "monitor.yml"], environ={})

    assert [endpoint.name for endpoint in compiled.endpoints] == ["monitor"]


def test_the_minimal_example_names_one_endpoint_and_one_receiver() -> None:
    path = _CONFIG / "examples" / "minimal.yml"

    compiled = load([path], environ=_VARIABLES)

    assert [endpoint.name for endpoint in compiled.endpoints] == ["shop"]
    assert [plugin.kind for plugin in compiled.notifiers.values()] == ["slack"]
    assert len([line for line in path.read_text().splitlines() if line[:1] != "#"]) == 4


def test_the_full_example_loads_and_shows_no_secret() -> None:
    compiled = load([_CONFIG / "examples" / "full.yml"], environ=_VARIABLES)

    homepage = compiled.endpoints[0]
    assert [check.id for check in homepage.checks] == [
        "homepage.health",
        "homepage.headers",
        "homepage.headers.drift",
        "homepage.latency.p95",
        "homepage.latency.max",
        "homepage.certificate",
    ]
    # "more than three consecutive windows" is a threshold of four
    assert homepage.checks[3].failure_threshold == InARow(count=4)
    assert [plugin.kind for plugin in compiled.hooks["storefront"]] == [
        "command",
        "webhook",
        "webhook",
        "webhook",
    ]
    assert not [value for value in _VARIABLES.values() if value in str(compiled.shown)]
    known = {secret.current for secret in compiled.secrets}
    assert set(_VARIABLES.values()) <= known | {secret.removeprefix("Bearer ") for secret in known}


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/monitor/monitor.db", "/var/lib/monitor/monitor.db"),
        ("sqlite:///state/monitor.db", "{here}/state/monitor.db"),
    ],
)
def test_a_store_is_a_file(tmp_path: Path, url: str, path: str) -> None:
    compiled = configure(tmp_path, f"store: {url}\n{API}")

    assert compiled.store == Path(path.format(here=tmp_path))


def test_the_store_is_in_the_state_directory_of_the_service_or_in_the_working_directory(
    tmp_path: Path,
) -> None:
    assert configure(tmp_path, API).store == tmp_path / ".production-monitor" / "monitor.db"
    compiled = configure(tmp_path, API, STATE_DIRECTORY="/var/lib/one:/var/lib/two")
    assert compiled.store == Path("/var/lib/one/monitor.db")


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:9797", "127.0.0.1", 9797),
        ("[::1]:8080", "::1", 8080),
        ("localhost:0", "localhost", 0),
        ("127.8.8.8:1", "127.8.8.8", 1),
    ],
)
def test_listening_on_loopback_needs_no_token(
    tmp_path: Path, listen: str, host: str, port: int
) -> None:
    web = configure(tmp_path, f'web: {{listen: "{listen}"}}\n{API}').web

    assert (web.host, web.port) == (host, port)


@pytest.mark.parametrize(
    "listen",
    ["0.0.0.0:9797", "[::]:9797", "192.0.2.1:9797", "monitor.shop.example:9797"],
)
def test_listening_where_others_reach_it_needs_a_token(tmp_path: Path, listen: str) -> None:
    text = f'web: {{listen: "{listen}"}}\n{API}'
    with_token = text.replace("}", ", tokens: [{name: ci, scope: deploy, token: abcdefgh}]}", 1)

    assert len(mistakes(tmp_path, text)) == 1
    assert mistakes(tmp_path, with_token) == []


@pytest.mark.parametrize(
    "listen", ["[::1]", "[x]:1", "host name:1", ":9797", "127.0.0.1:65536", "127.0.0.1:x", "1"]
)
def test_an_address_has_a_host_and_a_port(tmp_path: Path, listen: str) -> None:
    (told,) = mistakes(tmp_path, f'web: {{listen: "{listen}"}}\n{API}')

    assert "web.listen: expected host:port such as 127.0.0.1:9797 or [::1]:9797, found" in told


def test_tokens_have_names_and_scopes(tmp_path: Path) -> None:
    text = f"""\
web:
  tokens:
    - {{name: ci, scope: deploy, token: "${{TOKEN}}"}}
  open: [metrics, badge]
{API}"""

    compiled = configure(tmp_path, text, TOKEN="a-long-secret")

    (token,) = compiled.web.tokens
    assert (token.name, token.scope) == ("ci", Scope.DEPLOY)
    assert token.secret == Secret("a-long-secret")
    assert compiled.web.open == {"metrics", "badge"}
    assert Secret("a-long-secret") in compiled.secrets
    assert "a-long-secret" not in repr(compiled)


def test_a_scope_includes_those_below_it() -> None:
    assert Scope.OPERATE.allows(Scope.DEPLOY)
    assert Scope.READ.allows(Scope.READ)
    assert not Scope.DEPLOY.allows(Scope.OPERATE)


def test_witnesses_are_ports_and_urls(tmp_path: Path) -> None:
    text = f"""\
witnesses:
  - tcp: "[2001:db8::1]:53"
  - url: https://www.example.org/
{API}"""

    assert configure(tmp_path, text).witnesses == (
        Witness(tcp="[2001:db8::1]:53"),
        Witness(url="https://www.example.org/"),
    )


def test_a_witness_has_a_port_that_can_be_reached(tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, f'witnesses: [{{tcp: "192.0.2.1:0"}}]\n{API}')

    assert told.endswith("witnesses[0].tcp: expected a port of 1 to 65535, found 0")


def test_results_are_kept_for_ninety_days(tmp_path: Path) -> None:
    assert configure(tmp_path, API).retention == timedelta(days=90)
    assert configure(tmp_path, f"retention: 7d\n{API}").retention == timedelta(days=7)


def test_sections_without_content_are_as_if_left_out(tmp_path: Path) -> None:
    text = f"web:\ndefaults:\nwitnesses:\nnotifiers:\nservices:\ninclude:\n{API}"

    assert configure(tmp_path, text).every == timedelta(seconds=30)


class TestMonitorInterval:
    """`MONITOR_INTERVAL` replaces `defaults.every`."""

    @pytest.mark.parametrize(
        ("value", "every"), [("5000", 5), ("2s", 2), ("1m30s", 90), (" 15s ", 15), ("", 60)]
    )
    def test_is_a_duration_or_milliseconds(self, tmp_path: Path, value: str, every: int) -> None:
        compiled = configure(tmp_path, f"defaults: {{every: 1m}}\n{API}", MONITOR_INTERVAL=value)

        assert compiled.every == timedelta(seconds=every)
        assert compiled.endpoints[0].every == timedelta(seconds=every)

    def test_leaves_alone_what_an_endpoint_says_itself(self, tmp_path: Path) -> None:
        text = "endpoints: {api: {url: https://a.example/, every: 1m}}"

        (api,) = configure(tmp_path, text, MONITOR_INTERVAL="5s").endpoints

        assert api.every == timedelta(minutes=1)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("often", "expected a duration such as 30s, found 'often'"),
            ("0", "expected 100ms to 1d, found 0s"),
            ("1e9", "expected a duration such as 30s, found '1e9'"),
            ("999999999999", "expected a duration of at most 3650d"),
            ("2d", "expected 100ms to 1d, found 2d"),
        ],
    )
    def test_is_refused_by_name(self, tmp_path: Path, value: str, message: str) -> None:
        (told,) = mistakes(tmp_path, API, MONITOR_INTERVAL=value)

        assert told.startswith(f"MONITOR_INTERVAL:1:1: {message}")

    def test_is_named_where_it_makes_a_timeout_too_long(self, tmp_path: Path) -> None:
        text = f"defaults: {{timeout: 10s}}\n{API}"

        assert mistakes(tmp_path, text, MONITOR_INTERVAL="5s") == [
            "1:21: defaults.timeout: a timeout of 10s is longer than the interval of 5s "
            "that MONITOR_INTERVAL sets: expected at most 5s"
        ]


def test_loading_again_gives_the_same_so_that_a_reload_restarts_nothing() -> None:
    first, again = (load([_CONFIG / "examples" / "full.yml"], environ=_VARIABLES) for _ in range(2))

    assert first.probes == again.probes
    assert first.notifiers == again.notifiers
    assert first.hooks == again.hooks
    fingerprints = [
        [check.fingerprint for endpoint in compiled.endpoints for check in endpoint.checks]
        for compiled in (first, again)
    ]
    assert fingerprints[0] == fingerprints[1]


def test_a_url_of_the_command_line_is_a_configuration_of_its_own() -> None:
    (endpoint,) = compile_url("https://shop.example/", environ={}).endpoints

    assert endpoint.target == "https://shop.example/"
    with pytest.raises(ConfigError, match=r"^command line:1:1: .*expected a URL such as"):
        compile_url("shop.example", environ={})
