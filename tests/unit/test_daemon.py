"""The daemon as a process: what goes wrong where nobody waits for it."""

from __future__ import annotations

import asyncio

from monitor.daemon import note_loop_error
from tests.support.logs import capture_logs


async def test_what_nobody_awaited_is_one_line_without_a_traceback() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(note_loop_error)

    with capture_logs() as lines:
        loop.call_exception_handler(
            {"message": "Future exception was never retrieved", "exception": OSError("TLS")}
        )

    (line,) = lines
    assert (line["event"], line["error"]) == ("loop_error", "OSError('TLS')")
    assert "exc_info" not in line
