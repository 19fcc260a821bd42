"""What all tests share: a clean environment, and plain words about programs that are missing."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.logs import capture_logs

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_PACKAGES = {
    "/usr/lib/nagios/plugins/check_disk": "monitoring-plugins-basic",
    "/usr/lib/nagios/plugins/check_dummy": "monitoring-plugins-basic",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "mariadbd": "mariadb-server",
    "nsenter": "util-linux",
    "pg_ctlcluster": "postgresql",
    "setpriv": "util-linux",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
"""Debian packages that are named differently from the program in them."""


def pytest_configure() -> None:
    """Let no variable of the developer's shell change what is tested."""
    for name in list(os.environ):
        if name.startswith("MONITOR_") or name.lower().endswith("_proxy"):
            del os.environ[name]

    # Daemons live here, and a login shell may not look there.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are not installed, and say how to get them."""
    wanted = [program for marker in item.iter_markers("needs") for program in marker.args]
    missing = [program for program in wanted if shutil.which(program) is None]
    if not missing:
        return

    packages = " ".join(sorted({_PACKAGES.get(program, program) for program in missing}))
    pytest.skip(f"{', '.join(missing)} not installed: apt-get install {packages}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what is skipped in CI: there, every promise is kept."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in CI: {report.longrepr}"

    return report


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    """Give what the monitor logs in this process while the test runs."""
    with capture_logs() as said:
        yield said
