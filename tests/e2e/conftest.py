"""What the tests of the whole program share: a shop to watch, and a folder to run in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.shop import Shop, open_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_shop() as opened:
        yield opened
