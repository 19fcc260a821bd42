"""A start loads what the run needs and nothing else: a check after a deploy is quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop

UNUSED = {
    "aiohttp",
    "alembic",
    "apscheduler",
    "cryptography",
    "jinja2",
    "rich",
    "slack_sdk",
    "sqlalchemy",
    "xml.etree.ElementTree",
    "monitor.config.schema",
    "monitor.hooks.command",
    "monitor.notifiers.slack",
    "monitor.web",
    "monitor.webhooks",
}


async def test_a_check_that_tells_nobody_loads_no_library_that_it_does_not_use(
    shop: Shop, tmp_path: Path
) -> None:
    (tmp_path / "monitor.yml").write_text(
        f"endpoints:\n"
        f"  shop:\n"
        f"    url: {shop.url}/\n"
        f"    headers: {{expect: [{{header: content-type, exists: true}}]}}\n"
        f"    latency: {{p95: {{lt: 5s, window: 10m}}}}\n"
    )

    for _ in range(2):  # the first makes the store, the second reads it
        ended = await run(
            *("--cycles", "1", "--output", "json"),
            cwd=tmp_path,
            environ={"PYTHONPROFILEIMPORTTIME": "1"},
        )

        assert ended.code == 0, ended.err[-2000:]
        loaded = {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
        assert {"monitor.rounds", "monitor.store.database"} <= loaded, ended.err
        assert loaded & UNUSED == set()
