"""A program that commits and is killed, again and again, and looks what is left.

`killed.py STORE ROUNDS`: prints how many bundles were acknowledged, or what was lost.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from monitor.core.model.changes import Changes
from monitor.store import Store
from tests.support.stored import NOON, a_result, after, an_entry, an_incident


def bundle(number: int) -> Changes:
    return Changes(
        results=(a_result(after(number)),),
        incidents=(an_incident(sequence=number),),
        timeline=(an_entry(sequence=number),),
    )


async def commit_until_killed(path: Path, number: int, acknowledge: int) -> None:
    store = await Store.open(path, holder="to be killed")
    while True:
        number += 1
        await store.commit(bundle(number))
        os.write(acknowledge, f"{number}\n".encode())


async def look(path: Path) -> tuple[int, int, int, Path | None]:
    store = await Store.open(path, holder="looking")
    incident = (await store.load()).incidents.get("i1")
    timeline = await store.timeline("i1")
    results = await store.results("api", NOON, 10**6)
    await store.close()

    return incident.sequence if incident else 0, len(timeline), len(results), store.set_aside


def kill_once(path: Path, number: int, chance: random.Random) -> int:
    """Let a child commit for a moment; give the last number that it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        asyncio.run(commit_until_killed(path, number, writing))

    os.close(writing)
    with os.fdopen(reading) as acknowledged:
        first = acknowledged.readline()
        time.sleep(chance.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

        return int((first + acknowledged.read()).split()[-1])


def main(path: Path, rounds: int) -> None:
    chance = random.Random()
    number = 0
    for _ in range(rounds):
        acknowledged = kill_once(path, number, chance)
        sequence, entries, results, set_aside = asyncio.run(look(path))
        # The bundle that was under way may be there as well, but then all of it.
        if not (acknowledged <= sequence <= acknowledged + 1):
            sys.exit(f"{acknowledged} was acknowledged, found {sequence}")
        if not (sequence == entries == results) or set_aside:
            sys.exit(f"found {sequence}, {entries} entries, {results} results, {set_aside}")

        number = sequence

    print(number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
