"""Wears the program out, by thousands of deaths and an hour of faults: run it by `make soak`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tests.soak import faults
from tests.soak.town import EVERY, Town, open_town
from tests.soak.watch import COUNTED, SHORTEST, Record
from tests.support.account import Books, effects_twice, states_of
from tests.support.lives import Rounds, Service
from tests.support.program import daemon
from tests.support.stories import Tale, Tally, neighbourhood
from tests.support.tracing import choose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from contextlib import AbstractAsyncContextManager

    from tests.support.program import Daemon

QUICK: Final = bool(os.environ.get("QUICK"))
MINUTES: Final = float(os.environ.get("SOAK_MINUTES") or (2 if QUICK else 60))
KILLS: Final = int(os.environ.get("SOAK_KILLS") or (20 if QUICK else 1000))
SEED: Final = int(os.environ.get("SOAK_SEED") or Random().randrange(1_000_000))

FILLED: Final = 600
"""So many incidents are there before it is measured: memory keeps 500, so that it is full."""

FILLING: Final = 300.0
TURN_OF_KILLS: Final = 25
"""How many deaths one folder sees before the next begins with an empty store."""

AT_ONCE: Final = 3
QUIET: Final = 420.0
"""How long the last notices may take once all is well: their back-off goes up to five minutes."""


async def main() -> int:
    """Run all phases; give how many promises were broken."""
    print(f"soak: {KILLS} kills, {MINUTES:g} min of faults; SOAK_SEED={SEED} repeats the choices")
    random = Random(SEED)
    broken = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        if KILLS:
            broken += await die_at_random(Path(folder), random)
        if MINUTES:
            broken += await live_among_faults(Path(folder) / "town", random)
    kept = "all promises were kept"
    if MINUTES and MINUTES * COUNTED / 60 < SHORTEST:
        kept += "; whether memory grows was not judged: that needs a longer run"
    print(*(f"BROKEN {what}" for what in broken) if broken else [kept], sep="\n")

    return len(broken)


async def die_at_random(folder: Path, random: Random) -> list[str]:
    """Kill the program at moments chosen by chance, in all stories and both ways to run."""
    ways: tuple[tuple[type[Rounds | Service], Tale, bool], ...] = (
        (Service, Tale.ROLLED_BACK, False),
        (Service, Tale.TOLD, False),
        (Service, Tale.ROLLED_BACK, True),
        (Service, Tale.REMEDIED, False),
        (Service, Tale.REMEDIED, True),
        (Service, Tale.APPROVED, False),
        (Service, Tale.ATTENDED, False),
        (Rounds, Tale.ROLLED_BACK, False),
        (Rounds, Tale.TOLD, False),
        (Rounds, Tale.REMEDIED, False),
    )
    turns = iter(range(0, KILLS, TURN_OF_KILLS))
    whole = Tally()

    async def work() -> Tally:
        tally = Tally()
        for start in turns:
            life, tale, runner = ways[start // TURN_OF_KILLS % len(ways)]
            async with neighbourhood(
                folder / str(start),
                tale=tale,
                runner=runner,
                random=Random(random.random()),
            ) as around:
                living = life(around)
                moments = await living.rehearse()
                chosen = choose(moments, min(TURN_OF_KILLS, KILLS - start), random)
                told = await living.kill(chosen)
                print(f"  {start + told.moments}: {life.__name__} {told}", flush=True)
                tally += told

        return tally

    for tally in await asyncio.gather(*(work() for _ in range(AT_ONCE))):
        whole += tally
    print(f"kills: {whole}", flush=True)

    return whole.broken


async def live_among_faults(folder: Path, random: Random) -> list[str]:
    """Be watched among faults, first without an end and then with many; close the books."""
    async with open_town(folder, random) as town:
        with faults.small_disk(town.store.parent) as disk:
            if not disk:
                print("  not root: no disk of its own, which is never full")
            record = Record()
            async with live(town):
                await fill(town)
                await keep_busy(
                    faults.all_of(town, disk=disk), MINUTES, beside=(record.keep(town),)
                )
                skipped = await count_skipped(town)
                faults.calm(town)
                await until_quiet(town)
            print(f"faults, {MINUTES:g} min: {record}", flush=True)
            broken = record.breaches() + silences(town, skipped)

            minutes = max(MINUTES / 6, 0.5)
            deaths = await live_and_die(town, minutes)
            print(f"faults and deaths, {minutes:g} min: {deaths} deaths", flush=True)

            return broken + close_books(town)


@asynccontextmanager
async def live(town: Town) -> AsyncIterator[None]:
    """Run the daemon; it has to end in good order."""
    async with _daemon(town) as town.running:
        yield
        code = await town.running.stop()
        if code != 0:
            raise AssertionError(f"the daemon ended with {code}")


def _daemon(town: Town) -> AbstractAsyncContextManager[Daemon]:
    return daemon(town.folder, environ={"MONITOR_LOG_FORMAT": "json"}, port=town.listens)


async def fill(town: Town) -> None:
    """Have so many incidents that memory holds as many as it ever will."""
    loop = asyncio.get_running_loop()
    end = loop.time() + FILLING
    spoiling = asyncio.create_task(faults.spoil_targets(town, change_every=0.1))
    try:
        while loop.time() < end:
            known = {one.json["incident"] for one in town.webhook.received}
            if len(known) >= FILLED:
                break
            await asyncio.sleep(1)
    finally:
        spoiling.cancel()
    print(f"  {len(known)} incidents so far", flush=True)


async def keep_busy(
    work: list[Coroutine[Any, Any, None]],
    minutes: float,
    *,
    beside: tuple[Coroutine[Any, Any, None], ...] = (),
) -> None:
    """Run all faults for so long; what breaks in one of them is raised."""
    tasks = [asyncio.create_task(one) for one in (*work, *beside)]
    try:
        done, _ = await asyncio.wait(
            tasks, timeout=minutes * 60, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def until_quiet(town: Town) -> None:
    """Wait until nothing is open and everything is told."""
    assert town.running is not None
    loop = asyncio.get_running_loop()
    end = loop.time() + QUIET
    while True:
        status = await town.running.status()
        open_ones = [one["id"] for one in status["incidents"] if not one["resolved_at"]]
        if not open_ones and not status["undelivered"]:
            return
        if loop.time() > end:
            raise AssertionError(f"{status['undelivered']} undelivered, still open: {open_ones}")
        await asyncio.sleep(0.5)


async def live_and_die(town: Town, minutes: float) -> int:
    """Be killed every few seconds among all faults, and started at once as systemd would."""
    loop = asyncio.get_running_loop()
    end = loop.time() + minutes * 60
    busy = asyncio.create_task(
        keep_busy(faults.all_of(town, disk=False, pauses=False), minutes + 10)
    )
    deaths = 0
    try:
        async with AsyncExitStack() as stack:
            while loop.time() < end:
                async with town.settling:
                    town.running = await stack.enter_async_context(_daemon(town))
                await asyncio.sleep(town.random.uniform(0, 6))
                await town.running.stop(signal.SIGKILL)
                deaths += 1
    finally:
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
    faults.calm(town)
    town.configure()
    async with live(town):
        await until_quiet(town)

    return deaths


async def count_skipped(town: Town) -> int:
    """Ask how many slots came and went without a probe."""
    assert town.running is not None
    _, text = await town.running.get("/metrics")
    (line,) = [one for one in text.splitlines() if one.startswith(_SKIPPED)]

    return int(float(line.split()[1]))


_SKIPPED: Final = "production_monitor_skipped_probes_total "


def silences(town: Town, skipped: int) -> list[str]:
    """Say which shop was not watched for a while, though nobody kept the monitor from it."""
    unexplained = [
        f"{shop.name} was not watched for {end - begin:.1f} s"
        for shop in town.shops.values()
        for begin, end in shop.silences
        if not any(begin < until and since < end for since, until in town.away)
    ]
    asked = sum(shop.asked for shop in town.shops.values())
    paused = sum(until - since for since, until in town.away)
    expected = paused / EVERY * len(town.shops)
    print(
        f"  {asked} probes; {skipped} slots skipped, {expected:.0f} of them in"
        f" {paused:.0f} s of pauses, others while a shop hung; {len(town.webhook.received)}"
        " webhooks came",
        flush=True,
    )

    return unexplained


_FAULTS: Final = ("store_failed", "reload_refused", "reloaded", "notice_delayed")
"""What has to be in the log if the faults were any."""


def close_books(town: Town) -> list[str]:
    """Hold what everybody heard against the store, once all is over."""
    books = Books.read(town.store)
    account = town.account()
    states = ", ".join(f"{n} {state}" for state, n in sorted(states_of(books).items()))
    said = town.log.read_text(errors="replace")
    met = ", ".join(f"{said.count(event)} {event}" for event in _FAULTS)
    print(f"  the log says: {met}")
    print(
        f"  {len(books.incidents)} incidents, {len(books.deliveries)} notices,"
        f" {sum(account.repeats.values())} of them came twice; rollbacks: {states}",
        flush=True,
    )

    return (
        account.breaches(books)
        + effects_twice(town.effects())
        + [f"{one.id} is still open" for one in books.incidents if one.open]
    )


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main()) else 0)
