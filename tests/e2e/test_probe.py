"""`probe`: one request, explained; what is printed, in which form, and what never is."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.authority import Authority
from tests.support.program import run
from tests.support.redis_server import serve_redis
from tests.support.servers import (
    page,
    redirect,
    say_nothing,
    serve_handshakes,
    serve_pages,
    serve_script,
    unused_port,
)
from tests.support.terminal import run_on_terminal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.servers import Counterpart
    from tests.support.shop import Shop

HEADERS = {
    "Content-Type": "application/json",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Powered-By": "PHP",
    "X-Long": "long " * 100,
}
BODY = b'{"version": "1.2", "database": {"status": "connected"}}'


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Counterpart]:
    authority = Authority(tmp_path)
    pages = {
        "/": page(BODY, headers=HEADERS),
        "/old": redirect("/older"),
        "/older": redirect("/"),
        "/loop": redirect("/loop"),
    }
    async with serve_pages(pages, tls=authority.context()) as counterpart:
        yield counterpart


def configure(folder: Path, site: Counterpart, path: str = "/") -> None:
    (folder / "monitor.yml").write_text(
        f"""\
environment: test
endpoints:
  shop:
    service: store
    url: {site.url(path, host="localhost")}
    request: {{tls: {{ca_file: authority.pem}}}}
    health:
      expect:
        - status: 200
        - {{json: $.database.status, equals: connected}}
        - {{json: $.database.pool, lt: 5}}
      severity: critical
    headers:
      policies: [hsts, clickjacking, nosniff]
      expect: [{{header: x-powered-by, exists: false}}]
    latency: {{p95: {{lt: 400ms, window: 1h}}}}
    certificate: {{expires_in: {{gt: 14d}}}}
