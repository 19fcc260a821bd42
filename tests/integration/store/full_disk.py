"""A program whose file may grow no further for a while: its journal keeps what cannot be written.

`full_disk.py STORE`: prints what happened, a line each.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from datetime import timedelta
from pathlib import Path

from monitor.core.model.changes import Changes
from monitor.store import Store, StoreError
from monitor.store.journal import Journal
from tests.support.stored import NOON, a_result, after, an_incident


async def main(path: Path) -> None:
    store = await Store.open(path, holder="full")
    journal = Journal(store.commit, batch=timedelta(milliseconds=20))
    await journal.now(Changes(incidents=(an_incident("before"),)))

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    number = 0
    try:
        while number < 1_000:
            number += 1
            await journal.now(
                Changes(
                    incidents=(an_incident(f"i{number}"),),
                    results=tuple(a_result(after(100 * number + n)) for n in range(100)),
                )
            )
    except StoreError as error:
        print(error)

    journal.soon(Changes(incidents=(an_incident("while full"),)))
    readable = len((await store.load()).incidents)
    print("readable", readable >= number)
    while journal.error is None:
        await asyncio.sleep(0.01)
    print("waiting", journal.waiting)

    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    async with asyncio.timeout(20):
        while journal.waiting:
            await asyncio.sleep(0.01)
    await journal.close()
    await store.close()

    again = await Store.open(path, holder="again")
    found = (await again.load()).incidents
    results = len(await again.results(None, NOON, 10**6))
    print("kept", len(found) == number + 2, results == 100 * number, again.set_aside)
    await again.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
