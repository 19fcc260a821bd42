"""The mixed faults: each runs by itself until it is cancelled, and puts right what it did."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import aiohttp

from tests.soak.town import Mood
from tests.support.receiver import after, answers, drops, hangs

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from tests.soak.town import Shop, Town

_BAD: Final = (Mood.DOWN, Mood.HANGS, Mood.DROPS, Mood.GARBLES, Mood.SLOW, Mood.FLAPS)
_STORM: Final = 20
_FULL: Final = "ballast"
_DISK: Final = "256m"


async def spoil_targets(town: Town, *, change_every: float = 1.0) -> None:
    """Let plain shops fall into some mood and out of it again."""
    plain = [shop for shop in town.shops.values() if shop.name.startswith("plain")]
    while True:
        for shop in town.random.sample(plain, 4):
            shop.mood = Mood.GOOD if shop.mood is not Mood.GOOD else town.random.choice(_BAD)
        await asyncio.sleep(change_every)


async def deploy_badly(town: Town, *, every: float = 15.0) -> None:
    """Deploy, one shop after the other, what does not work; its hook or a person puts it right."""
    loop = asyncio.get_running_loop()
    deployed = [shop for shop in town.shops.values() if shop.name.startswith("deployed")]
    cured: dict[str, int] = {}
    due = loop.time()
    while True:
        for shop in deployed:
            _heal(shop, len(town.effects().get(shop.name, [])), cured, loop.time())
        if loop.time() >= due:
            due = loop.time() + every
            shop = deployed[0]
            deployed = [*deployed[1:], shop]
            if shop.bad_since is None:
                shop.bad_since, shop.mood = loop.time(), Mood.DOWN
                shop.version += 2
        await asyncio.sleep(0.2)


def _heal(shop: Shop, effects: int, cured: dict[str, int], now: float) -> None:
    """Let a shop work again once its hook ran, or somebody looked after half a minute."""
    if shop.bad_since is None:
        return

    helped = effects > cured.get(shop.name, 0)
    if helped or now - shop.bad_since > 30:
        cured[shop.name] = effects
        shop.bad_since, shop.mood = None, Mood.GOOD
        if helped:
            shop.version -= 1


async def spoil_receivers(town: Town) -> None:
    """Let receivers refuse, limit, hang and drop; every few seconds it is another trouble."""
    troubles = (
        answers(),
        answers(),
        answers(),
        answers(500),
        answers(429, retry_after="1"),
        drops(),
        hangs(),
        after(0.5, answers()),
    )
    while True:
        town.webhook.then = town.random.choice(troubles)
        match town.random.randrange(6):
            case 0:
                town.slack.fail(status=500)
            case 1:
                town.slack.fail("ratelimited", retry_after="1")
            case 2:
                town.slack.fail(drops=True)
            case 3:
                town.slack.fail(hangs=True)
        await asyncio.sleep(town.random.uniform(1, 4))


async def ask_slowly(town: Town) -> None:
    """Be several clients of the interface: fast ones, and some that take their time."""

    async def dawdle() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", town.listens)
                try:
                    head = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{town.listens}\r\n\r\n"
                    cut = town.random.randrange(len(head) + 1)
                    writer.write(head[:cut].encode())
                    await asyncio.sleep(town.random.uniform(1, 8))
                    writer.write(head[cut:].encode())
                    while await asyncio.wait_for(reader.read(500), 5):
                        await asyncio.sleep(0.05)
                except (OSError, TimeoutError):
                    pass
                finally:
                    writer.close()
            await asyncio.sleep(0.5)

    async def browse() -> None:
        limit = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=limit) as session:
            while True:
                for path in ("/", "/metrics", "/api/v1/status", "/nothing"):
                    with suppress(aiohttp.ClientError, TimeoutError):
                        async with session.get(f"http://127.0.0.1:{town.listens}{path}") as answer:
                            await answer.read()
                    await asyncio.sleep(1)

    await asyncio.gather(*(dawdle() for _ in range(6)), browse())


async def hang_up(town: Town) -> None:
    """Reload in storms: with what is refused, and with what is changed a little."""
    try:
        while True:
            await asyncio.sleep(town.random.uniform(10, 25))
            async with town.settling:
                town.misconfigure()
                await _storm(town)
                town.configure(
                    threshold=town.random.choice([2, 3, 4]),
                    patience=town.random.choice(["3s", "5s"]),
                    extra=town.random.random() < 0.5,
                )
                await _storm(town)
    finally:
        town.configure()


async def _storm(town: Town) -> None:
    for _ in range(_STORM):
        town.send(signal.SIGHUP)
        await asyncio.sleep(0.02)
    await asyncio.sleep(1)


async def pause(town: Town) -> None:
    """Stop the process for some seconds, now and then."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(town.random.uniform(30, 60))
        begun = loop.time()
        town.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(town.random.uniform(1, 5))
        finally:
            town.send(signal.SIGCONT)
            town.away.append((begun, loop.time()))


async def fill_disk(town: Town) -> None:
    """Leave the store no room for some seconds, now and then."""
    ballast = town.store.parent / _FULL
    try:
        while True:
            await asyncio.sleep(town.random.uniform(40, 80))
            await asyncio.to_thread(_fill, ballast)
            await asyncio.sleep(town.random.uniform(3, 8))
            ballast.unlink(missing_ok=True)
    finally:
        ballast.unlink(missing_ok=True)


def all_of(town: Town, *, disk: bool, pauses: bool = True) -> list[Coroutine[None, None, None]]:
    """Give all faults, to be run beside each other."""
    return [
        spoil_targets(town),
        deploy_badly(town),
        spoil_receivers(town),
        ask_slowly(town),
        hang_up(town),
        *([pause(town)] if pauses else []),
        *([fill_disk(town)] if disk else []),
    ]


def calm(town: Town) -> None:
    """Let everybody behave again."""
    for shop in town.shops.values():
        shop.mood, shop.bad_since = Mood.GOOD, None
    town.webhook.next.clear()
    town.webhook.then = answers()
    town.slack.faults.clear()


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Put a disk of its own under the store, which only root can do; say whether it is there."""
    folder.mkdir(mode=0o700)
    if os.geteuid() != 0:
        yield False
        return

    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK},mode=700", "tmpfs", folder], check=True
    )
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
