"""Every bad file of the folder is refused with exactly the messages that it expects of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from monitor.config import ConfigError, load
from monitor.config.settings import EndpointSettings
from monitor.config.translate import keys_of
from monitor.probes import KINDS

_HERE: Final = Path(__file__).parent
_FILES: Final = sorted((_HERE / "bad").glob("*.yml"))
_EXPECT: Final = "# expect: "


def expected_of(path: Path) -> list[str]:
    """Read what a file expects: `line:column: path: message` in comments at its top."""
    lines = path.read_text().splitlines()

    return [
        f"bad/{path.name}:{_fill_in(line.removeprefix(_EXPECT))}"
        for line in lines
        if line.startswith(_EXPECT)
    ]


def _fill_in(message: str) -> str:
    """Put in what a new kind of probe changes, and where the files are."""
    keys = sorted({*keys_of(EndpointSettings), *KINDS.taken})

    return (
        message.replace("{here}", str(_HERE))
        .replace("{kinds}", ", ".join(KINDS))
        .replace("{keys}", ", ".join(keys))
    )


def mistakes_in(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load([path.relative_to(_HERE)], environ={}, cwd=_HERE)

    return str(refused.value).splitlines()


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_its_place_what_is_wrong_and_what_was_wanted(
    path: Path,
) -> None:
    assert mistakes_in(path) == expected_of(path)


def test_each_bad_file_has_one_mistake_and_one_has_many() -> None:
    counts = {path.stem: len(expected_of(path)) for path in _FILES}

    assert counts.pop("many") > 5
    assert len(counts) > 100
    assert set(counts.values()) == {1}


def test_the_mistakes_of_several_files_are_told_at_once_and_by_file(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("endpoints:\n  web: {url: https://shop.example/, evry: 5s}\n")
    (tmp_path / "a.yml").write_text("include: [b.yml]\nendpoints:\n  api: https://${A}/\n")

    with pytest.raises(ConfigError) as refused:
        load([Path("a.yml")], environ={}, cwd=tmp_path)

    assert str(refused.value).splitlines() == [
        "a.yml:3:8: endpoints.api: variable A is not set: export it",
        "b.yml:2:37: endpoints.web.evry: unknown key evry; did you mean every?",
    ]
