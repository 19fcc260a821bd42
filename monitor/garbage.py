"""When Python looks for garbage: not while what stays is made, and rarely through all of that."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_RARELY: Final = (5_000, 10, 1_000)
"""To look through all stops 10,000 endpoints for a third of a second."""


@contextmanager
def left_alone() -> Iterator[None]:
    """Let nobody look for garbage meanwhile, until `watch_for_garbage` if that comes first.

    What is made here is kept. Of a start, an eighth of the time went into looking; to look took
    longer than to load 10,000 endpoints.
    """
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()


def watch_for_garbage() -> None:
    """Look for it from now on, but never through what is there already: that stays."""
    gc.freeze()
    gc.set_threshold(*_RARELY)
    gc.enable()
