"""What the documents show works: their configurations load, their links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from monitor.cli import _COMMANDS
from monitor.config import load
from monitor.config.settings_rollback import RollbackSettings
from monitor.config.translate import keys_of, models_in
from monitor.core.model.rollback import Blocked, EffectContext, RollbackState
from monitor.notifiers import KINDS
from monitor.notifiers._payload import payload
from monitor.webhooks import sign
from tests.support.notices import make_delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ROLLBACKS = (ROOT / "docs" / "rollback.md").read_text()
CODE_OF_ROLLBACKS = "\n".join(re.findall(r"```yaml\n.*?```|`[^`\n]+`", ROLLBACKS, re.DOTALL))
BLOCKS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def test_the_configurations_of_the_readme_load_one_over_the_other(tmp_path: Path) -> None:
    assert len(BLOCKS) == 4
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


def test_the_map_of_the_code_names_every_module_of_the_root_and_of_the_core() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    package = ROOT / "monitor"
    modules = [
        path.relative_to(package).with_suffix("").as_posix()
        for path in (*package.glob("*.py"), *package.glob("core/*.py"))
        if not path.name.startswith("__")
    ]

    assert [one for one in modules if not re.search(rf"\b{one}\b", page)] == []


def test_a_signature_is_verified_as_the_page_says() -> None:
    page = (ROOT / "docs/notifications.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown: dict[str, Any] = {}
    exec(example, shown)
    for secret in ("a plain secret", "whsec_c2VjcmV0IGtleQ=="):
        headers = {"webhook-id": "id-1", "webhook-timestamp": "1700000000"}
        headers["webhook-signature"] = sign(secret, "id-1", "1700000000", b"{}")

        assert shown["is_ours"](secret, headers, b"{}")
        assert not shown["is_ours"](secret, headers, b"{ }")


def test_the_page_of_notifications_names_every_key_of_the_payload() -> None:
    page = (ROOT / "docs/notifications.md").read_text()

    assert [key for key in payload(make_delivery()) if f"`{key}`" not in page] == []


def test_the_page_of_notifications_names_every_option_of_every_kind() -> None:
    page = (ROOT / "docs/notifications.md").read_text()
    table = page.partition("## Options by kind")[2]
    rows = dict(re.findall(r"^\| `(\w+)` (\|.*)$", table, re.MULTILINE))

    for kind, known in KINDS.items():
        own = {field.alias or name for name, field in known.options.model_fields.items()}
        assert {name for name in own - {"timeout"} if f"`{name}`" not in rows[kind]} == set(), kind


def test_the_page_of_rollbacks_says_what_to_do_about_each_reason_for_none() -> None:
    assert named_in("Why nothing was rolled back") == {reason.value for reason in Blocked}


def test_the_page_of_rollbacks_says_what_each_state_means() -> None:
    assert named_in("Where it stands") == {state.value for state in RollbackState}


def test_the_page_of_rollbacks_names_every_key_and_every_variable() -> None:
    keys = {key for model in models_below(RollbackSettings) for key in keys_of(model)}
    told = {f"MONITOR_{name.upper()}" for name in EffectContext.__dataclass_fields__}

    assert [key for key in keys if not re.search(rf"\b{key}\b", CODE_OF_ROLLBACKS)] == []
    assert [name for name in told if f"`{name}`" not in ROLLBACKS] == []


def named_in(section: str) -> set[str]:
    """Give what the rows of the table of a section are about."""
    table = ROLLBACKS.partition(f"\n## {section}\n")[2].partition("\n## ")[0]

    return {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }


def models_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Give a model and those that its fields hold."""
    yield model
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            yield from models_below(inner)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    named = re.findall(r"`((?:monitor|config|docs|tests|systemd|scripts)/[\w./*-]+)`", text)

    missing = [path for path in linked if not (page.parent / path).exists()]
    missing += [path for path in named if not list(ROOT.glob(path.rstrip("/")))]

    assert missing == []
