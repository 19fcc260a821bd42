"""The kind `browser`: pages as Debian's Chromium shows them, and what it does to itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiohttp import web

from monitor.core.model.observation import Code, Observation, Phase
from monitor.core.model.verdict import Outcome
from monitor.probes._browser import chromium as shared
from monitor.probes._browser.chromium import AT_ONCE, Chromium
from monitor.probes._browser.options import BrowserOptions
from monitor.probes._browser.process import find_drivers
from tests.support.authority import Authority
from tests.support.probing import ask, fault_of, judge_health, measured
from tests.support.servers import page, redirect, serve_pages, serve_script, unused_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.servers import Counterpart, Page

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]

PROGRAM = shutil.which("chromium") or ""
LATE = b"""<h1>Cart</h1><script>
setTimeout(() => { document.body.innerHTML += '<p id="total">12 EUR</p>' }, 100)
</script>"""
BROKEN = b"""<p>x</p><script>
console.error('cannot reach https://api.shop.test/?token=hunter22'); cart.open()
</script><img src="/gone.png?key=hunter22">"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Chromium]:
    """Keep one browser for all tests here."""
    running = Chromium.join(PROGRAM)
    yield running
    await running.leave()


def html(body: bytes, *, status: int = 200) -> Page:
    return page(body, status=status, headers={"Content-Type": "text/html; charset=utf-8"})


@asynccontextmanager
async def showing(body: bytes, **more: Page) -> AsyncIterator[Counterpart]:
    pages = {"/": html(body), **{f"/{name}": answer for name, answer in more.items()}}
    async with serve_pages(pages) as server:
        yield server


async def look(url: str, *, timeout: float = 10, **options: Any) -> Observation:
    return await ask("browser", {"url": url, **options}, timeout=timeout)


def renderers(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if os.getpgid(int(entry.name)) == group:
                    line = (entry / "cmdline").read_bytes()
                    found += [int(entry.name)] if b"--type=renderer" in line else []
            except OSError:
                continue

    return found


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True

    return state.rpartition(")")[2].split()[0] in "ZX"


async def until_gone(*pids: int) -> None:
    async with asyncio.timeout(10):
        while not all(map(is_gone, pids)):
            await asyncio.sleep(0.02)


async def until_asked(server: Counterpart, times: int = 1) -> None:
    async with asyncio.timeout(10):
        while server.connections < times:
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("chromium")
async def test_what_a_script_adds_later_is_seen() -> None:
    async with showing(LATE) as server:
        seen = await look(server.url(), wait_for="#total")
        at_once = await look(server.url(), timeout=0.7, wait_for="#never")

    assert seen.fault is None
    assert (seen.status, seen.address, seen.ip_family) == (200, "127.0.0.1", 4)
    assert judge_health("browser", seen, {"html": "#total", "equals": "12 EUR"}).outcome == "pass"
    assert {Phase.PROCESSING, Phase.TRANSFER} <= set(seen.phases)
    assert 0 < float(str(seen.values["value"])) <= seen.duration.total_seconds()
    assert measured(seen, "probe_browser_load_seconds") == seen.values["value"]
    assert measured(seen, "probe_browser_duration_seconds", phase="transfer") is not None
    assert measured(seen, "probe_browser_console_errors") == 0
    fault = fault_of(at_once)
    assert (fault.code, fault.own) == (Code.TIMEOUT, False)
    assert fault.message == f"{server.url()} did not show #never within 700ms"


@pytest.mark.usefixtures("chromium")
async def test_errors_of_the_console_and_failed_requests_are_told_without_secrets() -> None:
    async with showing(BROKEN) as server:
        seen = await look(server.url())
        ignoring = await look(server.url(), ignore_console=["^cannot reach", "is not defined$"])

    said = "cannot reach https://api.shop.test/?token=***"
    assert seen.values["console_errors"] == [
        said,
        "Uncaught ReferenceError: cart is not defined",
    ]
    assert seen.values["failed_requests"] == [f"{server.url('/gone.png')}?key=*** answered 404"]
    assert judge_health("browser", seen).outcome is Outcome.PASS
    verdict = judge_health("browser", seen, {"console_errors": {"count": 0}})
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].message.endswith(f'(the console says "{said}")')
    assert ignoring.values["console_errors"] == []
    assert measured(seen, "probe_browser_failed_requests") == 1


