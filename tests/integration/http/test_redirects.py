"""Cases C: redirects, which we follow: cookies of one probe, credentials that stay at home."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from monitor.core.model.observation import Code
from monitor.names import Resolver
from tests.support.http_probe import ask_loopback, observe, probing
from tests.support.servers import page, redirect, serve_pages
from tests.support.verdicts import judge_health, metrics_of

if TYPE_CHECKING:
    from tests.support.authority import Authority


async def test_23_a_redirect_is_followed_and_counted() -> None:
    async with serve_pages({"/": redirect("/next"), "/next": page(b"here")}) as server:
        seen = await observe(server.url())

    assert seen.status == 200
    assert seen.body == b"here"
    assert seen.url == server.url("/next")
    assert [(hop.url, hop.status, hop.location) for hop in seen.redirects] == [
        (server.url("/"), 302, "/next")
    ]
    assert judge_health(seen).outcome == "pass"
    assert metrics_of(seen)["probe_http_redirects"] == 1


async def test_24_a_redirect_that_is_not_followed_is_an_answer() -> None:
    async with serve_pages({"/": redirect("/next"), "/next": page()}) as server:
        seen = await observe(server.url(), follow_redirects=False)

    assert server.connections == 1
    assert seen.status == 302
    assert judge_health(seen, {"status": 302}).outcome == "pass"
    assert judge_health(seen).outcome == "fail"
    assert metrics_of(seen, {"status": 302})["probe_http_redirects"] == 1


@pytest.mark.parametrize(
    "expectations",
    [
        pytest.param([], id="25: without an expectation"),
        pytest.param([{"status": 302}], id="29: even where 302 is expected"),
    ],
)
async def test_an_endless_chain_of_redirects_fails(expectations: list[object]) -> None:
    visited: list[int] = []
    numbers = count(1)

    async def onward(request: web.Request) -> web.StreamResponse:
        visited.append(int(request.query.get("n", 0)))
        return web.Response(status=302, headers={"Location": f"/?n={next(numbers)}"})

    async with serve_pages({"/": onward}) as server:
        seen = await observe(server.url())

    assert visited == list(range(11)), "the first and ten redirects; the twelfth is never asked"
    assert seen.fault is not None
    assert seen.fault.code is Code.TOO_MANY_REDIRECTS
    assert judge_health(seen, *expectations).outcome == "fail"
    assert judge_health(seen, *expectations).reasons[0].code is Code.TOO_MANY_REDIRECTS
    series = metrics_of(seen, *expectations)
    assert series["probe_http_redirects"] == 11
    assert series["probe_http_status_code"] == 302


async def test_a_limit_of_no_redirects_refuses_the_first() -> None:
    async with serve_pages({"/": redirect("/next"), "/next": page()}) as server:
        seen = await observe(server.url(), max_redirects=0)

    assert server.connections == 1
    assert seen.fault is not None
    assert seen.fault.message == "0 redirects were followed and the answer redirects again"


async def test_26_a_cookie_of_the_first_answer_is_sent_to_the_second() -> None:
    got: list[str | None] = []

    async def second(request: web.Request) -> web.StreamResponse:
        got.append(request.headers.get("Cookie"))
        return web.Response()

    first = redirect("/second", cookie="visit=17; Path=/")
    async with serve_pages({"/": first, "/second": second}) as server:
        seen = await observe(server.url(), headers={"Cookie": "lang=en"})

    assert seen.status == 200
    assert got == ["lang=en; visit=17"]


async def test_27_cookies_live_for_one_probe() -> None:
    got: list[str | None] = []

    async def first(request: web.Request) -> web.StreamResponse:
        got.append(request.headers.get("Cookie"))
        return web.Response(
            status=302, headers={"Location": "/second", "Set-Cookie": "visit=17; Path=/"}
        )

    async with (
        serve_pages({"/": first, "/second": page()}) as server,
        probing(server.url()) as probe,
    ):
        await probe.observe()
        await probe.observe()

    assert got == [None, None]


async def test_28_the_name_of_the_new_host_is_checked_after_a_redirect(
    authority: Authority,
) -> None:
    async with (
        serve_pages({"/": page(b"secure")}, tls=authority.context("second.test")) as second,
        serve_pages({"/": redirect(second.url(host="second.test"))}) as first,
    ):
        seen = await observe(first.url(host="first.test"), tls={"ca_file": str(authority.file)})

    assert seen.fault is None
    assert seen.body == b"secure"
    assert judge_health(seen).outcome == "pass"
    series = metrics_of(seen)
    assert series["probe_http_ssl"] == 1
    assert series["probe_http_redirects"] == 1


async def test_28_a_certificate_of_the_first_host_is_refused_on_the_second(
    authority: Authority,
) -> None:
    async with (
        serve_pages({"/": page()}, tls=authority.context("first.test")) as second,
        serve_pages({"/": redirect(second.url(host="second.test"))}) as first,
    ):
        seen = await observe(first.url(host="first.test"), tls={"ca_file": str(authority.file)})

    assert seen.fault is not None
    assert seen.fault.code is Code.TLS_CERT_HOSTNAME
    assert seen.status is None
    assert judge_health(seen).reasons[0].code is Code.TLS_CERT_HOSTNAME


async def test_28_a_server_name_is_meant_for_the_first_host_alone(authority: Authority) -> None:
    async with (
        serve_pages({"/": page()}, tls=authority.context("second.test")) as second,
        serve_pages(
            {"/": redirect(second.url(host="second.test"))}, tls=authority.context("inner.test")
        ) as first,
    ):
        seen = await observe(
            first.url(host="first.test"),
            tls={"ca_file": str(authority.file), "server_name": "inner.test"},
        )

    assert seen.fault is None
    assert seen.status == 200


async def test_the_final_hop_decides_whether_tls_was_used(authority: Authority) -> None:
    async with (
        serve_pages({"/": page()}) as second,
        serve_pages({"/": redirect(second.url())}, tls=authority.context()) as first,
    ):
        seen = await observe(first.url(), tls={"ca_file": str(authority.file)})

    assert seen.status == 200
    assert not seen.over_tls
    assert metrics_of(seen)["probe_http_ssl"] == 0


async def test_30_the_body_of_a_redirect_that_is_not_followed_is_read() -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/next"}, body=b"moved along")

    async with serve_pages({"/": answer}) as server:
        seen = await observe(server.url(), follow_redirects=False)

    assert seen.body == b"moved along"
    assert metrics_of(seen)["probe_http_uncompressed_body_length"] == 11


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        pytest.param(301, "POST", "GET ", id="301 turns POST into GET"),
        pytest.param(302, "POST", "GET ", id="302 turns POST into GET"),
        pytest.param(303, "PUT", "GET ", id="303 turns everything into GET"),
        pytest.param(303, "HEAD", "HEAD ", id="303 leaves HEAD"),
        pytest.param(302, "PUT", "PUT order", id="302 leaves PUT"),
        pytest.param(307, "POST", "POST order", id="307 repeats the body"),
        pytest.param(308, "POST", "POST order", id="308 repeats the body"),
    ],
)
async def test_the_method_after_a_redirect(status: int, method: str, then: str) -> None:
    got: list[str] = []

    async def second(request: web.Request) -> web.StreamResponse:
        got.append(f"{request.method} {await request.text()}")
        assert ("Content-Type" in request.headers) is bool(got[-1].endswith("order"))
        return web.Response()

    pages = {"/": redirect("/next", status=status), "/next": second}
    body = {} if method == "HEAD" else {"body": "order", "headers": {"Content-Type": "text/plain"}}
    async with serve_pages(pages) as server:
        seen = await observe(server.url(), method=method, **body)

    assert seen.status == 200
    assert got == [then]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        pytest.param("file:///etc/passwd", "file:///etc/passwd", id="A11: to a file"),
        pytest.param("ftp://x.test/", "ftp://x.test/", id="A11: to another protocol"),
        pytest.param("http://[::1", "http://[::1", id="to a broken URL"),
        pytest.param("http://x.test:99999/", "http://x.test:99999/", id="to a port that is none"),
    ],
)
async def test_a_redirect_that_leads_to_no_page_is_a_bad_response(
    location: str, words: str
) -> None:
    async with serve_pages({"/": redirect(location)}) as server:
        seen = await observe(server.url())

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert words in seen.fault.message
    assert "not an http or https URL" in seen.fault.message


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "inner.test", "169.254.169.254", "[::ffff:127.0.0.1]"]
)
async def test_a11_a_distant_server_cannot_send_the_monitor_to_its_own_machine(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the counterpart is on loopback as well: let the first hop count as distant
    monkeypatch.setattr("monitor.probes._http.probe.is_afar", lambda _call: True)
    async with (
        serve_pages({"/secret": page(b"inner")}) as inner,
        serve_pages({"/": redirect(f"http://{host}:{inner.port}/secret")}) as server,
    ):
        seen = await observe(server.url())

    assert inner.connections == 0
    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert "an address of the monitor's own machine" in seen.fault.message


@pytest.mark.parametrize("inward", [True, False], ids=["a near server", "a distant server"])
async def test_names_that_a_server_redirects_to_do_not_say_whether_the_resolver_works(
    monkeypatch: pytest.MonkeyPatch, inward: bool
) -> None:
    """Who could choose the names that are compared could have a failure of another excused."""
    monkeypatch.setattr("monitor.probes._http.probe.is_afar", lambda _call: not inward)
    resolver = Resolver(ask=ask_loopback)
    async with serve_pages({"/": redirect("http://chosen.test/")}) as server:
        url = f"http://watched.test:{server.port}/"
        await observe(url, names=resolver)

    assert resolver.known(8) == ["watched.test"]


async def test_a_redirect_without_a_location_is_an_answer() -> None:
    async with serve_pages({"/": page(b"?", status=302)}) as server:
        seen = await observe(server.url())

    assert seen.fault is None
    assert seen.status == 302
    assert seen.redirects == ()


async def test_secret_parameters_are_sent_and_not_shown() -> None:
    got: list[str] = []

    async def second(request: web.Request) -> web.StreamResponse:
        got.append(request.query_string)
        return web.Response()

    pages = {"/": redirect("/next?sig=hunter2&q=1"), "/next": second}
    async with serve_pages(pages) as server:
        seen = await observe(server.url("/?token=hunter1"))

    assert got == ["sig=hunter2&q=1"]
    assert seen.url == server.url("/next?sig=***&q=1")
    assert seen.redirects[0].url == server.url("/?token=***")
    assert seen.redirects[0].location == "/next?sig=***&q=1"


async def test_a_fragment_goes_along() -> None:
    async with serve_pages({"/": redirect("/next"), "/next": page()}) as server:
        seen = await observe(server.url("/#part"))

    assert seen.url == server.url("/next#part")
