"""A run that only probes pays for nothing else: what takes long to import stays unimported."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import unused_port

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """
endpoints:
  shop:
    service: storefront
    url: http://127.0.0.1:{port}/
    every: 10s
"""


@pytest.mark.parametrize("library", ["aiohttp", "cryptography"])
def test_a_run_over_plain_http_does_not_import(library: str, tmp_path: Path) -> None:
    file = tmp_path / "monitor.yml"
    file.write_text(CONFIGURATION.format(port=unused_port()))
    command = [sys.executable, "-X", "importtime", "-m", "monitor"]
    command += ["--cycles", "1", "--no-state", "--config", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}

    assert "refused the connection" in ran.stdout
    assert "httptools" in imported, "it was looked for in the right place"
    assert library not in imported
