"""Bundles of changes: what is put together means the same as one after the other."""

from __future__ import annotations

from monitor.core.model.changes import Changes
from monitor.core.model.check_state import CheckState

OLD = CheckState(check="shop.health", fingerprint="1")
NEW = CheckState(check="shop.health", fingerprint="2")


def test_of_one_check_the_newest_state_is_kept() -> None:
    merged = Changes(states=(OLD,)) + Changes(states=(NEW,))

    assert merged.states == (NEW,)


def test_what_is_forgotten_later_does_not_come_back() -> None:
    merged = Changes(states=(OLD,)) + Changes(forgotten=("shop.health",))

    assert merged.states == ()
    assert merged.forgotten == ("shop.health",)


def test_what_was_forgotten_and_is_watched_again_is_kept() -> None:
    merged = Changes(forgotten=("shop.health",)) + Changes(states=(NEW,))

    assert merged.states == (NEW,)
