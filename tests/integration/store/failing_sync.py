"""A program for strace to fail: commits three times, and says how each commit ended.

`failing_sync.py STORE`
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from monitor.core.model.changes import Changes
from monitor.store import Store, StoreError
from tests.support.stored import an_incident


async def main(path: Path) -> None:
    store = await Store.open(path, holder="failing")
    Path(f"{path}.opened").touch()
    for number in range(3):
        try:
            await store.commit(Changes(incidents=(an_incident(f"i{number}"),)))
            print("durable", flush=True)
        except StoreError as error:
            print(error, flush=True)
    await store.close()

    again = await Store.open(path, holder="again")
    print("there:", ", ".join((await again.load()).incidents))
    await again.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
