from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from monitor.core.model.rollback import EffectOutcome
from monitor.hooks import KINDS
from monitor.hooks.command import CommandHook, CommandOptions
from tests.support.hooks import TOLD, make_context, run_program, write_program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("source", "outcome", "detail"),
    [
        pytest.param("", "done", "exit 0", id="exit 0 is done"),
        pytest.param("raise SystemExit(75)", "nothing_applied", "exit 75", id="exit 75"),
        pytest.param("raise SystemExit(1)", "refused", "exit 1", id="exit 1 failed"),
        pytest.param("raise SystemExit(127)", "refused", "exit 127", id="exit 127 failed"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "uncertain", "signal 9", id="killed"),
        pytest.param("import time; time.sleep(60)", "uncertain", "within 500ms", id="hangs"),
    ],
)
async def test_an_exit_has_its_outcome(
    tmp_path: Path, source: str, outcome: str, detail: str
) -> None:
    effect = await run_program(tmp_path, source, timeout="500ms" if "sleep" in source else "20s")

    assert effect.outcome is EffectOutcome(outcome)
    assert detail in effect.detail


async def test_the_environment_and_standard_input_say_the_same(tmp_path: Path) -> None:
    effect = await run_program(
        tmp_path,
        "import json, os, sys\nprint(json.dumps([dict(os.environ), json.load(sys.stdin)]))",
    )

    environ, told = json.loads(effect.output)
    names = {name for name in environ if name.startswith("MONITOR_")}
    assert names == {
        "MONITOR_ROLLBACK_ID",
        "MONITOR_STEP_KEY",
        "MONITOR_SERVICE",
        "MONITOR_ENVIRONMENT",
        "MONITOR_LEVEL",
        "MONITOR_REASON",
        "MONITOR_SEVERITY",
        "MONITOR_FROM_VERSION",
        "MONITOR_TO_VERSION",
        "MONITOR_DEPLOY_ID",
        "MONITOR_INCIDENT_ID",
        "MONITOR_ATTEMPT",
        "MONITOR_DRY_RUN",
    }
    assert {f"MONITOR_{name.upper()}" for name in told} == names
    assert environ["MONITOR_REASON"] == told["reason"] == TOLD.reason
    assert (environ["MONITOR_ATTEMPT"], told["attempt"]) == ("1", 1)
    assert (environ["MONITOR_DRY_RUN"], told["dry_run"]) == ("false", False)


async def test_nothing_else_of_our_environment_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://hooks.example/secret-path")
    monkeypatch.setenv("LANG", "C.UTF-8")

    effect = await run_program(
        tmp_path,
        "import os; print('\\n'.join(f'{k}={v}' for k, v in os.environ.items()))",
        env={"DEPLOY_TOKEN": "t0ken-of-the-hook"},
    )

    names = {line.split("=")[0] for line in effect.output.splitlines()}
    assert "secret-path" not in effect.output
    assert "LANG" in names
    assert "DEPLOY_TOKEN" in names
    assert {name for name in names if not name.startswith("MONITOR_")} <= {
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "USER",
        "LOGNAME",
        "SHELL",
        "DEPLOY_TOKEN",
    }


async def test_secrets_that_a_hook_prints_are_masked(tmp_path: Path) -> None:
    effect = await run_program(
        tmp_path,
        "import os; print(os.environ['DEPLOY_TOKEN'], 'known-elsewhere')",
        env={"DEPLOY_TOKEN": "t0ken-of-the-hook"},
        context=make_context("known-elsewhere"),
    )

    assert effect.output == "*** ***\n"


async def test_a_secret_at_the_cut_is_masked_before_it_is_cut(tmp_path: Path) -> None:
    effect = await run_program(
        tmp_path,
        "import os\nprint(os.environ['DEPLOY_TOKEN'] * 9000, end='')",
        env={"DEPLOY_TOKEN": "t0ken-of-the-hook"},
    )

    assert len(effect.output) <= 64 * 1024
    assert set(effect.output) == {"*"}


async def test_a_secret_is_masked_where_a_hook_colours_it(tmp_path: Path) -> None:
    effect = await run_program(
        tmp_path,
        "import os; token = os.environ['DEPLOY_TOKEN']; print(token[:6] + '\\x1b[1m' + token[6:])",
        env={"DEPLOY_TOKEN": "t0ken-of-the-hook"},
        context=make_context("t0ken-of-the-hook"),
    )

    assert effect.output == "***\n"


NASTY = "$(reboot); `rm -rf /`\n--force \0 'x' \x1b[31m \ud800 " + "y" * 200_000


