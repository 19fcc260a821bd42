"""Debian's blackbox_exporter and ours beside it: the same module at the same target, both pages."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import yaml
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from monitor.config import load
from monitor.core.sight import Sight
from monitor.metrics import render_probe
from monitor.names import Resolver
from monitor.plugins import Surroundings, make_probe
from monitor.tools.importing.blackbox import Target, import_blackbox
from monitor.tools.importing.draft import write_draft
from monitor.tools.importing.foreign import read_foreign
from tests.support.authority import Authority, context_of, issue
from tests.support.grpc_server import GrpcServer, serve_grpc
from tests.support.http_probe import ask_loopback
from tests.support.mail import serve_smtp
from tests.support.nameservers import accepts, serve_dns
from tests.support.servers import (
    Counterpart,
    answers,
    hang_up,
    page,
    redirect,
    reset,
    say_nothing,
    serve_pages,
    serve_script,
    unused_port,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from monitor.config import Compiled

    Page = Mapping[tuple[str, frozenset[tuple[str, str]]], float]

SECRET: Final = "hunter22"
LATER_LABELS: Final = frozenset({"serialnumber"})
TIMED: Final = frozenset(
    {
        "probe_duration_seconds",
        "probe_dns_lookup_time_seconds",
        "probe_http_duration_seconds",
        "probe_dns_duration_seconds",
        "probe_icmp_duration_seconds",
        "probe_grpc_duration_seconds",
    }
)
"""Families of which only the presence of each series is the same on both pages."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A module, and what it is pointed at: a text in which servers stand by their names.

    `differs` are the families that are not the same, with why. `success` is what both say.
    """

    name: str
    target: str
    prober: str = "http"
    options: Mapping[str, Any] | None = None
    success: bool = True
    timeout: str = "5s"
    differs: Mapping[str, str] | None = None

    def module(self, places: Mapping[str, str]) -> dict[str, Any]:
        """Give the module as blackbox_exporter reads it."""
        written = yaml.safe_dump(dict(self.options or {}))
        for name, place in places.items():
            written = written.replace(f"{{{name}}}", place)

        return {
            "prober": self.prober,
            "timeout": self.timeout,
            self.prober: yaml.safe_load(written),
        }


class Beside:
    """Both monitors, over the same servers."""

    def __init__(
        self, url: str, compiled: Compiled, places: Mapping[str, str], session: Any
    ) -> None:
        self._url = url
        self._compiled = compiled
        self._endpoints = {one.name: one for one in compiled.endpoints}
        self._places = places
        self._session = session
        self._around = Surroundings(
            clock=lambda: datetime.now(UTC), mask=str, resolver=Resolver(ask=ask_loopback)
        )

    async def theirs(self, scenario: Scenario) -> Page:
        """Ask blackbox_exporter."""
        params = {"module": scenario.name, "target": fill(scenario.target, self._places)}
        async with self._session.get(self._url, params=params) as response:
            assert response.status == 200
            return read_page(await response.text())

    async def ours(self, scenario: Scenario) -> Page:
        """Ask with what its module was imported as, and write the page of `/probe`."""
        endpoint = self._endpoints[scenario.name]
        probe = make_probe(self._compiled, endpoint, self._around)
        try:
            seen = await probe.observe()
        finally:
            await probe.close()
        sight = Sight(str)
        sight.take(endpoint, seen, scheduled=True, pins={})

        return read_page(render_probe(sight.latest[endpoint.name]))


def read_page(text: str) -> Page:
    """Read a page as its series, but for labels that came with later versions than Debian's."""
    return {
        (
            sample.name,
            frozenset(one for one in sample.labels.items() if one[0] not in LATER_LABELS),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def differences(theirs: Page, ours: Page) -> set[str]:
    """Give the families that blackbox_exporter has and that are not the same here.

    A phase that did not take place is 0 there, and absent here.
    """
    lost = {
        name
        for (name, labels), value in theirs.items()
        if (name, labels) not in ours and not (name in TIMED and labels and value == 0)
    }
    changed = {
        name
        for (name, labels), value in theirs.items()
        if (name, labels) in ours and name not in TIMED and ours[name, labels] != value
    }
    families = {name for name, _ in theirs}
    more = {name for name, labels in ours if (name, labels) not in theirs and name in families}

    return lost | changed | more


def fill(text: str, places: Mapping[str, str]) -> str:
    """Put servers in the place of their names."""
    for name, place in places.items():
        text = text.replace(f"{{{name}}}", place)

    return text


@asynccontextmanager
async def run_beside(folder: Path, scenarios: Sequence[Scenario]) -> AsyncIterator[Beside]:
    """Start the servers and blackbox_exporter, and import its modules."""
    async with AsyncExitStack() as stack:
        places = await _start_servers(stack, folder)
        modules = {one.name: one.module(places) for one in scenarios}
        config = folder / "blackbox.yml"
        config.write_text(yaml.safe_dump({"modules": modules}, sort_keys=False))
        port = unused_port()
        process = await asyncio.create_subprocess_exec(
            "prometheus-blackbox-exporter",
            f"--config.file={config}",
            f"--web.listen-address=127.0.0.1:{port}",
            stderr=asyncio.subprocess.DEVNULL,
        )
        stack.push_async_callback(process.wait)
        stack.callback(process.terminate)
        session = await stack.enter_async_context(aiohttp.ClientSession())

        await until(lambda: accepts(port))
        compiled = _import(folder, config, scenarios, places)
        yield Beside(f"http://127.0.0.1:{port}/probe", compiled, places, session)


def _import(
    folder: Path, config: Path, scenarios: Sequence[Scenario], places: Mapping[str, str]
) -> Compiled:
    targets = [
        Target(module=one.name, target=fill(one.target, places), name=one.name) for one in scenarios
    ]
    draft = import_blackbox(read_foreign(config), targets)
    ours = folder / "monitor.yml"
    ours.write_text(write_draft(draft, head="Drafted for the comparison."))

    return load([ours], environ=dict.fromkeys(draft.variables, SECRET))


async def _start_servers(stack: AsyncExitStack, folder: Path) -> dict[str, str]:
    """Start everything that is asked, and give where each is."""
    authority, stranger = Authority(_made(folder / "ca")), Authority(_made(folder / "other"))
    long_ago = datetime.now(UTC) - timedelta(days=90)
    expired = authority.context(
        not_before=long_ago, not_after=datetime.now(UTC) - timedelta(days=2)
    )
    old = authority.context()
    old.maximum_version = old.maximum_version.TLSv1_2
    elsewhere = context_of(_made(folder / "self"), issue("elsewhere.test", lasts=timedelta(days=9)))

    places = {"ca": str(authority.file), "closed": f"127.0.0.1:{unused_port()}"}
    secure: dict[str, ssl.SSLContext] = {
        "https": authority.context(),
        "untrusted": stranger.context(),
        "expired": expired,
        "tls12": old,
        "elsewhere": elsewhere,
    }
    plain = await stack.enter_async_context(serve_pages(_pages()))
    places["http"] = f"127.0.0.1:{plain.port}"
    for name, context in secure.items():
        pages = {"/": page(b"secure"), "/to-plain": redirect(f"http://{places['http']}/")}
        server = await stack.enter_async_context(serve_pages(pages, tls=context))
        places[name] = f"localhost:{server.port}"
        places[f"{name}-by-ip"] = f"127.0.0.1:{server.port}"
    for name, script in _scripts().items():
        scripted: Counterpart = await stack.enter_async_context(serve_script(script))
        places[name] = f"127.0.0.1:{scripted.port}"
    for name, script in _talkers().items():
        talking: Counterpart = await stack.enter_async_context(
            serve_script(script, reads_head=False)
        )
        places[name] = f"127.0.0.1:{talking.port}"
    smtp = await stack.enter_async_context(serve_smtp(authority.context()))
    places["smtp"] = f"localhost:{smtp}"
    names = await stack.enter_async_context(serve_dns(_answer))
    places["names"] = f"127.0.0.1:{names.port}"

    return places | _start_grpc(stack, folder)


def _start_grpc(stack: AsyncExitStack, folder: Path) -> dict[str, str]:
    import trustme

    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(folder / "grpc-ca.pem")
    issued = issuer.issue_cert("localhost")
    chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
    plain: GrpcServer = stack.enter_context(serve_grpc())
    plain.says("shop.Down", "NOT_SERVING")
    secure: GrpcServer = stack.enter_context(
        serve_grpc(tls=(issued.private_key_pem.bytes(), chain))
    )
    bare: GrpcServer = stack.enter_context(serve_grpc(with_health=False))

    return {
        "grpc": f"127.0.0.1:{plain.port}",
        "grpcs": f"localhost:{secure.port}",
        "bare-grpc": f"127.0.0.1:{bare.port}",
        "grpc-ca": str(folder / "grpc-ca.pem"),
    }


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)

    return folder


def _pages() -> dict[str, Any]:
    import gzip
    import zlib

    body = b"hello, this is the body of a page"

    async def status(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["code"]), body=body)

    async def post(request: web.Request) -> web.Response:
        right = request.method == "POST" and await request.text() == "a=1"
        return web.Response(status=200 if right else 400)

    async def allowed(request: web.Request) -> web.Response:
        basic = base64.b64encode(f"ana:{SECRET}".encode()).decode()
        known = (f"Bearer {SECRET}", f"Basic {basic}")
        return web.Response(status=200 if request.headers.get("Authorization") in known else 401)

    async def told(request: web.Request) -> web.Response:
        right = (request.host, request.headers.get("X-Tenant")) == ("shop.test", "acme")
        return web.Response(status=200 if right else 400)

    async def cookies(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.cookies.get("seen") == "1" else 403)

    async def chunked(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(body)
        await response.write_eof()
        return response

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    several = {"Server": "nginx/1.2", "Cache-Control": "no-store", "X-Empty": ""}
    return {
        "/": page(body),
        "/status/{code}": status,
        "/post": post,
        "/private": allowed,
        "/told": told,
        "/to": redirect("/"),
        "/to-to": redirect("/to"),
        "/loop": redirect("/loop"),
        "/cookie": redirect("/wants-cookie", cookie="seen=1"),
        "/wants-cookie": cookies,
        "/gzip": page(gzip.compress(body), headers={"Content-Encoding": "gzip"}),
        "/deflate": page(zlib.compress(body), headers={"Content-Encoding": "deflate"}),
        "/unknown-encoding": page(body, headers={"Content-Encoding": "xxx"}),
        "/chunked": chunked,
        "/slow": slow,
        "/headers": page(body, headers=several),
        "/empty": page(b""),
        "/big": page(b"x" * 200_000),
    }


def _scripts() -> dict[str, Any]:
    """What answers once the head of a request has come."""
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"

    return {
        "hangs-up": hang_up,
        "resets": reset,
        "silent": say_nothing,
        "garbage": answers(b"\x16\x03\x01 this is no HTTP\r\n\r\n"),
        "truncated": answers(cut),
        "http10": answers(b"HTTP/1.0 200 OK\r\n\r\nold"),
        "no-length": answers(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"),
    }


def _talkers() -> dict[str, Any]:
    """What talks on a bare port."""

    async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await reader.read(100)

    async def chat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"notice one\r\nPING :4711\r\n")
        answer = await reader.readline()
        writer.write(b":server 001 welcome\r\n" if answer == b"PONG 4711\n" else b"ERROR\r\n")
        await reader.read(100)

    return {"banner": banner, "chat": chat, "closes": hang_up, "mute": say_nothing}


def _answer(query: dns.message.Message, _over_tcp: bool) -> dns.message.Message:
    """Answer as a small authority does that recurses for nobody who does not ask for it."""
    response = dns.message.make_response(query)
    question = query.question[0]
    name, kind = question.name.to_text(), question.rdtype.name
    if name == "gone.test.":
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif name == "broken.test.":
        response.set_rcode(dns.rcode.SERVFAIL)
    elif not query.flags & dns.flags.RD:
        response.set_rcode(dns.rcode.REFUSED)
    elif kind == "SOA":
        soa = "ns.shop.test. admin.shop.test. 2026112501 3600 600 86400 60"
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "SOA", soa))
    elif kind == "A" and name == "shop.test.":
        response.answer.append(dns.rrset.from_text(name, 300, "IN", "A", "192.0.2.1", "192.0.2.2"))
        response.authority.append(dns.rrset.from_text(name, 300, "IN", "NS", "ns.shop.test."))
        response.additional.append(
            dns.rrset.from_text("ns.shop.test.", 300, "IN", "A", "192.0.2.53")
        )

    return response
