"""The units as systemd sees them, without starting any."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"


@pytest.mark.needs("systemd-analyze")
def test_the_monitor_is_exposed_as_little_as_a_network_daemon_can_be() -> None:
    analysis = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            str(UNITS / "production-monitor.service"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    found = re.search(r"exposure level for production-monitor\.service: ([0-9.]+)", analysis.stdout)
    assert found, analysis.stdout
    assert float(found[1]) <= 1.5
