"""How a command is run: an argument list in a session of its own, bounded in time and output."""

from __future__ import annotations

from monitor.runner.client import HookRunner
from monitor.runner.command import Finished, RunCommand
from monitor.runner.local import run_command

__all__ = ["Finished", "HookRunner", "RunCommand", "run_command"]
