"""Imports copy no credential, wherever in the configuration of a peer it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from monitor.tools.importing.blackbox import import_blackbox, targets_of_prometheus
from monitor.tools.importing.credentials import hide_url, hides, host_and_path, looks_secret
from monitor.tools.importing.draft import Draft, write_draft
from monitor.tools.importing.foreign import read_foreign
from monitor.tools.importing.gatus import import_gatus
from monitor.tools.importing.review import review

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.tools.importing.foreign import Foreign

BLACKBOX = """
modules:
  web:
    prober: http
    http:
      method: POST
      proxy_url: http://MARK1a:MARK1b@proxy.example:3128
      body: '{"user": "ana", "password": "MARK2x"}'
      headers: {X-Custom: MARK3-a1b2c3d4, Cookie: sid=MARK4, Accept: text/plain}
      http_headers:
        X-Pass-Phrase: {values: [MARK5]}
        X-Other: {secrets: [MARK6, MARK7]}
      basic_auth: {username: ana, password: MARK8}
  id:
    prober: http
    http:
      oauth2:
        client_id: monitor
        client_secret: MARK9
        token_url: https://MARK10:MARK11@id.example/token?api_key=MARK12
        endpoint_params: {audience: shop, client_token: MARK13}
  cache:
    prober: tcp
    tcp: {query_response: [{send: "AUTH MARK14"}, {expect: OK}, {send: "LOGIN ana MARK15"}]}
  calls:
    prober: grpc
    grpc: {metadata: {authorization: [Bearer MARK16, Bearer MARK17], x-tenant: acme}}
  live:
    prober: websocket
    websocket:
      headers: {X-Api-Key: MARK18, Origin: https://shop.example}
      http_config:
        http_client_config: {authorization: {credentials: MARK19}, proxy_url: http://MARK20@p:1}
      query_response: [{send: '{"token": "MARK21"}'}]
"""
PROMETHEUS = """
scrape_configs:
  - job_name: sites
    metrics_path: /probe
    params: {module: [web]}
    static_configs:
      - targets: ["https://MARK30:MARK31@shop.example/basket?token=MARK32&page=2#MARK33"]
  - job_name: calls
    metrics_path: /probe
    params: {module: [calls]}
    static_configs: [{targets: ["MARK34:MARK35@calls.example:50051"]}]
  - job_name: lost
    metrics_path: /probe
    params: {module: [nothing]}
    static_configs: [{targets: ["https://MARK36:MARK37@lost.example/?sig=MARK38"]}]
"""
GATUS = """
alerting:
  slack: {webhook-url: "https://hooks.example/MARK1"}
  custom:
    url: "${HOST}/MARK2"
    headers: {Authorization: Bearer MARK3, X-Custom: MARK4-a1b2c3d4}
    body: MARK5
endpoints:
  - name: shop
    url: "https://MARK6:MARK7@shop.example/?page=2&access_token=MARK8&key=${KEY}"
    method: POST
    body: '{"password": "MARK9", "user": "$NAME"}'
    headers: {X-Custom: MARK10-a1b2c3d4, Cookie: "a=${A}; b=MARK11", Authorization: Bearer $TOKEN}
    client:
      proxy-url: http://MARK12:MARK13@proxy.example:3128
      oauth2:
        token-url: https://MARK14:MARK15@id.example/token
        client-id: monitor
        client-secret: "${PART}MARK16"
        scopes: [a]
    conditions: ["[STATUS] == 200"]
  - name: live
    url: wss://MARK17:MARK18@live.example/?session=MARK19
    headers: {X-Api-Key: MARK20}
    body: login MARK21
  - {name: port, url: "tcp://MARK22:MARK23@db.example:5432"}
  - {name: calls, url: "grpcs://MARK24:MARK25@calls.example:50051"}
  - {name: ping, url: "icmp://MARK26:MARK27@gateway.example"}
  - {name: shell, url: "ssh://bastion.example:22", ssh: {username: ana, password: MARK28}}
external-endpoints:
  - {name: job, token: "${X}MARK29", heartbeat: {interval: 26h}}
"""


def read(folder: Path, text: str) -> Foreign:
    file = folder / "peer.yml"
    file.write_text(text)

    return read_foreign(file)


def both(folder: Path) -> tuple[Draft, ...]:
    """Give what every secret of both formats is drafted as, as the command would."""
    found = Draft()
    targets = targets_of_prometheus(read(folder, PROMETHEUS), found)
    pointed = import_blackbox(read(folder, BLACKBOX), targets)
    drafts = (import_blackbox(read(folder, BLACKBOX)), pointed, import_gatus(read(folder, GATUS)))
    for draft in drafts:
        review(draft)

    return (found, *drafts)


def test_no_marked_secret_is_in_a_draft_or_in_what_is_told(tmp_path: Path) -> None:
    for draft in both(tmp_path):
        told = "\n".join([*map(str, draft.leftovers), *draft.variables, *draft.variables.values()])
        assert re.findall(r"MARK\d+", write_draft(draft, head="") + told) == []


def test_each_secret_has_a_variable_of_its_own_which_is_used(tmp_path: Path) -> None:
    for draft in both(tmp_path):
        body = yaml.safe_dump([draft.endpoints, draft.notifiers], width=10_000)
        for name in draft.variables:
            assert f"${{{name}}}" in body

    assert draft.endpoints["shop"]["request"]["headers"]["Authorization"] == "Bearer ${TOKEN}"


def test_what_is_no_secret_is_still_copied(tmp_path: Path) -> None:
    _, plain, pointed, gatus = both(tmp_path)

    request = plain.endpoints["web"]["request"]
    assert request["headers"]["Accept"] == "text/plain"
    assert plain.endpoints["calls"]["grpc"]["metadata"]["x-tenant"] == ["acme"]
    assert plain.endpoints["live"]["websocket"]["headers"]["Origin"] == "https://shop.example"
    url = pointed.endpoints["sites-shop-example-basket"]["url"]
    assert url == (
        "https://${WEB_USER}:${WEB_PASSWORD_2}@shop.example/basket?token=${WEB_TOKEN}&page=2"
    )
    assert pointed.endpoints["calls-calls-example-50051"]["grpc"]["address"] == (
        "calls.example:50051"
    )
    assert gatus.endpoints["shop"]["url"].endswith(
        "?page=2&access_token=${SHOP_ACCESS_TOKEN}&key=${KEY}"
    )


def test_a_draft_with_all_its_variables_is_accepted(tmp_path: Path) -> None:
    told = [one.why for draft in both(tmp_path) for one in draft.leftovers]

    assert [one for one in told if "refused" in one] == []


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("Authorization", "x", True),
        ("Authorization", "Bearer", False),
        ("X-Tenant", "acme", False),
        ("X-Tenant", "Bearer x", True),
        ("X-Trace", "00f067aa0ba902b7", True),
        ("X-Region", "eu-central", False),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)", False),
        ("Accept", "application/vnd.api+json;version=2", False),
    ],
)
def test_headers_are_judged_by_name_and_value(name: str, value: str, secret: bool) -> None:
    assert hides(name, value) is secret


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("PING", False),
        ("EHLO monitor.example", False),
        ("GET / HTTP/1.1", False),
        ('{"jsonrpc": "2.0", "method": "status", "id": 1}', False),
        ("AUTH x", True),
        ("PASS x", True),
        ('{"apiKey": 5}', True),
        ("hello hunter22", True),
    ],
)
def test_texts_that_are_sent_are_judged_by_what_they_lead_to(text: str, secret: bool) -> None:
    assert looks_secret(text) is secret


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://shop.example", "https://shop.example"),
        ("https://ana@shop.example:8443/@x", "https://${A_USER}@shop.example:8443/@x"),
        ("https://:x@[::1]:1?a&token=", "https://:${A_PASSWORD}@[::1]:1?a&token="),
        ("https://h/?p%61ss%77ord=1", "https://h/?p%61ss%77ord=${A_P_61SS_77ORD}"),
        ("h:80?key=1&key=2", "h:80?key=${A_KEY}&key=${A_KEY_2}"),
        ("http://h/${x}", "http://h/$${x}"),
        ("http://ana:a/b@h/c", "http://${A_USER}:${A_PASSWORD}@h/c"),
        ("http://ana:a?b@h/c", "http://${A_USER}:${A_PASSWORD}@h/c"),
        ("http://h:80/@x?y=a@b", "http://h:80/@x?y=a@b"),
        ("http://[::1]:80/@x", "http://[::1]:80/@x"),
        ("//ana:b@h/", "//${A_USER}:${A_PASSWORD}@h/"),
        ("https://h/?a=1;token=x", "https://h/?a=1;token=${A_TOKEN}"),
        ("https://h/?to=https%3A%2F%2Fa%3Ab%40c", "https://h/?to=${A_TO}"),
    ],
)
def test_a_url_keeps_what_is_no_secret(url: str, written: str) -> None:
    assert hide_url(url, Draft(), "peer.yml:1:1", "a") == written


@pytest.mark.parametrize("url", ["https://a:b@h/p/?token=x#y", "a:b@h/p", "a:b/c@h/p", "h/p/"])
def test_a_name_is_made_of_host_and_path_alone(url: str) -> None:
    assert host_and_path(url) == "h/p"
