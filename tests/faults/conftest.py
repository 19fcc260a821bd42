from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.disk import small_disk
from tests.support.place import open_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.disk import Disk
    from tests.support.place import Place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with open_place(tmp_path) as opened:
        yield opened


@pytest.fixture
def tiny(place: Place) -> Iterator[Disk]:
    """Put the store of a place on a small disk."""
    with small_disk(place.state) as disk:
        yield disk
