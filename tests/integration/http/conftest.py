"""What the cases share: one certificate authority for the whole folder."""

from __future__ import annotations

import pytest

from tests.support.authority import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))
