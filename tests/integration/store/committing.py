"""A program whose disk is recorded: it commits, tells each commit, starts again, and just ends.

`committing.py STORE COMMITS [careless]`: a line `told N` once bundle N is durable. Its log is
short, so that much of it is brought into the database; `careless` leaves out all syncing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from monitor.core.model.changes import Changes
from monitor.core.model.rollback import StepState
from monitor.store import Store, attachment, connection
from tests.support.stored import a_result, a_step, after, an_entry, an_incident

if TYPE_CHECKING:
    from datetime import timedelta
    from sqlite3 import Connection


def bundle(number: int) -> Changes:
    return Changes(
        results=tuple(a_result(after(100 * number + n)) for n in range(20)),
        incidents=(an_incident(sequence=number),),
        timeline=(an_entry(sequence=number),),
        steps=(a_step(state=StepState.STARTED, attempt=number),),
    )


def connect_carelessly(path: Path, busy_timeout: timedelta) -> Connection:
    opened = connection.connect(path, busy_timeout)
    opened.execute("PRAGMA synchronous=OFF")

    return opened


async def main(path: Path, commits: int) -> None:
    store = await Store.open(path, holder="recorded")
    for number in range(1, commits + 1):
        await store.commit(bundle(number))
        os.write(1, f"told {number}\n".encode())
        if number == commits // 2:
            await store.close()
            store = await Store.open(path, holder="recorded again")
    os._exit(0)


if __name__ == "__main__":
    how = connect_carelessly if "careless" in sys.argv else connection.connect
    with (
        patch.object(attachment, "connect", how),
        patch.object(attachment, "_LONG_LOG", 96 * 1024),
    ):
        asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
