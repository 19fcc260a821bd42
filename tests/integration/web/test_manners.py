"""How the server treats who asks: words for every error, a scope for every act, no stranger."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from monitor.store import StoreError
from tests.support.logs import capture_logs
from tests.support.running import write
from tests.support.servers import say_nothing, serve_script

if TYPE_CHECKING:
    from pathlib import Path

TOKENS = (
    "tokens: [{name: eyes, scope: read, token: read-token-1}, "
    "{name: ci, scope: deploy, token: deploy-token-1}, "
    "{name: on-call, scope: operate, token: operate-token-1}]"
)
MARKER = {"service": "shop", "version": "2.0"}


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "code", "said"),
        [
            ("GET", "/nowhere", 404, "there is nothing at '/nowhere'\n"),
            ("GET", "/static/server.py", 404, "there is no file 'server.py'\n"),
            ("GET", "/probe", 400, "expected the parameter target: an endpoint's name or URL\n"),
            ("GET", "/probe?target=nobody", 404, "no endpoint is named or asks 'nobody'\n"),
            (
                "GET",
                "/probe?target=shop&module=icmp",
                400,
                "expected a module of its prober such as http_2xx",
            ),
            ("GET", "/-/reload", 405, "expected POST or PUT, found GET\n"),
        ],
    )
    async def test_a_reader_gets_plain_words(
        self, serve: Any, method: str, path: str, code: int, said: str
    ) -> None:
        async with serve() as served:
            status, text, answer = await served.ask(method, path)

        assert status == code
        assert text.startswith(said)
        assert answer.content_type == "text/plain"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize(
        ("method", "path", "code", "said"),
        [
            ("GET", "/api/v1/nowhere", 404, "there is nothing at '/api/v1/nowhere'"),
            ("DELETE", "/api/v1/deploys", 405, "expected POST, found DELETE"),
            ("PUT", "/metrics", 405, "expected GET or HEAD, found PUT"),
            ("OPTIONS", "/", 405, "expected GET or HEAD, found OPTIONS"),
            ("POST", "/nowhere", 404, "there is nothing at '/nowhere'"),
        ],
    )
    async def test_a_program_gets_json(
        self, serve: Any, method: str, path: str, code: int, said: str
    ) -> None:
        async with serve() as served:
            status, text, answer = await served.ask(method, path)

        assert (status, json.loads(text)) == (code, {"error": said})
        assert ("Allow" in answer.headers) is (code == 405)

    async def test_a_bug_of_ours_is_logged_and_tells_nothing(
        self, serve: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken() -> None:
            raise RuntimeError("the innermost secret")

        async with serve() as served:
            monkeypatch.setattr(served.monitor, "status", broken)
            with capture_logs() as log:
                status, text, _ = await served.ask("GET", "/api/v1/status")

        assert (status, json.loads(text)) == (500, {"error": "the monitor failed inside"})
        assert [(one["event"], one["path"]) for one in log] == [("request_broke", "/api/v1/status")]

    @pytest.mark.parametrize("path", ["/", "/metrics", "/probe?target=shop", "/-/healthy"])
    async def test_a_head_is_a_get_without_its_body(self, serve: Any, path: str) -> None:
        async with serve() as served:
            got = await served.ask("GET", path)
            head = await served.ask("HEAD", path)

        assert (head[0], head[1]) == (200, "")
        assert head[2].headers["Content-Type"] == got[2].headers["Content-Type"]


class TestReadiness:
    async def test_alive_is_not_yet_ready(self, serve: Any) -> None:
        async with serve_script(say_nothing) as mute:
            slow = f"  slow: {{url: '{mute.url()}', timeout: 30s}}\n"
            async with serve(more=slow, first_round=False) as served:
                healthy = await served.ask("GET", "/-/healthy")
                ready = await served.ask("GET", "/-/ready")
                probe = await served.ask("GET", "/probe?target=slow")

        assert healthy[:2] == (200, "healthy\n")
        assert ready[:2] == (503, "the first round is not done yet\n")
        assert probe[:2] == (503, "slow has no result yet\n")

    async def test_after_the_first_round_it_is(self, serve: Any) -> None:
        async with serve() as served:
            ready = await served.ask("GET", "/-/ready")
            page = await served.ask("GET", "/")

        assert ready[:2] == (200, "ready\n")
        assert "shop.health" in page[1]

    async def test_both_formats_of_the_metrics(self, serve: Any) -> None:
        async with serve() as served:
            text = await served.ask("GET", "/metrics")
            accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
            openmetrics = await served.ask("GET", "/metrics", headers=accept)

        assert text[2].headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert openmetrics[2].headers["Content-Type"].startswith("application/openmetrics-text")
        assert openmetrics[1].endswith("# EOF\n")


class TestTokens:
    @pytest.mark.parametrize(
        ("method", "path", "codes"),
        [
            pytest.param("GET", "/api/v1/status", [200, 200, 200, 200], id="read"),
            pytest.param("POST", "/api/v1/deploys", [401, 403, 200, 200], id="deploy"),
            pytest.param("POST", "/-/reload", [401, 403, 403, 200], id="operate"),
            pytest.param("POST", "/api/v1/headers", [401, 403, 403, 415], id="accept"),
            pytest.param("PUT", "/-/reload", [401, 403, 403, 200], id="operate, as Prometheus"),
        ],
    )
    async def test_each_act_asks_for_its_scope(
        self, serve: Any, method: str, path: str, codes: list[int]
    ) -> None:
        asked = {"json": MARKER} if path.endswith("deploys") else {}
        async with serve(web=TOKENS) as served:
            found = [
                (await served.ask(method, path, token, **asked))[0]
                for token in ("", "read-token-1", "deploy-token-1", "operate-token-1")
            ]

        assert found == codes

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            "Bearer ",
            "Basic operate-token-1",
            "operate-token-1",
            "Bearer operate-token-2",
            "Bearer operate-token-1x",
            "Bearer " + "x" * 4000,
            "Bearer schlüssel",
            "Bearer operate-token-1 operate-token-1",
        ],
    )
    async def test_what_is_no_valid_token_is_nobody(self, serve: Any, header: str) -> None:
        async with serve(web=TOKENS) as served:
            status, text, answer = await served.ask(
                "POST", "/-/reload", headers={"Authorization": header}
            )

        assert status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "token" in json.loads(text)["error"]

    async def test_without_tokens_nothing_is_changed_over_http(self, serve: Any) -> None:
        async with serve() as served:
            status, text, _ = await served.ask("POST", "/-/reload", "operate-token-1")

        assert (status, "none is configured" in text) == (403, True)

    async def test_elsewhere_everything_asks_for_a_token_but_what_is_open(self, serve: Any) -> None:
        async with serve(listen="0.0.0.0:0", web=f"open: [health, metrics]\n  {TOKENS}") as served:
            codes = {
                path: (
                    (await served.ask("GET", path))[0],
                    (await served.ask("GET", path, "read-token-1"))[0],
                )
                for path in ("/", "/metrics", "/-/ready", "/probe?target=shop", "/api/v1/status")
            }
            unknown = (await served.ask("GET", "/nowhere"))[0]
            head = (await served.ask("HEAD", "/metrics"))[0]

        assert codes == {
            "/": (401, 200),
            "/metrics": (200, 200),
            "/-/ready": (200, 200),
            "/probe?target=shop": (401, 200),
            "/api/v1/status": (401, 200),
        }
        assert (unknown, head) == (401, 200), "who may read nothing learns no paths"

    async def test_tokens_follow_a_reload_and_a_file(self, serve: Any, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("first-token")
        one = "tokens: [{name: it, scope: operate, token: '${file:token}'}]"
        async with serve(web=one) as served:
            before = (await served.ask("POST", "/-/reload", "first-token"))[0]
            (tmp_path / "token").write_text("second-token")
            old = (await served.ask("POST", "/-/reload", "first-token"))[0]
            new = (await served.ask("POST", "/-/reload", "second-token"))[0]
            text = (tmp_path / "monitor.yml").read_text()
            write(tmp_path, text.replace("'${file:token}'", "third-token"))
            taken_over = (await served.ask("POST", "/-/reload", "second-token"))[0]
            gone = (await served.ask("POST", "/-/reload", "second-token"))[0]
            third = (await served.ask("POST", "/-/reload", "third-token"))[0]

        assert (before, old, new) == (200, 401, 200)
        assert (taken_over, gone, third) == (200, 401, 200)


class TestStrangers:
    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            pytest.param({}, 200, id="nobody in particular"),
            pytest.param({"Host": "localhost"}, 200, id="a local name"),
            pytest.param({"Host": "status.example"}, 200, id="our public name"),
            pytest.param({"Host": "rebound.example"}, 403, id="a name made to point here"),
            pytest.param({"Host": "["}, 403, id="no name at all"),
            pytest.param({"Origin": "https://evil.example"}, 403, id="another site"),
            pytest.param({"Origin": "null"}, 403, id="a page without a site"),
            pytest.param({"Origin": "http://["}, 403, id="no origin at all"),
            pytest.param({"Origin": "https://status.example"}, 200, id="our own page"),
        ],
    )
    async def test_hosts_and_origins(self, serve: Any, headers: dict[str, str], code: int) -> None:
        async with serve(web="public_url: https://status.example/") as served:
            status, text, _ = await served.ask("GET", "/", headers=headers)

        assert status == code, text

    async def test_an_old_client_that_names_no_host_is_served(self, serve: Any) -> None:
        async with serve() as served:
            answer = await raw(served.server.port, b"GET /-/healthy HTTP/1.0\r\n\r\n")

        assert answer.startswith(b"HTTP/1.0 200")

    async def test_a_page_of_another_site_cannot_post_even_with_a_token(self, serve: Any) -> None:
        async with serve(web=TOKENS) as served:
            status, _, _ = await served.ask(
                "POST", "/-/reload", "operate-token-1", headers={"Origin": "https://evil.example"}
            )
            form, _, _ = await served.ask(
                "POST", "/api/v1/deploys", "operate-token-1", data={"service": "shop"}
            )

        assert (status, form) == (403, 415)

    async def test_the_control_socket_asks_nobody(self, serve: Any, tmp_path: Path) -> None:
        async with serve() as served:
            connector = aiohttp.UnixConnector(str(tmp_path / "control.sock"))
            async with aiohttp.ClientSession(connector=connector) as session:
                async with session.post("http://any.name/-/reload") as reloaded:
                    assert (reloaded.status, (await reloaded.json())["reloaded"]) == (200, True)
                async with session.post("http://any.name/api/v1/deploys", json=MARKER) as told:
                    assert (told.status, (await told.json())["version"]) == (200, "2.0")
            assert served.monitor.engine.situation.deploys
            mode = (tmp_path / "control.sock").stat().st_mode

        assert mode & 0o777 == 0o600
        assert not (tmp_path / "control.sock").exists()


class TestChanges:
    async def test_a_reload_says_what_it_changed_and_no_secret(
        self, serve: Any, tmp_path: Path
    ) -> None:
        async with serve(web=TOKENS, more="location: new-secret\n") as served:
            nothing = json.loads((await served.ask("POST", "/-/reload", "operate-token-1"))[1])
            text = (tmp_path / "monitor.yml").read_text()
            changed = text.replace("read-token-1", "new-secret").replace("every: 1h", "every: 2h")
            write(tmp_path, changed.replace("location: new-secret", "location: at-home"))
            said = json.loads((await served.ask("POST", "/-/reload", "operate-token-1"))[1])

        assert nothing == {
            "reloaded": True,
            "added": [],
            "removed": [],
            "changed": [],
            "needs_restart": [],
        }
        assert said["changed"] == [
            "defaults.every: 1h -> 2h",
            "location: *** -> at-home",
            "endpoints.shop, web: by another part, a variable or a secret",
        ]

    async def test_a_reload_says_every_mistake(self, serve: Any, tmp_path: Path) -> None:
        async with serve(web=TOKENS) as served:
            write(tmp_path, "endpoints: {a: {url: 5}, b: {evry: 1}}\n")
            status, text, _ = await served.ask("POST", "/-/reload", "operate-token-1")

        answer = json.loads(text)
        assert (status, answer["error"]) == (422, "not reloaded")
        assert len(answer["problems"]) >= 2

    @pytest.mark.parametrize(
        ("body", "headers", "code", "said"),
        [
            pytest.param(b"{", {}, 400, "no valid JSON", id="broken"),
            pytest.param(b"[" * 40_000, {}, 400, "no valid JSON", id="deep"),
            pytest.param(b"[]", {}, 400, "found list", id="no object"),
            pytest.param(b"\xff\xfe{}", {}, 400, "", id="no text"),
            pytest.param(
                b'{"service": "shopp", "version": "1"}', {}, 422, "mean shop?", id="a typo"
            ),
            pytest.param(b'{"service": "shop"}', {}, 422, "a version", id="no version"),
            pytest.param(b"x" * 70_000, {}, 413, "", id="large"),
            pytest.param(b"{", {"Content-Encoding": "gzip"}, 415, "found 'gzip'", id="packed"),
            pytest.param(
                b"{}", {"Content-Type": "text/plain"}, 415, "found text/plain", id="another type"
            ),
        ],
    )
    async def test_what_is_no_deploy_is_refused_with_words(
        self, serve: Any, body: bytes, headers: dict[str, str], code: int, said: str
    ) -> None:
        async with serve(web=TOKENS) as served:
            status, text, _ = await served.ask(
                "POST",
                "/api/v1/deploys",
                "deploy-token-1",
                data=body,
                headers={"Content-Type": "application/json", **headers},
            )

        assert status == code, text
        assert said in json.loads(text)["error"]

    async def test_a_deploy_that_could_not_be_written_is_not_confirmed(self, serve: Any) -> None:
        async with serve(web=TOKENS) as served:
            commit = served.monitor.journal._commit

            async def full(_changes: object) -> None:
                raise StoreError("disk full")

            served.monitor.journal._commit = full
            status, text, _ = await served.ask(
                "POST", "/api/v1/deploys", "deploy-token-1", json=MARKER
            )
            served.monitor.journal._commit = commit

        assert (status, "disk full" in text) == (503, True)


async def raw(port: int, request: bytes) -> bytes:
    """Send bytes as they are; give all that comes back until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
