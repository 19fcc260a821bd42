"""The program, as installed, but with little patience for its store: for tests that wait for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.cli import main
from monitor.store import attachment, connection, journal

if TYPE_CHECKING:
    from pathlib import Path
    from sqlite3 import Connection


def connect(path: Path, _patience: timedelta) -> Connection:
    """Give up after half a second what another holds; the program waits for five."""
    return connection.connect(path, timedelta(seconds=0.5))


if __name__ == "__main__":
    vars(attachment)["connect"] = connect
    vars(journal)["STUCK"] = timedelta(seconds=1)  # a commit that takes 15 s hangs
    main()
