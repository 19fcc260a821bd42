"""Imports: what a peer's configuration becomes is valid, and nothing of it is lost in silence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from monitor.config import load
from monitor.core.expectations import ExpectationError, compile_expectation
from monitor.tools.importing.blackbox import import_blackbox, targets_of_prometheus
from monitor.tools.importing.draft import Draft, write_draft
from monitor.tools.importing.foreign import Unusable, read_foreign
from monitor.tools.importing.gatus import import_gatus
from monitor.tools.importing.gatus_conditions import NoCounterpart, draft_condition

if TYPE_CHECKING:
    from monitor.config import Compiled

PEERS = Path(__file__).with_name("peers")
DEBIANS = (
    Path("/etc/prometheus/blackbox.yml"),
    Path("/usr/share/doc/prometheus-blackbox-exporter/examples/blackbox.yml"),
    Path("/usr/share/doc/prometheus-blackbox-exporter/examples/example.yml"),
)


def adopt(draft: Draft, folder: Path) -> tuple[Compiled, dict[str, Any]]:
    """Write a draft, read it as a configuration, and give both; every variable is set."""
    text = write_draft(draft, head="Drafted in a test.")
    authority = folder / "authority.pem"
    authority.write_text("")
    (folder / "monitor.yml").write_text(text.replace("/certs/my_cert.crt", str(authority)))
    environ = {name: f"secret of {name}".replace(" ", "-") for name in draft.variables}
    environ |= {"SLACK_WEBHOOK_URL": "https://hooks.slack.example/x", "HEALTH_KEY": "k"}
    for name in [name for name in draft.variables if name.endswith("URL")]:
        environ[name] = "https://ops.example/hook"

    return load([folder / "monitor.yml"], environ=environ), yaml.safe_load(text)


def leftovers(draft: Draft) -> list[str]:
    """Give what was left over, without the file."""
    return [f"{one.where.partition(': ')[2]}: {one.why}" for one in draft.leftovers]


def test_modules_of_blackbox_exporter_become_endpoints(tmp_path: Path) -> None:
    draft = import_blackbox(read_foreign(PEERS / "blackbox.yml"))
    compiled, written = adopt(draft, tmp_path)
    endpoints = written["endpoints"]

    assert {one.name: one.kind for one in compiled.endpoints} == {
        "everything": "url",
        "with_token": "url",
        "with_token_file": "url",
        "with_other_scheme": "url",
        "with_oauth2": "url",
        "only_http2": "url",
        "smtp_starttls": "tcp",
        "local_socket": "tcp",
        "ping": "icmp",
        "names": "dns",
        "orders": "grpc",
        "live": "websocket",
    }
    assert endpoints["everything"]["health"]["expect"] == [
        {"status": {"in": [200, 204]}},
        {"http_version": {"in": ["1.1"]}},
        {"body": {"not_matches": "fatal"}},
        {"body": {"not_matches": "panic:"}},
        {"body": {"matches": "welcome"}},
        {"header": "Set-Cookie", "exists": False},
        {"header": "X-Debug", "not_matches": "on", "optional": True},
        {"header": "Server", "not_matches": "nginx/1"},
        {"header": "Cache-Control", "matches": "no-store", "optional": True},
        {"redirect": {"to": {"starts_with": "https://"}}},
        {"response_size": {"lte": "1MiB"}},
    ]
    request = endpoints["everything"]["request"]
    assert request["headers"]["X-Region"] == "eu $${not-a-variable}"
    assert (request["ip"], request["follow_redirects"]) == ("4", False)
    assert request["tls"] == {
        "verify": False,
        "server_name": "shop.example",
        "min_version": "TLS12",
    }
    steps = endpoints["smtp_starttls"]["tcp"]["dialogue"]
    assert steps[0]["labels"] == {"host": "{1}"}
    assert steps[1]["send"] == "EHLO {{prober}} {1} costs $5\r\n"
    assert endpoints["names"]["health"]["expect"][1:] == [
        {"dns_records": {"answer": {"not_matches": "spam"}}},
        {"dns_records": {"answer": {"every": {"matches": "backup"}}}},
        {"dns_records": {"answer": {"every": {"matches": "IN\tMX"}}}},
        {"dns_records": {"answer": {"matches": "(?:10 mail)|(?:20 mail)"}}},
    ]


def test_what_has_no_counterpart_is_told_with_its_place() -> None:
    draft = import_blackbox(read_foreign(PEERS / "blackbox.yml"))

    told = leftovers(draft)
    assert [one.partition(": ")[0] for one in told] == [
        "modules.everything.http.http_headers.X-Tenant",
        "modules.everything.http.basic_auth",
        "modules.everything.http.proxy_from_environment",
        "modules.everything.http.fail_if_body_json_not_matches_cel",
        "modules.with_other_scheme.http.authorization",
        "modules.only_http2.http.valid_http_versions",
        "modules.smtp_starttls.tcp.source_ip_address",
        "modules",
    ]
    assert draft.leftovers[3].where.startswith(f"{PEERS / 'blackbox.yml'}:23:")


def test_no_secret_of_theirs_is_copied(tmp_path: Path) -> None:
    blackbox = import_blackbox(read_foreign(PEERS / "blackbox.yml"))
    gatus = import_gatus(read_foreign(PEERS / "gatus.yml"))

    for draft in (blackbox, gatus):
        text = write_draft(draft, head="")
        assert "hunter22" not in text
        assert draft.variables
        for name in draft.variables:
            assert f"${{{name}}}" in text


def test_jobs_of_prometheus_say_the_targets(tmp_path: Path) -> None:
    found = Draft()
    targets = targets_of_prometheus(read_foreign(PEERS / "prometheus.yml"), found)
    draft = import_blackbox(read_foreign(PEERS / "blackbox.yml"), targets)
    _, written = adopt(draft, tmp_path)

    endpoints = written["endpoints"]
    assert endpoints["sites-shop-example"]["url"] == "https://shop.example/"
    assert endpoints["sites-www-shop-example-health"]["every"] == "30s"
    assert endpoints["pings-gateway-example"]["icmp"]["host"] == "gateway.example"
    assert endpoints["pings-gateway-example"]["every"] == "15s"
    assert [one.why for one in found.leftovers] == [
        "targets that are discovered are not followed: name them"
    ]
    assert any("the module nothing" in one.why for one in draft.leftovers)


@pytest.mark.needs("prometheus-blackbox-exporter")
@pytest.mark.parametrize("path", DEBIANS, ids=lambda path: path.parent.name + "-" + path.name)
def test_the_configurations_that_debian_ships_are_taken_over(path: Path, tmp_path: Path) -> None:
    draft = import_blackbox(read_foreign(path))
    compiled, _ = adopt(draft, tmp_path)

    assert len(compiled.endpoints) == len(yaml.safe_load(path.read_text())["modules"])
    assert {one.why for one in draft.leftovers} <= {
        "the system chooses where it comes from",
        "say no targets: put yours in the place of target.invalid, or name --prometheus",
    }


def test_endpoints_of_gatus_become_endpoints(tmp_path: Path) -> None:
    draft = import_gatus(read_foreign(PEERS / "gatus.yml"))
    compiled, written = adopt(draft, tmp_path)
    endpoints = written["endpoints"]

    assert {one.name: one.kind for one in compiled.endpoints} == {
        "shop-front-end": "url",
        "api": "url",
        "mail": "tcp",
        "database": "tcp",
        "secure-port": "tcp",
        "gateway": "icmp",
        "names": "dns",
        "live": "websocket",
        "orders": "grpc",
        "shell": "tcp",
        "shop-nightly-backup": "heartbeat",
    }
    front = endpoints["shop-front-end"]
    assert front["url"] == "https://shop.example/health?key=${HEALTH_KEY}"
    assert front["request"]["json"] == {"query": "{ users { name } }"}
    assert (front["every"], front["timeout"], front["tags"]) == ("5m", "3s", ["shop"])
    assert front["health"] == {
        "expect": [
            {"status": {"in": [200, 429]}},
            {"response_time": {"lt": "500ms"}},
            {"json": "$.user.name", "equals": "john"},
            {"json": "$.users[0].id", "in": [42, "42"]},
            {"json": "$.active", "not_in": [False, "false"]},
            {"json": "$.version", "matches": "(?s)^1\\."},
            {"json": "$.data[*]", "count": {"lt": 5}},
            {"json": "$.errors", "exists": False},
            {"certificate": {"expires_in": {"gt": "48h"}}},
        ],
        "failure_threshold": 2,
        "success_threshold": 1,
    }
    assert endpoints["api"]["health"]["expect"][0] == {"status": {"between": [100, 599]}}
    assert written["witnesses"] == [{"tcp": "1.1.1.1:53"}]
    assert set(written["notifiers"]) == {"slack", "custom"}


def test_what_gatus_has_alone_is_told() -> None:
    draft = import_gatus(read_foreign(PEERS / "gatus.yml"))

    told = "\n".join(leftovers(draft))
    for part in (
        "alerting.discord: there is no such notifier here yet",
        "alerting.custom.body",
        "'[DOMAIN_EXPIRATION] > 720h' has no counterpart",
        "'[IP] == 127.0.0.1' has no counterpart",
        "endpoints[0].alerts: the thresholds differ",
        "endpoints[9].ssh: nobody logs in",
        "endpoints[10].url: nothing is sent over bare UDP",
        "off is turned off, and left out",
        "is pushed at no interval",
        "maintenance: write its windows under maintenance",
        "suites: write it as a journey",
        "storage: is about Gatus itself",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("condition", "expectation"),
    [
        ("[STATUS] < 300", {"status": {"lt": 300}}),
        ("[STATUS] != 500", {"status": {"not_equals": 500}}),
        ("200 == [STATUS]", {"status": {"equals": 200}}),
        ("500 > [RESPONSE_TIME]", {"response_time": {"lt": "500ms"}}),
        ("[BODY] == ok", {"body": {"equals": "ok"}}),
        ("[BODY] != pat(*error*)", {"body": {"not_matches": "(?s)error"}}),
        ("[BODY].a.b-c[2] == x", {"json": "$.a['b-c'][2]", "equals": "x"}),
        ("[BODY].age >= 18.5", {"json": "$.age", "gte": 18.5}),
        ("[BODY].x == any(a, 5)", {"json": "$.x", "in": ["a", 5, "5"]}),
        ("[BODY].x == null", {"json": "$.x", "in": [None, "null"]}),
        ("len([BODY].list) == 0", {"json": "$.list[*]", "count": {"equals": 0}}),
        ("has([BODY].x) != true", {"json": "$.x", "exists": False}),
    ],
)
def test_a_condition_becomes_an_expectation(condition: str, expectation: dict[str, Any]) -> None:
    assert draft_condition(condition, "url") == [expectation]
    try:
        compile_expectation(expectation, "")
    except ExpectationError as error:
        pytest.fail(error.message)


@pytest.mark.parametrize(
    "condition",
    ["[STATUS]", "[NEW] == 1", "[BODY].a == [BODY].b", "[STATUS] == x", "[BODY].a[b] == 1", "== 1"],
)
def test_a_condition_that_cannot_be_said_here_is_refused(condition: str) -> None:
    with pytest.raises(NoCounterpart):
        draft_condition(condition, "url")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modules: {a: ]}", ":1:14: this is no YAML"),
        ("a: 1", ": expected modules, as blackbox_exporter has them"),
        ("modules: {a: {prober: gopher}}", ":1:23: modules.a.prober: expected one of http, tcp"),
        ("modules: {a: 5}", ":1:14: modules.a: expected a mapping, found 5"),
        ("modules: {a: {prober: http, http: {method: [GET]}}}", "expected a text, found a list"),
        ("modules: " + "[" * 100, "nested more than 50 deep"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n" * 1 + "modules: {}", ""),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "peer.yml"
    path.write_text(text)
    if not message:
        assert import_blackbox(read_foreign(path)).endpoints == {}
        return

    with pytest.raises(Unusable) as refused:
        import_blackbox(read_foreign(path))
    assert message in str(refused.value)


def test_aliases_of_aliases_do_not_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "peer.yml").write_text("\n".join(lines))

    with pytest.raises(Unusable, match="too many values"):
        read_foreign(tmp_path / "peer.yml")