async def test_what_a_target_answered_is_bounded_data_and_no_part_of_a_command(
    tmp_path: Path,
) -> None:
    effect = await run_program(
        tmp_path,
        "import json, os, sys\n"
        "told = json.load(sys.stdin)\n"
        "print(json.dumps([sys.argv[1:], os.environ['MONITOR_REASON'], told['reason']]))",
        told=replace(TOLD, reason=NASTY),
    )

    argv, in_environment, on_input = json.loads(effect.output)
    assert effect.outcome is EffectOutcome.DONE
    assert argv == []
    assert in_environment == on_input
    assert in_environment.startswith("$(reboot); `rm -rf /` --force   'x'  [31m ")
    assert len(in_environment) == 2000


async def test_it_runs_beside_the_configuration_file(tmp_path: Path) -> None:
    effect = await run_program(tmp_path, "import os; print(os.getcwd())")

    assert effect.output.strip() == str(tmp_path)


async def test_arguments_are_handed_over_as_they_are(tmp_path: Path) -> None:
    path = write_program(tmp_path, "import sys; print(sys.argv[1:])")
    hook = CommandHook(
        CommandOptions.model_validate([str(path), "a b", "$HOME", "*"]), make_context()
    )

    effect = await hook.apply(TOLD)

    assert effect.output == "['a b', '$HOME', '*']\n"


async def test_a_program_that_is_gone_by_now_is_refused(tmp_path: Path) -> None:
    path = write_program(tmp_path, "")
    hook = CommandHook(CommandOptions.model_validate([str(path)]), make_context())
    path.unlink()

    effect = await hook.apply(TOLD)

    assert effect.outcome is EffectOutcome.REFUSED
    assert "No such file" in effect.detail


async def test_a_program_that_others_may_write_by_now_is_refused(tmp_path: Path) -> None:
    path = write_program(tmp_path, "print('run')")
    hook = CommandHook(CommandOptions.model_validate([str(path)]), make_context())
    path.chmod(0o777)

    effect = await hook.apply(TOLD)

    assert effect.outcome is EffectOutcome.REFUSED
    assert effect.output == ""


async def test_a_program_without_a_first_line_cannot_be_started(tmp_path: Path) -> None:
    path = tmp_path / "garbage"
    path.write_bytes(b"\0\1")
    path.chmod(0o755)
    hook = CommandHook(CommandOptions.model_validate([str(path)]), make_context())

    effect = await hook.apply(TOLD)

    assert effect.outcome is EffectOutcome.REFUSED
    assert "could not be started: Exec format error" in effect.detail


def refusal(value: Any, folder: Path) -> str:
    with pytest.raises(ValidationError) as caught:
        CommandOptions.model_validate(value, context={"base": folder})

    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("./restore.sh --now", "expected an argument list", id="a shell string"),
        pytest.param([], "at least 1 item", id="an empty list"),
        pytest.param(["./missing.sh"], "No such file or directory", id="a missing file"),
        pytest.param(["no-such-program"], "found no no-such-program", id="a name not in PATH"),
        pytest.param(["./plain.txt"], "chmod +x", id="not executable"),
        pytest.param(["./folder/"], "which is no file", id="a folder"),
        pytest.param(["./shared.sh"], "chmod go-w", id="writable by the group"),
        pytest.param(["./open/hook.sh"], "chmod o-w", id="in a folder open to everyone"),
        pytest.param(["sh", "a\0b"], "without NUL", id="a NUL"),
        pytest.param({"run": ["sh"], "timeout": "0s"}, "above 0", id="no time"),
        pytest.param({"run": ["sh"], "env": {"A-B": "x"}}, "a variable name", id="a bad name"),
        pytest.param(
            {"run": ["sh"], "env": {"MONITOR_SERVICE": "x"}}, "set by the monitor", id="ours"
        ),
        pytest.param({"run": ["sh"], "shell": True}, "Extra inputs", id="an unknown key"),
    ],
)
def test_options_that_cannot_work_are_refused(tmp_path: Path, value: Any, message: str) -> None:
    (tmp_path / "plain.txt").write_text("")
    (tmp_path / "folder").mkdir()
    write_program(tmp_path, "", name="shared.sh").chmod(0o775)
    (tmp_path / "open").mkdir()
    write_program(tmp_path / "open", "", name="hook.sh")
    (tmp_path / "open").chmod(0o777)

    assert message in refusal(value, tmp_path)


def test_a_program_in_a_sticky_folder_is_its_owners_alone(tmp_path: Path) -> None:
    write_program(tmp_path, "")
    tmp_path.chmod(0o1777)

    options = CommandOptions.model_validate(["./hook.py"], context={"base": tmp_path})

    assert options.program == f"{tmp_path}/hook.py"
    assert options.directory == tmp_path


def test_the_short_form_means_the_same() -> None:
    assert CommandOptions.model_validate(["sh"]) == CommandOptions.model_validate({"run": ["sh"]})


def test_the_schema_knows_the_short_form() -> None:
    schema = CommandOptions.model_json_schema()

    assert schema["anyOf"][0]["type"] == "array"


def test_the_table_holds_both_kinds() -> None:
    assert set(KINDS) == {"command", "webhook"}
    assert os.path.sep in CommandOptions.model_validate(["/bin/sh"]).program
