"""Puts a version of the shop live: release.py ROOT [VERSION]; as a hook, the version to restore."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path

PATIENCE = 10.0


def live_version(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return str(json.load(answer)["version"])
    except (OSError, ValueError, KeyError):
        return ""


def main() -> int:
    root = Path(sys.argv[1])
    version = sys.argv[2] if len(sys.argv) > 2 else os.environ["MONITOR_TO_VERSION"]
    if not (root / "releases" / version / "shop.py").is_file():
        print(f"there is no version {version!r}")
        return 1

    with (root / "releases.log").open("a") as log:
        print(version, os.environ.get("MONITOR_ROLLBACK_ID", "deploy"), file=log)
    fresh = root / "current.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("releases") / version)
    fresh.replace(root / "current")
    os.kill(int((root / "shop.pid").read_text()), signal.SIGHUP)

    port = int((root / "shop.port").read_text())
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if live_version(port) == version:
            print(f"version {version} is live")
            return 0
        time.sleep(0.05)

    print(f"version {version} did not come up")
    return 1


if __name__ == "__main__":
    sys.exit(main())
