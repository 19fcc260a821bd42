"""Stores in real files, closed when the test ends."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from monitor.store import Store
from tests.support.stored import NOON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    OpenStore = Callable[..., Awaitable[Store]]

_NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "monitor.db"


@pytest.fixture
async def open_store(path: Path) -> AsyncIterator[OpenStore]:
    """Open the store at `path`, as often as the test likes."""
    opened = []

    async def open_it(**more: Any) -> Store:
        store = await Store.open(path, holder="pytest", clock=lambda: NOON, **more)
        opened.append(store)

        return store

    yield open_it
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Give a directory of a user who is not root, and be that user."""
    with tempfile.TemporaryDirectory() as name, _as_nobody(Path(name)):
        yield Path(name)


@contextmanager
def _as_nobody(directory: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return

    os.chown(directory, _NOBODY, _NOBODY)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
