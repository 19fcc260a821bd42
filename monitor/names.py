"""Names to addresses, on threads of our own: a name that hangs holds up nothing else."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, SocketAddress]
Ask = Callable[[str, int], Sequence[Address]]

_THREADS: Final = 32
_PER_NAME: Final = 4
_IDLE_SECONDS: Final = 30.0
_STAGGER: Final = 0.25
_FULL_QUEUE_SECONDS: Final = 0.05
_REMEMBERED: Final = 1024
_KNOWN: Final = 64
_HOSTS: Final = Path("/etc/hosts")
_LITERAL: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

# as glibc says it: no such name, no address of any kind, and none of a kind that this machine has
_ANSWERS: Final = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})


def is_answer(error: OSError) -> bool:
    """Say whether a failed question was answered: a resolver said that there is no address.

    Anything else (it is silent, refuses, or failed itself) tells nothing about the name.
    """
    return isinstance(error, socket.gaierror) and error.errno in _ANSWERS


class Lookup:
    """One question to the system's resolver, which any number of probes may wait for.

    `started` says whether a thread has taken it: one that none took tells nothing about the name.
    Of what is `known` nobody has to be asked. `remember` says whether others may ask for the name
    to find out whether the resolver works.
    """

    __slots__ = ("_outcome", "_waiters", "host", "port", "remember", "started")

    def __init__(
        self,
        host: str,
        port: int,
        *,
        known: Sequence[Address] | None = None,
        remember: bool = True,
    ) -> None:
        self.host = host
        self.port = port
        self.remember = remember
        self.started = known is not None
        self._outcome: Sequence[Address] | Exception | None = known
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    @property
    def answered(self) -> bool:
        """Whether a resolver has said something about the name, be it that there is none."""
        outcome = self._outcome
        if isinstance(outcome, OSError):
            return is_answer(outcome)

        return outcome is not None and not isinstance(outcome, Exception)

    async def answer(self) -> Sequence[Address]:
        """Wait for the addresses; raises OSError (mostly socket.gaierror) or UnicodeError."""
        if self._outcome is None:
            loop = asyncio.get_running_loop()
            waiter = loop.create_future()
            self._waiters.append((loop, waiter))
            # the thread may have ended between the first look and the appending
            if self._outcome is None:
                await waiter

        if isinstance(self._outcome, Exception):
            raise self._outcome.with_traceback(None)
        assert self._outcome is not None

        return self._outcome

    def run(self, ask: Ask) -> None:
        """Ask, and wake those who wait; on a thread of the resolver."""
        try:
            self._outcome = ask(self.host, self.port)
        except (OSError, UnicodeError, MemoryError) as error:
            self._outcome = error

        for loop, waiter in list(self._waiters):
            try:
                loop.call_soon_threadsafe(_wake, waiter)
            except RuntimeError:
                continue  # that loop was closed; nobody waits there any more


class Resolver:
    """A bounded set of daemon threads that ask the system's resolver.

    At most `per_name` threads work on one name: further probes of it wait for its newest lookup,
    so that one name that hangs cannot take every thread.
    """

    def __init__(
        self,
        *,
        threads: int = _THREADS,
        per_name: int = _PER_NAME,
        ask: Ask | None = None,
    ) -> None:
        self._limit = threads
        self._per_name = per_name
        self._ask = ask or ask_system
        self._changed = threading.Condition()
        self._queue: deque[Lookup] = deque()
        self._running: dict[tuple[str, int], list[Lookup]] = {}
        self._known: OrderedDict[str, None] = OrderedDict()
        self._threads = 0
        self._idle = 0

    def begin(self, host: str, port: int, *, remember: bool = True) -> Lookup:
        """Put a question; an address as text is answered at once, without a thread.

        One that is not to be remembered is never among the `known`.
        """
        if (addresses := read_address(host, port)) is not None:
            return Lookup(host, port, known=addresses)

        with self._changed:
            same = self._running.setdefault((host, port), [])
            if len(same) >= self._per_name:
                return same[-1]

            lookup = Lookup(host, port, remember=remember)
            same.append(lookup)
            self._know(lookup)
            self._queue.append(lookup)
            if len(self._queue) > self._idle and self._threads < self._limit:
                self._start_thread()
            else:
                self._changed.notify()

        return lookup

    def known(self, most: int) -> list[str]:
        """Give names that were asked for lately, first the one that was answered last."""
        with self._changed:
            return list(itertools.islice(reversed(self._known), most))

    def _know(self, lookup: Lookup) -> None:
        """Remember a name: at the far end, until it is answered."""
        if not lookup.remember:
            return
        if lookup.answered:
            self._known[lookup.host] = None
            self._known.move_to_end(lookup.host)
        elif lookup.host not in self._known and len(self._known) < _KNOWN:
            self._known[lookup.host] = None
            self._known.move_to_end(lookup.host, last=False)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def _start_thread(self) -> None:
        self._threads += 1
        try:
            threading.Thread(target=self._work, name="resolver", daemon=True).start()
        except RuntimeError:
            # no thread to be had: those that run take the question, or its probe times out unasked
            self._threads -= 1

    def _work(self) -> None:
        while (lookup := self._take()) is not None:
            lookup.run(self._ask)
            with self._changed:
                self._know(lookup)
                key = (lookup.host, lookup.port)
                self._running[key].remove(lookup)
                if not self._running[key]:
                    del self._running[key]

    def _take(self) -> Lookup | None:
        with self._changed:
            self._idle += 1
            found = self._changed.wait_for(lambda: bool(self._queue), timeout=_IDLE_SECONDS)
            self._idle -= 1
            if not found:
                self._threads -= 1
                return None

            lookup = self._queue.popleft()
            lookup.started = True

            return lookup


@lru_cache(maxsize=_REMEMBERED)
def read_address(host: str, port: int) -> Sequence[Address] | None:
    """Read an address written as text; None where it is a name."""
    if ":" not in host and not host.replace(".", "").isdigit():
        return None

    try:
        return tuple(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=_LITERAL))
    except OSError:
        return None


async def connect_any(addresses: Sequence[Address]) -> socket.socket:
    """Connect to whichever address answers first, begun one after the other.

    Raises OSError, or what the event loop raises where a descriptor is no longer usable. The race
    swallows a cancellation that comes while it ends those who lost: it is raised again here, as
    nobody cancels twice.
    """
    import aiohappyeyeballs

    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_STAGGER)
    except (OSError, RuntimeError) as error:
        if task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise

    if task.cancelling() > before:
        sock.close()
        raise asyncio.CancelledError

    return sock


async def connect_unix(path: str) -> socket.socket:
    """Connect to a Unix socket, however long its queue is full; raises OSError.

    A full queue is no connection that is on its way, which the event loops take it for.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        while True:
            try:
                sock.connect(path)
            except BlockingIOError:
                await asyncio.sleep(_FULL_QUEUE_SECONDS)
            else:
                return sock
    except BaseException:
        sock.close()
        raise


def without_own_names(names: Iterable[str], hosts: Path = _HOSTS) -> list[str]:
    """Leave out what this machine knows by itself: an answer about it is none of a resolver."""
    try:
        text = hosts.read_text(errors="replace")
    except OSError:
        text = ""
    lines = (line.partition("#")[0] for line in text.splitlines())
    own = {word.lower() for line in lines for word in line.split()[1:]}
    own |= {"localhost", socket.gethostname().lower()}

    return [
        name
        for name in names
        if (plain := name.lower().rstrip(".")) not in own and not plain.endswith(".localhost")
    ]


def ask_system(host: str, port: int) -> Sequence[Address]:
    """Ask the system's resolver, which may take long; raises OSError.

    Without a free descriptor the system says that the name does not exist, or that it is busy: a
    question that failed is therefore believed only where a descriptor can still be had.
    """
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except OSError:
        require_descriptor()
        raise


def require_descriptor() -> None:
    """Raise OSError where this process may open no file any more."""
    os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
