"""Plug-ins from a configuration: a reload makes what changed and keeps the rest as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from monitor import plugins
from monitor.names import Resolver
from tests.support.configuring import configure
from tests.support.logs import capture_logs

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.config import Compiled

BASE = """
witnesses: [{tcp: "127.0.0.1:9"}]
notifiers:
  log: {log: {}}
  hook: {webhook: {url: "http://127.0.0.1:9/", secret: "${SECRET}"}}
  file: {webhook: {url: "http://127.0.0.1:9/", secret: "${file:token}"}}
services:
  api: {rollback: {mode: automatic, steps: [{command: ["/bin/true"]}, {command: ["/bin/echo"]}]}}
endpoints:
  api:
    url: http://127.0.0.1:9/
    timeout: 2s
    request: {auth: {bearer: "${SECRET}"}}
  other: http://127.0.0.1:9/other
"""


def compiled(folder: Path, text: str = BASE, secret: str = "secret-1") -> Compiled:
    (folder / "token").write_text("from-a-file")

    return configure(folder, text, SECRET=secret)


AROUND = plugins.Surroundings(clock=lambda: datetime.now(UTC), mask=str, resolver=Resolver())


def make(one: Compiled) -> plugins.Plugins:
    return plugins.make_plugins(one, AROUND)


def remake(
    folder: Path, before: Compiled, known: plugins.Plugins, **changed: str
) -> plugins.Plugins:
    return plugins.remake_plugins(compiled(folder, **changed), AROUND, before=before, known=known)


async def test_each_part_of_a_configuration_becomes_a_plug_in(tmp_path: Path) -> None:
    made = make(compiled(tmp_path))

    assert made.probes.keys() == {"api", "other"}
    assert made.notifiers.keys() == {"log", "hook", "file"}
    assert [len(steps) for steps in made.hooks.values()] == [2]
    assert len(list(made)) == 2 + 3 + 2 + 1
    await plugins.close_all(made)


async def test_what_did_not_change_is_the_same_object(tmp_path: Path) -> None:
    before = compiled(tmp_path)
    known = make(before)

    again = remake(tmp_path, before, known)

    assert {id(one) for one in again} == {id(one) for one in known}
    await plugins.close_all(known)


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ("timeout: 2s", "timeout: 3s", {"probes.api"}),
        ("9/other", "9/elsewhere", {"probes.other"}),
        ("log: {log: {}}", "log: {webhook: {url: 'http://127.0.0.1:9/'}}", {"notifiers.log"}),
        ("/bin/echo", "/bin/false", {"hooks.api"}),
        ('tcp: "127.0.0.1:9"', 'tcp: "127.0.0.1:8"', {"witnesses"}),
        ("endpoints:", "retention: 5d\nendpoints:", set()),
    ],
)
async def test_only_what_changed_is_made_anew(
    tmp_path: Path, old: str, new: str, replaced: set[str]
) -> None:
    before = compiled(tmp_path)
    known = make(before)

    after = remake(tmp_path, before, known, text=BASE.replace(old, new))

    assert different(known, after) == replaced
    await plugins.close_all([*known, *after])


async def test_another_secret_makes_anew_what_holds_it(tmp_path: Path) -> None:
    before = compiled(tmp_path)
    known = make(before)

    after = remake(tmp_path, before, known, secret="secret-2")

    assert different(known, after) == {"probes.api", "notifiers.hook"}
    await plugins.close_all([*known, *after])


async def test_what_is_new_is_made_and_what_is_gone_is_left_out(tmp_path: Path) -> None:
    before = compiled(tmp_path)
    known = make(before)
    text = BASE.replace("other: http", "third: http").replace("  log: {log: {}}\n", "")

    after = remake(tmp_path, before, known, text=text)

    assert after.probes.keys() == {"api", "third"}
    assert after.notifiers.keys() == {"hook", "file"}
    await plugins.close_all([*known, *after])


def different(before: plugins.Plugins, after: plugins.Plugins) -> set[str]:
    """Name what is another object now."""
    found = {
        f"{group}.{name}"
        for group in ("probes", "notifiers", "hooks")
        for name, one in getattr(before, group).items()
        if getattr(after, group).get(name) is not one
    }
    if before.witnesses is not after.witnesses:
        found.add("witnesses")

    return found


class Closing:
    """Something to close, which may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = False

    async def close(self) -> None:
        self.closed = True
        if self.error is not None:
            raise self.error


async def test_one_that_cannot_be_closed_keeps_no_other_open() -> None:
    things = [Closing(), Closing(OSError("stuck")), Closing()]

    with capture_logs() as said:
        await plugins.close_all(things)

    assert all(thing.closed for thing in things)
    assert said == [{"event": "close_failed", "error": "stuck", "log_level": "warning"}]
