"""What the engine cannot see for itself, and must know before anything is rolled back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How this process runs, and how it fares.

    `sees` is False once the witnesses failed. `hooks` is False where nothing is decided about
    rollbacks at all (`--no-hooks`). A run that is `oneshot` is a new process each time: its counts
    come from the store, and what it has just seen never counts as old.
    """

    kill_switch: bool = False
    store_works: bool = True
    sees: bool = True
    hooks: bool = True
    oneshot: bool = False