@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"<script>while (1);</script>", "did not load", id="loops as it loads"),
        pytest.param(
            b"<script>onload = () => setTimeout(() => { while (1); }, 0)</script>",
            "did not",
            id="loops then",
        ),
        pytest.param(
            b"<script>setTimeout(() => location.reload(), 0)</script>", "did not", id="restless"
        ),
    ],
)
async def test_a_page_that_never_ends_has_its_time_and_hurts_no_other(
    body: bytes, said: str
) -> None:
    async with showing(body, well=html(b"well")) as server:
        seen = await look(server.url(), timeout=0.7, wait_for="#end")
        next_one = await look(server.url("/well"))

    fault = fault_of(seen)
    assert (fault.code, fault.own) == (Code.TIMEOUT, False)
    assert f"{server.url()} {said}" in fault.message
    assert seen.duration.total_seconds() < 1.2
    assert next_one.fault is None


@pytest.mark.usefixtures("chromium")
async def test_a_server_that_says_nothing_did_not_answer() -> None:
    async def wait(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async with showing(b"", slow=wait) as server:
        seen = await look(server.url("/slow"), timeout=0.5)

    assert fault_of(seen).message == f"{server.url('/slow')} did not answer within 500ms"


@pytest.mark.usefixtures("chromium")
async def test_the_status_decides_and_what_is_no_page_is_said_so() -> None:
    attached = page(
        b"x", headers={"Content-Type": "application/zip", "Content-Disposition": "attachment"}
    )
    async with showing(
        b"",
        broken=html(b"<p>oh</p>", status=503),
        empty=html(b"", status=500),
        nothing=html(b"", status=204),
        file=attached,
    ) as server:
        broken = await look(server.url("/broken"))
        empty = await look(server.url("/empty"))
        nothing = await look(server.url("/nothing"))
        file = await look(server.url("/file"))

    assert broken.fault is None
    assert judge_health("browser", broken).reasons[0].code is Code.STATUS
    assert (empty.fault, empty.status) == (None, 500)
    assert "answered 204 without a page" in fault_of(nothing).message
    assert "answered with a download" in fault_of(file).message


@pytest.mark.usefixtures("chromium")
async def test_headers_go_to_the_origin_alone_and_redirects_are_counted() -> None:
    heard: list[tuple[str, str | None, str | None]] = []

    async def tell(request: web.Request) -> web.StreamResponse:
        headers = request.headers
        heard.append((request.path, headers.get("X-Key"), headers.get("User-Agent")))
        if request.path == "/away":
            raise web.HTTPFound(f"http://localhost:{request.url.port}/other")
        return web.Response(text="<img src=/i.png>", content_type="text/html")

    pages = {f"/{name}": tell for name in ("away", "other", "i.png", "home")}
    async with serve_pages(pages) as server:
        headers = {"X-Key": "hunter22", "User-Agent": "ours"}
        away = await look(server.url("/away"), headers=headers)
        await look(server.url("/home"), headers=headers)

    assert heard[0] == ("/away", "hunter22", "ours")
    assert {one for one in heard if one[0] == "/other"} == {("/other", None, "ours")}
    assert ("/i.png", None, "ours") in heard  # that of /other
    assert ("/i.png", "hunter22", "ours") in heard  # that of /home
    assert away.url == f"http://localhost:{server.port}/other"
    assert [hop.status for hop in away.redirects] == [302]


@pytest.mark.usefixtures("chromium")
async def test_dialogs_windows_and_cookies_leave_no_trace() -> None:
    cookies: list[str | None] = []

    async def set_cookie(request: web.Request) -> web.StreamResponse:
        cookies.append(request.headers.get("Cookie"))
        answer = web.Response(
            text="<script>alert('x'); window.open('/'); onbeforeunload = () => 'no'</script><p>",
            content_type="text/html",
        )
        answer.set_cookie("visited", "yes")
        return answer

    async with showing(b"", talk=set_cookie) as server:
        first = await look(server.url("/talk"))
        second = await look(server.url("/talk"))

    assert (first.fault, second.fault) == (None, None)
    assert cookies == [None, None]


@pytest.mark.usefixtures("chromium")
async def test_what_is_kept_of_a_page_is_bounded() -> None:
    body = (
        b"<script>for (let i = 0; i < 300; i++) { console.error('x'.repeat(20000)); "
        b"fetch('/nope' + i) }; document.write('y'.repeat(200000))</script>"
    )
    async with showing(body) as server:
        seen = await look(server.url(), body_limit="64KiB")

    lines = seen.values["console_errors"]
    assert isinstance(lines, list)
    assert len(lines) == 50
    assert max(map(len, lines)) <= 300
    assert (len(seen.body), seen.body_truncated) == (64 * 1024, True)


@pytest.mark.usefixtures("chromium")
async def test_what_keeps_a_page_away_is_named_as_everywhere(tmp_path: Path) -> None:
    port = unused_port()
    refused = await look(f"http://127.0.0.1:{port}/")
    unknown = await look("http://shop.invalid/")
    context = Authority(tmp_path).context()
    async with serve_script(answer_page, tls=context) as server:
        url = f"https://127.0.0.1:{server.port}/"
        untrusted = await look(url)
        trusted = await look(url, verify=False)
    async with serve_pages({"/": redirect("/")}) as server:
        circle = await look(server.url())

    assert fault_of(refused).code is Code.CONNECTION_REFUSED
    assert f"127.0.0.1:{port} refused the connection" in fault_of(refused).message
    assert (fault_of(unknown).code, fault_of(unknown).unanswered) == (Code.DNS, "shop.invalid")
    assert fault_of(untrusted).code is Code.TLS_CERT_UNTRUSTED
    assert trusted.fault is None
    assert trusted.tls_version == "TLSv1.3"
    assert fault_of(circle).code is Code.TOO_MANY_REDIRECTS


async def answer_page(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n"
        b"Connection: close\r\n\r\n<p>x"
    )
    await writer.drain()


@pytest.mark.parametrize("harm", ["crash of the page", "end", "hang"])
async def test_a_browser_that_fails_is_our_own_fault_and_there_is_another(
    chromium: Chromium, harm: str
) -> None:
    shown = asyncio.Event()

    async def tell(_request: web.Request) -> web.StreamResponse:
        shown.set()
        return web.Response()

    body = b"<p>x</p><script>onload = () => fetch('/shown')</script>"
    async with showing(body, well=html(b"well"), shown=tell) as server:
        before = await look(server.url("/well"))
        process = chromium._process
        assert process is not None
        looking = asyncio.create_task(
            look(server.url(), timeout=1 if harm == "hang" else 10, wait_for="#never")
        )
        await asyncio.wait_for(shown.wait(), 10)
        match harm:
            case "crash of the page":
                for pid in renderers(process.group):
                    os.kill(pid, signal.SIGKILL)
            case "end":
                os.killpg(process.group, signal.SIGKILL)
            case _:
                os.kill(process.group, signal.SIGSTOP)
        seen = await looking
        after = await look(server.url("/well"))

    assert (before.fault, after.fault) == (None, None)
    assert (fault_of(seen).code, fault_of(seen).own) == (Code.INTERNAL, True)
    assert "the browser" in fault_of(seen).message
    if harm != "crash of the page":
        await until_gone(process.group)
        assert chromium._process is not process
        async with asyncio.timeout(5):
            while any(folder.exists() for folder in process._folders):
                await asyncio.sleep(0.01)
        assert len(process._folders) == 2


async def test_a_browser_is_renewed_and_the_old_one_leaves_nothing(
    chromium: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with showing(b"<p>x</p>") as server:
        await look(server.url())
        old = chromium._process
        assert old is not None
        monkeypatch.setattr(shared, "_MOST_PAGES", old.pages)
        seen = await look(server.url())

    assert seen.fault is None
    assert chromium._process is not old
    await until_gone(old.group, old._driver)
    async with asyncio.timeout(5):
        while any(folder.exists() for folder in old._folders):
            await asyncio.sleep(0.01)
    assert old._folders


@pytest.mark.usefixtures("chromium")
async def test_only_so_many_pages_are_open_at_once() -> None:
    async with showing(b"<p>x</p>") as server:
        looks = [
            asyncio.create_task(look(server.url(), timeout=1.5, wait_for="#never"))
            for _ in range(AT_ONCE)
        ]
        await until_asked(server, AT_ONCE)
        seen = await look(server.url(), timeout=0.1)
        others = await asyncio.gather(*looks)

    assert fault_of(seen).own
    assert f"{AT_ONCE} pages are open at once" in fault_of(seen).message
    assert {fault_of(one).code for one in others} == {Code.TIMEOUT}


async def test_a_browser_that_does_not_start_is_our_own_fault() -> None:
    """Nor does it harm another that is started at the same time."""
    async with showing(b"<p>x</p>") as server:
        seen, other = await asyncio.gather(
            look(server.url(), executable="/bin/false"),
            look(server.url(), executable=PROGRAM),
        )

    assert other.fault is None
    assert fault_of(seen).own
    assert fault_of(seen).message.startswith("the browser could not be started: ")


async def test_a_cancelled_look_gives_its_page_back(chromium: Chromium) -> None:
    async with showing(b"<p>x</p>") as server:
        looking = asyncio.create_task(look(server.url(), wait_for="#never"))
        await until_asked(server)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        seen = await look(server.url())

    assert seen.fault is None
    async with asyncio.timeout(5):
        while chromium._process is None or chromium._process.open_pages:
            await asyncio.sleep(0.01)


async def test_who_leaves_last_ends_it() -> None:
    """In a loop of its own, as a monitor is."""
    drivers: set[int] = set()
    groups: list[int] = []

    async def live() -> None:
        running = Chromium.join(PROGRAM)
        async with showing(b"<p>x</p>") as server:
            assert (await look(server.url())).fault is None
            drivers.update(find_drivers())
            assert running._process is not None
            groups.append(running._process.group)
        await running.leave()

    await asyncio.to_thread(asyncio.run, live())

    await until_gone(*groups)
    assert groups


async def test_what_is_missing_is_said_when_the_configuration_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(options: object) -> str:
        with pytest.raises(ValueError) as caught:
            BrowserOptions.model_validate(options)
        return str(caught.value)

    assert "expected a program at /no/chromium" in refuse(
        {"url": "http://shop.test/", "executable": "/no/chromium"}
    )
    assert "is no CSS selector" in refuse({"url": "http://shop.test/", "wait_for": "p >"})
    assert "such as 1280x720" in refuse({"url": "http://shop.test/", "viewport": "wide"})
    assert "set by the browser" in refuse({"url": "http://shop.test/", "headers": {"Host": "x"}})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install chromium" in refuse("http://shop.test/")
    monkeypatch.setattr("monitor.probes._browser.options.find_spec", lambda _: None)
    assert "pip install production-monitor[browser]" in refuse("http://shop.test/")


async def test_reading_options_does_not_load_playwright() -> None:
    read = (
        "import sys; from monitor.probes.browser import KIND; "
        "KIND.options.model_validate('http://shop.test/'); "
        "sys.exit('playwright' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", read], check=False).returncode == 0
