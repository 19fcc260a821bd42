"""Checklists as they are written, and as they are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from monitor.core.model.checklist import Item, Seen, Stage
from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
    from pathlib import Path

SHOP: Final = "endpoints: {api: {service: shop, url: https://a.example/}}\n"


def test_an_item_is_a_text_or_says_what_shows_that_it_is_done(tmp_path: Path) -> None:
    text = "{before: [Tell support, {text: Somebody leads, done: acknowledged}], after: []}"

    services = configure(tmp_path, f"{SHOP}services: {{shop: {{checklist: {text}}}}}\n").directory

    assert services.service("shop").checklist == {
        Stage.BEFORE: (
            Item(text="Tell support"),
            Item(text="Somebody leads", seen=Seen.ACKNOWLEDGED),
        ),
        Stage.AFTER: (),
    }


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("text", "checklist: expected a map such as {after: [Clear caches]}, found text"),
        ("{befor: [a]}", "checklist.befor: unknown key befor; did you mean before?"),
        (
            "{during: {a: b}}",
            "checklist.during: expected a list such as [Watch sales], found a map",
        ),
        ("{before: [a, 3]}", "checklist.before[1]: expected a map, found a number"),
        ("{after: [{done: told}]}", "checklist.after[0]: text is missing"),
        (
            "{before: [{text: a, done: aknowledged}]}",
            "checklist.before[0].done: expected one of acknowledged, told, good_version,"
            " steps_ready, steps_done, recovered, resolved, all_clear,"
            ' found "aknowledged"; did you mean acknowledged?',
        ),
    ],
)
def test_a_mistake_is_told_with_what_was_wanted(
    written: str, expected: str, tmp_path: Path
) -> None:
    (found,) = mistakes(tmp_path, f"{SHOP}services: {{shop: {{checklist: {written}}}}}\n")

    assert found.partition("services.shop.")[2] == expected
