"""What the documents show works: their configurations load, their links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from monitor.cli import _COMMANDS
from monitor.config import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def test_the_configurations_of_the_readme_load_one_over_the_other(tmp_path: Path) -> None:
    assert len(BLOCKS) == 3
    files = []
    for number, block in enumerate(BLOCKS):
        file = tmp_path / f"{number}.yml"
        file.write_text(block.replace("/usr/local/bin/restore-shop", sys.executable))
        files.append(file)

    compiled = load(files, environ={"SLACK_WEBHOOK_URL": "https://hooks.example/x"}, cwd=tmp_path)

    assert {endpoint.name for endpoint in compiled.endpoints} == {"shop", "api"}
    assert compiled.hooks.keys() == {"storefront"}


def test_the_readme_names_every_command() -> None:
    assert [command for command in _COMMANDS if f"`{command}`" not in README] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    named = re.findall(r"`((?:monitor|config|docs|tests|systemd|scripts)/[\w./*-]+)`", text)

    missing = [path for path in linked if not (page.parent / path).exists()]
    missing += [path for path in named if not list(ROOT.glob(path.rstrip("/")))]

    assert missing == []
