"""The demo: a shop gets a bad version, the monitor finds it, tells, rolls back, and verifies."""

from __future__ import annotations

from monitor.tools.demo.story import run_demo

__all__ = ["run_demo"]