"""
    )


def line_with(text: str, *words: str) -> str:
    """Give the only line that holds all these words."""
    found = [line for line in text.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, (words, text)

    return found[0]


async def test_a_url_is_probed_without_any_configuration(shop: Shop, tmp_path: Path) -> None:
    ended = await run("probe", f"{shop.url}/", cwd=tmp_path)

    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"✔ pass  127.0.0.1  {shop.url}/  in ")
    assert "200 over HTTP/1.1, from 127.0.0.1" in ended.out
    assert line_with(ended.out, "status is 200").startswith("  ✔")
    assert re.search(r"^  processing +[\d.]+ms  +█+$", ended.out, re.MULTILINE)
    assert shop.asked == 1
    assert list(tmp_path.iterdir()) == []


async def test_each_expectation_says_what_it_found(site: Counterpart, tmp_path: Path) -> None:
    configure(tmp_path, site)

    ended = await run("probe", "shop", cwd=tmp_path)

    assert ended.code == 1, ended.err
    assert line_with(ended.out, "$.database.status").startswith("  ✔")
    missing = line_with(ended.out, "json $.database.pool is absent, expected less than 5")
    assert missing.startswith("  ✘")
    assert missing.endswith("(monitor.yml:11:11)")
    assert line_with(ended.out, "nosniff:").startswith("  ✔")
    assert line_with(ended.out, "clickjacking:").endswith("(x-frame-options-not-implemented)")
    assert line_with(ended.out, "x-powered-by is").startswith("  ✘")
    assert line_with(ended.out, "windows of 1h").startswith("  -")
    assert line_with(ended.out, "until the certificate expires").startswith("  ✔")
    assert line_with(ended.out, "4 checks") == ("✘ FAIL  4 checks: 1 pass, 2 fail, 1 waiting")
    assert "critical, alerts at 3 in a row" in ended.out
    assert "TLS 1.3" in ended.out
    assert line_with(ended.out, "  certificate  ").endswith("verified")


async def test_json_is_a_run_of_one_round_and_the_raw_observation(
    site: Counterpart, tmp_path: Path
) -> None:
    configure(tmp_path, site, "/old")

    ended = await run("probe", "shop", "--output", "json", cwd=tmp_path)

    found = ended.json()
    assert ended.code == 1
    assert (found["verdict"], found["environment"], found["cycles"]) == ("fail", "test", 1)
    assert datetime.fromisoformat(found["started_at"]) < datetime.fromisoformat(
        found["finished_at"]
    )
    checks = {check["check"]: check for check in found["checks"]}
    assert {name: check["verdict"] for name, check in checks.items()} == {
        "shop.health": "fail",
        "shop.headers": "fail",
        "shop.latency.p95": "waiting",
        "shop.certificate": "pass",
    }
    health = checks["shop.health"]
    assert (health["service"], health["severity"], health["state"]) == (
        "store",
        "critical",
        "unknown",
    )
    assert health["consecutive_failures"] == 1
    assert health["reasons"][0]["at"] == "monitor.yml:11:11"
    assert health["phases"].keys() == {"resolve", "connect", "tls", "processing", "transfer"}
    assert sum(health["phases"].values()) <= health["duration_seconds"]
    assert [(one["policy"], one["verdict"], one["result"]) for one in found["policies"]] == [
        ("hsts", "pass", "hsts-implemented-max-age-at-least-six-months"),
        ("clickjacking", "fail", "x-frame-options-not-implemented"),
        ("nosniff", "pass", "x-content-type-options-nosniff"),
    ]
    assert all(one["message"] for one in found["policies"])


async def test_json_holds_headers_redirects_and_certificate_as_they_came(
    site: Counterpart, tmp_path: Path
) -> None:
    configure(tmp_path, site, "/old")

    seen = (await run("probe", "shop", "--output", "json", cwd=tmp_path)).json()["observation"]

    assert seen["status"] == 200
    assert [pair for pair in seen["headers"] if pair[0] in HEADERS] == [
        [name, value.strip()] for name, value in HEADERS.items()
    ]
    assert [(hop["status"], hop["location"]) for hop in seen["redirects"]] == [
        (302, "/older"),
        (302, "/"),
    ]
    certificate = seen["certificate"]
    assert certificate["verified"] is True
    assert datetime.fromisoformat(certificate["not_before"]).tzinfo is UTC
    assert datetime.fromisoformat(certificate["not_after"]) > datetime.now(UTC)
    assert "localhost" in certificate["subject_alternative_names"]
    assert seen["body_bytes"] == len(BODY)
    assert seen["fault"] is None


async def test_an_expired_certificate_is_shown_and_what_was_not_judged_is_said(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    gone = datetime.now(UTC) - timedelta(days=3)
    with serve_handshakes(authority.context(not_after=gone)) as old:
        configure(tmp_path, old)

        text = await run("probe", "shop", cwd=tmp_path)
        found = (await run("probe", "shop", "--output", "json", cwd=tmp_path)).json()

    assert text.code == 1
    assert line_with(text.out, "problem").endswith("(tls_cert_expired)")
    assert line_with(text.out, "3 d ago")
    assert line_with(text.out, "  certificate  ").endswith("not verified")
    assert {one["policy"]: one["verdict"] for one in found["policies"]} == {
        "hsts": "fail",
        "clickjacking": "waiting",
        "nosniff": "waiting",
    }
    assert found["policies"][0]["result"] == "hsts-invalid-cert"
    assert found["observation"]["certificate"]["not_after"] < found["started_at"]


async def test_a_redirect_loop_is_one_line(site: Counterpart, tmp_path: Path) -> None:
    configure(tmp_path, site, "/loop")

    ended = await run("probe", "shop", cwd=tmp_path)

    assert ended.code == 1
    assert line_with(ended.out, "→ /loop").endswith("(11 times)")
    assert "too_many_redirects" in ended.out


async def test_a_wrong_status_leaves_the_rest_unread(shop: Shop, tmp_path: Path) -> None:
    shop.status = 503
    (tmp_path / "monitor.yml").write_text(
        f"endpoints:\n  shop:\n    url: {shop.url}/\n    health:\n      expect:\n"
        "        - {json: $.version, equals: '9'}\n        - response_time: {lt: 3s}\n"
    )

    ended = await run("probe", "shop", cwd=tmp_path)

    assert ended.code == 1
    assert line_with(ended.out, "status is 503, expected 2xx").startswith("  ✘")
    assert "2 more expectations mean nothing with this status" in ended.out
    assert "$.version" not in ended.out


async def test_what_gave_no_answer_says_why(tmp_path: Path) -> None:
    async with serve_script(say_nothing) as mute:
        (tmp_path / "monitor.yml").write_text(
            "endpoints:\n"
            f"  refused: http://127.0.0.1:{unused_port()}/\n"
            f"  mute: {{url: '{mute.url()}', timeout: 300ms}}\n"
            "  nameless: http://nobody.invalid/\n"
        )
        ended = await asyncio.gather(
            *(run("probe", name, cwd=tmp_path) for name in ("refused", "mute", "nameless"))
        )

    refused, silent, nameless = ended
    assert [one.code for one in ended] == [1, 1, 1]
    assert "(connection_refused)" in refused.out
    assert "(timeout)" in silent.out
    assert "did not answer within 300ms" in silent.out
    assert "(dns)" in nameless.out


async def test_without_a_witness_it_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(
        f"witnesses: [{{tcp: '127.0.0.1:{unused_port()}'}}]\n"
        "endpoints:\n  far: {url: 'http://nobody.invalid/', latency: {max: {lt: 1s, window: 1h}}}\n"
    )

    ended = await run("probe", "far", cwd=tmp_path)

    assert ended.code == 3
    assert ended.out.startswith("? unknown  far")
    assert "the monitor may be cut off" in ended.out
    assert "nothing was measured" in ended.out


async def test_no_secret_is_shown_whoever_says_it(tmp_path: Path) -> None:
    secrets = {
        "PASSWORD": 'pass"word-canary',
        "TOKEN": "bearer-canary-1",
        "KEY": "key-canary-2",
        "COOKIE": "cookie-canary-3",
    }
    echo = {
        "X-Token": secrets["TOKEN"],
        "X-Cookie": secrets["COOKIE"],
        "Location": f"/next?key={secrets['KEY']}",
    }
    body = json.dumps(secrets).encode()
    pages = {
        "/": page(status=302, headers=echo),
        "/next": page(body, headers=echo),
        "/login": page(body, headers={"X-Password": secrets["PASSWORD"]}),
    }
    async with serve_pages(pages) as site:
        (tmp_path / "monitor.yml").write_text(
            "endpoints:\n  shop:\n"
            f'    url: "{site.url()}?key=${{KEY}}"\n'
            "    request:\n      headers:\n"
            '        Authorization: "Bearer ${TOKEN}"\n        Cookie: "session=${COOKIE}; a=b"\n'
            "    health:\n      expect:\n"
            "        - {json: $.TOKEN, equals: other}\n        - {body: {contains: nothing}}\n"
            "        - {header: x-token, starts_with: bearer}\n"
            "  login:\n"
            f"    url: {site.url('/login')}\n"
            '    request: {auth: {basic: {username: ana, password: "${PASSWORD}"}}}\n'
            "    health: {expect: [{json: $.PASSWORD, equals: other}]}\n"
        )
        said = [
            (await run("probe", name, *form, cwd=tmp_path, environ=secrets)).out
            for name in ("shop", "login")
            for form in ([], ["--output", "json"])
        ]

    of_shop, of_login = "".join(said[:2]), "".join(said[2:])
    assert not [name for name in ("TOKEN", "KEY", "COOKIE") if secrets[name] in of_shop]
    assert "canary" not in of_login
    assert all("***" in text for text in said)


async def test_the_password_of_a_url_is_not_shown(shop: Shop, tmp_path: Path) -> None:
    url = f"http://ana:hunter2-canary@127.0.0.1:{shop.port}/"

    for form in ("text", "json"):
        ended = await run("probe", url, "--output", form, cwd=tmp_path)
        assert ended.code == 0
        assert "hunter2" not in ended.out + ended.err


@pytest.mark.parametrize("columns", [80, 40])
async def test_a_terminal_is_never_overrun(site: Counterpart, tmp_path: Path, columns: int) -> None:
    configure(tmp_path, site)

    seen = await run_on_terminal("probe", "shop", cwd=tmp_path, columns=columns)

    assert seen.code == 1
    assert "\x1b[" in seen.raw
    assert max(map(len, seen.text.splitlines())) <= columns
    assert "\n  X-Long: long long" in seen.text
    assert "\n    long long" in seen.text


async def test_no_color_is_respected_on_a_terminal(shop: Shop, tmp_path: Path) -> None:
    seen = await run_on_terminal("probe", f"{shop.url}/", cwd=tmp_path, environ={"NO_COLOR": "1"})

    assert seen.code == 0
    assert "\x1b[" not in seen.raw


@pytest.mark.parametrize(
    ("target", "said"),
    [
        pytest.param("shpo", "did you mean shop?", id="a typo"),
        pytest.param("http://", "expected a URL", id="a URL without a host"),
        pytest.param("ftp://shop.example/", "http", id="a scheme that nobody speaks"),
    ],
)
async def test_what_cannot_be_probed_ends_with_2(
    shop: Shop, tmp_path: Path, target: str, said: str
) -> None:
    (tmp_path / "monitor.yml").write_text(f"endpoints:\n  shop: {shop.url}/\n")

    ended = await run("probe", target, cwd=tmp_path)

    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


async def test_the_secrets_of_others_are_not_needed_to_probe(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(
        f"""
        notifiers: {{oncall: {{slack: {{webhook_url: "${{SLACK_WEBHOOK_URL}}"}}}}}}
        endpoints:
          shop: {shop.url}/
          api: {{url: "{shop.url}/", request: {{headers: {{X-Token: "${{API_TOKEN}}"}}}}}}
        """
    )

    fine = await run("probe", "shop", cwd=tmp_path)
    lacking = await run("probe", "api", cwd=tmp_path)
    unknown = await run("probe", "shopp", cwd=tmp_path)

    assert (fine.code, fine.err) == (0, "")
    assert lacking.code == 2
    assert "variable API_TOKEN is not set: export it" in lacking.err
    assert "SLACK" not in lacking.err
    assert unknown.err.splitlines()[-1] == "Error: shopp: no such endpoint; did you mean shop?"


@pytest.mark.needs("redis-server")
async def test_what_another_kind_of_probe_brings_is_shown_in_both_forms(tmp_path: Path) -> None:
    with serve_redis(tmp_path) as server:
        server.run("RPUSH", "jobs", "a", "b")
        (tmp_path / "monitor.yml").write_text(
            "endpoints:\n"
            "  jobs:\n"
            f"    redis: {{address: {server.address!r}, command: [LLEN, jobs]}}\n"
            "    value: {lt: 2}\n"
        )
        text = await run("probe", "jobs", cwd=tmp_path)
        found = await run("probe", "jobs", "--output", "json", cwd=tmp_path)

    assert text.code == 1
    assert re.search(r"^  value +2$", text.out, re.MULTILINE)
    assert "value is 2, expected less than 2" in text.out
    assert "processing" in text.out
    observation = found.json()["observation"]
    assert observation["values"] == {"value": 2}
    assert observation["status"] is None
