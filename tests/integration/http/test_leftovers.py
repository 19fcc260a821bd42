"""A probe that is over, or was told to stop, leaves nothing: no descriptor, no task, no garbage."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.support.http_probe import probing
from tests.support.servers import (
    HOST,
    answers,
    answers_page,
    page,
    redirect,
    reset,
    serve_pages,
    serve_script,
    unused_port,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.support.authority import Authority

OFTEN = 10


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def full_house() -> Iterator[str]:
    """Give the address of a host that accepts no further connection."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(2):
            taker = stack.enter_context(socket.socket())
            taker.setblocking(False)
            taker.connect_ex(full.getsockname())
        yield f"http://{HOST}:{full.getsockname()[1]}/"


@contextmanager
def silence(scheme: str = "http") -> Iterator[str]:
    """Give the address of a host whose system accepts, and nobody answers."""
    with socket.create_server((HOST, 0), backlog=100) as listener:
        yield f"{scheme}://{HOST}:{listener.getsockname()[1]}/"


@contextmanager
def half_a_body() -> Iterator[str]:
    """Give the address of a host that stops in the middle, and waits for the other side to go."""

    def work() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(5)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi")
                while connection.recv(1000):
                    pass

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=work, name="half a body")
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    "new_loop",
    [
        pytest.param(asyncio.new_event_loop, id="asyncio"),
        pytest.param(uvloop.new_event_loop, id="uvloop"),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        pytest.param(full_house, id="connecting"),
        pytest.param(lambda: silence("https"), id="in the handshake"),
        pytest.param(silence, id="before the answer"),
        pytest.param(half_a_body, id="in the body"),
    ],
)
@pytest.mark.parametrize("waits", [None, 0.0, 0.03], ids=["unbegun", "at once", "later"])
def test_a_probe_that_is_told_to_stop_lets_go_of_everything(
    place: Callable[[], AbstractContextManager[str]],
    waits: float | None,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def story(url: str) -> None:
        async def stop_one() -> None:
            task = asyncio.create_task(probe.observe())
            if waits is not None:
                await asyncio.sleep(waits)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        async with probing(url, tls={"verify": False}) as probe:
            await stop_one()
            await asyncio.sleep(0.02)  # what a loop opens for itself at the first connection stays
            before = descriptors()
            tasks = asyncio.all_tasks()
            for _ in range(OFTEN):
                await stop_one()
            async with asyncio.timeout(30):
                while descriptors() > before:
                    await asyncio.sleep(0.005)
            assert asyncio.all_tasks() == tasks

    with place() as url, asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story(url))


@pytest.mark.parametrize(
    "what", ["answer", "redirect", "nonsense", "reset", "silence", "refused", "nameless", "tls"]
)
def test_a_probe_leaves_nothing_for_the_garbage_collector(what: str, authority: Authority) -> None:
    async def story() -> int:
        async with AsyncExitStack() as stack:
            options: dict[str, object] = {}
            match what:
                case "answer":
                    script = answers_page(200, b"hi")
                    url = (await stack.enter_async_context(serve_script(script))).url()
                case "redirect":
                    pages = {"/": redirect("/next", cookie="a=1"), "/next": page()}
                    url = (await stack.enter_async_context(serve_pages(pages))).url()
                case "nonsense":
                    script = answers(b"HELLO\r\n\r\n")
                    url = (await stack.enter_async_context(serve_script(script))).url()
                case "reset":
                    url = (await stack.enter_async_context(serve_script(reset))).url()
                case "silence":
                    url, options = stack.enter_context(silence()), {"timeout": 0.02}
                case "refused":
                    url = f"http://{HOST}:{unused_port()}/"
                case "nameless":
                    url = "http://nowhere.invalid/"
                case _:
                    tls = authority.context("localhost")
                    served = serve_script(answers_page(), tls=tls)
                    url = (await stack.enter_async_context(served)).url(host="localhost")
                    options = {"tls": {"ca_file": str(authority.file)}}

            async with probing(url, **options) as probe:
                await probe.observe()
                await asyncio.sleep(0.02)
                gc.collect()
                gc.disable()
                try:
                    for _ in range(OFTEN):
                        await probe.observe()
                    await asyncio.sleep(0.02)
                    return gc.collect()
                finally:
                    gc.enable()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(story()) < OFTEN, "less than one object a probe"
