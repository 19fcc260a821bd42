"""Through a proxy: what it is asked, what it may refuse, and whose fault each thing is."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from monitor.core.model.observation import Code, Phase
from tests.support.http_probe import make_probe, observe, probing
from tests.support.proxy import serve_proxy
from tests.support.servers import (
    HOST,
    answers,
    answers_page,
    hang_up,
    page,
    redirect,
    reset,
    say_nothing,
    serve_pages,
    serve_script,
    unused_port,
)
from tests.support.verdicts import judge_health
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.authority import Authority

CREDENTIALS = f"Basic {b64encode(b'ana:hunter22').decode()}"


async def test_a_plain_target_is_asked_for_by_its_whole_url() -> None:
    async with serve_proxy() as proxy, serve_script(answers_page(body=b"hello")) as shop:
        seen = await observe(
            shop.url("/a?b=1", host="unknown.example"), proxy=proxy.url("ana:hunter22@")
        )

    assert seen.fault is None
    assert seen.body == b"hello"
    assert seen.address == HOST
    [asked] = proxy.heads
    lines = asked.decode().split("\r\n")
    assert lines[0] == f"GET http://unknown.example:{shop.port}/a?b=1 HTTP/1.1"
    assert f"Host: unknown.example:{shop.port}" in lines
    assert f"Proxy-Authorization: {CREDENTIALS}" in lines
    assert b"Proxy-Authorization" not in shop.heads[0]
    assert set(seen.phases) == {Phase.RESOLVE, Phase.CONNECT, Phase.PROCESSING, Phase.TRANSFER}


async def test_a_target_over_tls_is_reached_by_a_tunnel_that_hears_no_secret(
    authority: Authority,
) -> None:
    async with (
        serve_proxy(wants=CREDENTIALS) as proxy,
        serve_script(answers_page(body=b"hello"), tls=authority.context("shop.test")) as shop,
    ):
        seen = await observe(
            shop.url(host="shop.test"),
            proxy=proxy.url("ana:hunter22@"),
            tls={"ca_file": str(authority.file)},
            auth={"bearer": "for-the-shop-alone"},
        )

    assert seen.fault is None
    assert seen.body == b"hello"
    assert seen.certificate is not None
    [asked] = proxy.heads
    assert asked.startswith(f"CONNECT shop.test:{shop.port} HTTP/1.1\r\nHost: shop.test:".encode())
    assert b"for-the-shop-alone" not in asked
    assert b"production-monitor/1.2.3" in asked
    assert b"Bearer for-the-shop-alone" in shop.heads[0]
    assert b"Proxy-" not in shop.heads[0]
    assert set(seen.phases) == set(Phase)


async def test_a_407_of_the_target_itself_is_its_own(authority: Authority) -> None:
    async with (
        serve_proxy() as proxy,
        serve_script(answers_page(407), tls=authority.context()) as shop,
    ):
        seen = await observe(shop.url(), proxy=proxy.url(), tls={"ca_file": str(authority.file)})

    assert seen.fault is None
    assert seen.status == 407
    assert judge_health(seen).outcome == "fail"


def test_a_header_for_the_proxy_would_go_to_the_target_and_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        make_probe(
            "https://shop.test/",
            proxy="http://proxy.example:3128",
            headers={"proxy-authorization": "Basic hunter22"},
        )

    assert "Proxy-Authorization is sent to the target" in caught.value.errors()[0]["msg"]


async def test_an_ipv6_target_is_named_as_one() -> None:
    async with serve_script(answers(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")) as proxy:
        seen = await observe("https://[2001:db8::1]/", proxy=f"http://{HOST}:{proxy.port}")

    assert proxy.heads[0].startswith(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n")
    assert seen.fault is not None
    assert "could not reach [2001:db8::1]:443: it answers 502" in seen.fault.message


async def test_redirects_go_through_the_proxy_as_well(authority: Authority) -> None:
    async with (
        serve_proxy() as proxy,
        serve_pages({"/": page(b"there")}, tls=authority.context("secure.test")) as secure,
        serve_pages({"/": redirect(secure.url(host="secure.test"))}) as plain,
    ):
        seen = await observe(
            plain.url(host="plain.test"),
            proxy=proxy.url(),
            tls={"ca_file": str(authority.file)},
        )

    assert seen.body == b"there"
    assert len(seen.redirects) == 1
    assert [head.split(b" ")[0] for head in proxy.heads] == [b"GET", b"CONNECT"]


async def test_a_distant_target_cannot_send_us_to_the_proxy_s_own_machine() -> None:
    async with serve_pages({"/": page(b"inner")}) as inner, serve_proxy() as proxy:
        for host in (HOST, "localhost", "169.254.169.254", "[::1]"):
            location = f"http://{host}:{inner.port}/"
            async with serve_pages({"/": redirect(location)}) as outer:
                seen = await observe(outer.url(host="outer.test"), proxy=proxy.url())

            assert seen.fault is not None
            assert "an address of the monitor's own machine" in seen.fault.message
    assert inner.connections == 0


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(
    ("person", "words"),
    [("", "wants credentials"), ("bob:wrong@", "does not accept our credentials")],
)
async def test_a_proxy_that_does_not_know_us_is_our_own_affair(
    secure: bool, person: str, words: str
) -> None:
    scheme = "https" if secure else "http"
    async with serve_proxy(wants=CREDENTIALS) as proxy:
        seen = await observe(f"{scheme}://shop.test/", proxy=proxy.url(person))

    assert seen.fault is not None
    assert seen.fault.own
    assert f"{proxy.name} {words}: it answers 407" in seen.fault.message
    assert "wrong" not in seen.fault.message
    assert judge_health(seen).outcome == "unknown"


@pytest.mark.parametrize(
    ("answer", "own", "code", "words"),
    [
        pytest.param(
            b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
            False,
            Code.CONNECTION_REFUSED,
            "could not reach shop.test:443: it answers 502 Bad Gateway",
            id="it could not reach the target",
        ),
        pytest.param(
            b"HTTP/1.0 504 Gateway Timeout\r\n\r\n",
            False,
            Code.TIMEOUT,
            "could not reach shop.test:443: it answers 504 Gateway Timeout",
            id="the target did not answer it",
        ),
        pytest.param(
            b"HTTP/1.1 403 Not \x1b[31mhere\r\n\r\n",
            True,
            Code.INTERNAL,
            "does not connect to shop.test:443: it answers 403 Not [31mhere",
            id="it does not let us",
        ),
        pytest.param(b"", True, Code.INTERNAL, "it closed the connection", id="it hangs up"),
        pytest.param(
            b"SSH-2.0-OpenSSH\r\n\r\n",
            True,
            Code.INTERNAL,
            "its answer is not valid HTTP",
            id="it is none",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000,
            True,
            Code.INTERNAL,
            "its answer is too long",
            id="it talks without end",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            True,
            Code.INTERNAL,
            "it speaks where the target should",
            id="it answers in place of the target",
        ),
    ],
)
async def test_what_a_proxy_says_to_a_tunnel(
    answer: bytes, own: bool, code: Code, words: str
) -> None:
    async with serve_script(answers(answer)) as proxy:
        seen = await observe("https://shop.test/", proxy=f"http://{HOST}:{proxy.port}")

    assert seen.fault is not None
    assert seen.fault.own is own
    assert seen.fault.code is code
    assert f"the proxy {HOST}:{proxy.port}" in seen.fault.message
    assert words in seen.fault.message


async def test_a_502_that_may_be_the_proxy_s_own_is_told_with_the_proxy() -> None:
    refusal = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    async with serve_proxy(refuses=refusal) as proxy:
        seen = await observe("http://shop.test/", proxy=proxy.url())

    verdict = judge_health(seen)
    assert verdict.outcome == "fail"
    assert verdict.reasons[0].message == f"status is 502, expected 2xx (through {proxy.name})"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there_is_no_fault_of_the_target(scheme: str) -> None:
    port = unused_port()
    closed = await observe(f"{scheme}://shop.test/", proxy=f"http://{HOST}:{port}")
    unknown = await observe(f"{scheme}://shop.test/", proxy="http://proxy.example:3128")

    for seen in (closed, unknown):
        assert seen.fault is not None
        assert seen.fault.own
        assert judge_health(seen).outcome == "unknown"
    assert closed.fault is not None
    assert closed.fault.message == (
        f"the proxy {HOST}:{port} cannot be used: {HOST}:{port} refused the connection"
    )
    assert unknown.fault is not None
    assert "the proxy proxy.example:3128 cannot be used: proxy.example did not resolve" in (
        unknown.fault.message
    )


@pytest.mark.parametrize("script", [hang_up, reset], ids=["closes", "resets"])
async def test_a_connection_that_ends_names_the_target_and_the_proxy(script: object) -> None:
    async with serve_script(script) as proxy:  # type: ignore[arg-type]  # scripts in a table
        url = f"http://{HOST}:{proxy.port}"
        seen = await observe("http://shop.test/", proxy=url)

    assert seen.fault is not None
    assert seen.fault.message.startswith(f"shop.test:80 (through the proxy {HOST}:{proxy.port}) ")


async def test_a_silent_way_is_told_apart_from_a_silent_proxy() -> None:
    async with serve_script(say_nothing) as proxy:
        url = f"http://{HOST}:{proxy.port}"
        tunnel = await observe("https://shop.test/", proxy=url, timeout=0.2)
        plain = await observe("http://shop.test/", proxy=url, timeout=0.2)

    for seen, port in ((tunnel, 443), (plain, 80)):
        assert seen.fault is not None
        assert not seen.fault.own
        assert seen.fault.code is Code.TIMEOUT
        assert f"shop.test:{port} (through the proxy {HOST}:{proxy.port}) did not" in (
            seen.fault.message
        )


async def test_a_proxy_that_resets_instead_of_connecting_is_our_own_affair() -> None:
    async with serve_script(reset) as proxy:
        seen = await observe("https://shop.test/", proxy=f"http://{HOST}:{proxy.port}")

    assert seen.fault is not None
    assert seen.fault.own
    assert "did not connect to shop.test:443: it reset the connection" in seen.fault.message


async def test_a_probe_that_is_cancelled_in_a_tunnel_leaves_nothing_behind() -> None:
    async with (
        serve_script(say_nothing) as proxy,
        probing("https://shop.test/", proxy=f"http://{HOST}:{proxy.port}") as probe,
    ):
        task = asyncio.create_task(probe.observe())
        await until(lambda: proxy.heads)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_proxy_s_password_from_a_file_is_read_for_each_probe(tmp_path: Path) -> None:
    from monitor.config.document import LiveText
    from monitor.options import Secret

    file = tmp_path / "proxy"
    async with serve_proxy(wants=CREDENTIALS) as proxy, serve_script(answers_page()) as shop:
        file.write_text(proxy.url("ana:old-one@"))
        live = LiveText(file.read_text(), Secret(file.read_text(), refresh=file.read_text))
        async with probing(shop.url(host="shop.test"), proxy=live) as probe:
            before = await probe.observe()
            file.write_text(proxy.url("ana:hunter22@"))
            after = await probe.observe()
            file.write_text("nonsense")
            spoilt = await probe.observe()

    assert before.fault is not None
    assert after.fault is None
    assert spoilt.fault is not None
    assert spoilt.fault.own
    assert "nonsense" not in spoilt.fault.message


async def test_variables_of_the_environment_name_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:{unused_port()}")
    async with serve_script(answers_page()) as shop:
        seen = await observe(shop.url())

    assert seen.fault is None


@pytest.mark.parametrize(
    ("proxy", "complaint"),
    [
        ("https://proxy.example", "over plain HTTP: expected http://, found https://"),
        ("socks5://u:hunter22@proxy.example", "expected a proxy such as http://proxy.example:3128"),
        ("proxy.example:3128", "expected a proxy such as http://proxy.example:3128"),
        ("http://u:hunter22@proxy.example/path", "found more after the port"),
        ("http://proxy.example:0", "expected a port of 1 to 65535, found 0"),
        ("http://pro xy.example", "found white space in it"),
        ("http://u:hunter22@[::1", "found what is no URL"),
    ],
)
def test_what_is_no_proxy_is_refused_and_no_password_shown(proxy: str, complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_probe("https://shop.test/", proxy=proxy)

    [error] = caught.value.errors()
    assert complaint in error["msg"]
    assert "hunter22" not in error["msg"]


@pytest.mark.needs("tinyproxy")
async def test_tinyproxy_passes_on_and_refuses(authority: Authority, tmp_path: Path) -> None:
    port = unused_port()
    config = tmp_path / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen {HOST}\nAllow {HOST}\nBasicAuth ana hunter22\nTimeout 5\n"
    )
    process = await asyncio.create_subprocess_exec(
        "tinyproxy", "-d", "-c", str(config), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with (
            serve_script(answers_page(body=b"hello")) as plain,
            serve_script(answers_page(body=b"hello"), tls=authority.context()) as secure,
        ):
            await until(lambda: _accepts(port))
            known = {"proxy": f"http://ana:hunter22@{HOST}:{port}"}
            trust = {"tls": {"ca_file": str(authority.file)}}
            passed = [
                await observe(plain.url(), **known),
                await observe(secure.url(), **known, **trust),
            ]
            unknown = await observe(secure.url(), proxy=f"http://{HOST}:{port}", **trust)
            closed = await observe(f"https://{HOST}:{unused_port()}/", **known)
    finally:
        process.terminate()
        await process.wait()

    assert [one.body for one in passed] == [b"hello", b"hello"]
    assert unknown.fault is not None
    assert unknown.fault.own
    assert "wants credentials: it answers 407" in unknown.fault.message
    assert closed.fault is not None
    assert not closed.fault.own
    assert "could not reach" in closed.fault.message


def _accepts(port: int) -> bool:
    import socket

    with socket.socket() as sock:
        return sock.connect_ex((HOST, port)) == 0
