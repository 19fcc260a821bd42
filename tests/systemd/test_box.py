"""The service on a real systemd, from its installation to its end; see `scenario.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 240

Facts = dict[str, Any]

pytestmark = [pytest.mark.needs("systemd-nspawn", "mmdebstrap"), pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Go through the scenario once."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a container")

    wheels = build_wheels(tmp_path_factory.mktemp("wheels"))
    done = subprocess.run(
        [
            str(ROOT / "tests/systemd-box"),
            *("--timeout", str(SECONDS)),
            *("--bind-ro", f"{ROOT}:/repository"),
            *("--bind-ro", f"{wheels}:/wheels"),
            str(Path(__file__).with_name("scenario.py")),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS + 150,  # the first time, the file system of the container is built
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    print(done.stdout)

    found: Facts = json.loads(done.stdout.splitlines()[-1])

    return found


def build_wheels(folder: Path) -> Path:
    """Build what the container installs, for its Python, which need not be ours."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=120
    )
    subprocess.run(
        [
            *pip,
            *("download", "--only-binary=:all:", "--python-version", "3.11"),
            *("--constraint", str(ROOT / "constraints.txt"), "--dest", str(folder)),
            *map(str, folder.glob("production_monitor-*.whl")),
        ],
        check=True,
        timeout=240,
    )

    return folder


class TestAfterTheInstallation:
    def test_there_is_a_user_of_its_own(self, facts: Facts) -> None:
        assert "(production-monitor)" in facts["user"]

    def test_only_root_writes_the_configuration_and_only_root_reads_credentials(
        self, facts: Facts
    ) -> None:
        assert facts["config_mode"] == "640 production-monitor"
        assert facts["folder_mode"] == "750"
        assert facts["credentials_mode"] == "700"

    def test_the_configuration_that_comes_with_it_is_good(self, facts: Facts) -> None:
        assert "good: 1 endpoint" in facts["default_config"]

    def test_systemd_finds_nothing_wrong_with_the_units(self, facts: Facts) -> None:
        assert facts["verified"] == ""

    def test_the_next_steps_are_named(self, facts: Facts) -> None:
        assert "systemctl enable --now production-monitor" in facts["installed"]


class TestTheService:
    def test_is_started_once_it_is_ready(self, facts: Facts) -> None:
        assert facts["after_start"] == {
            "Type": "notify",
            "ActiveState": "active",
            "SubState": "running",
            "StatusText": "endpoints watched: 4",
        }

    def test_runs_without_any_privilege(self, facts: Facts) -> None:
        process = facts["process"]

        assert "0" not in process["Uid"].split()
        assert int(process["CapBnd"], 16) == int(process["CapEff"], 16) == 0
        assert (process["NoNewPrivs"], process["Seccomp"]) == ("1", "2")

    def test_is_exposed_as_little_as_promised(self, facts: Facts) -> None:
        assert float(facts["exposure"].split(": ")[1].split()[0]) <= 1.5

    def test_that_is_killed_keeps_its_counters(self, facts: Facts) -> None:
        before, after = facts["counted"]

        assert before >= 10
        assert before <= after < before + 100
        assert facts["after_kill"] == {"ActiveState": "active", "NRestarts": "1"}

    def test_that_freezes_is_restarted_by_the_watchdog(self, facts: Facts) -> None:
        assert facts["watchdog_said"]
        assert facts["after_freeze"] == {"ActiveState": "active", "NRestarts": "2"}
        assert 2 < facts["freeze_seconds"] < 20

    def test_that_does_not_freeze_is_left_alone(self, facts: Facts) -> None:
        assert facts["left_alone"]

    def test_takes_over_a_good_configuration(self, facts: Facts) -> None:
        assert facts["good_reload"] == {
            "ActiveState": "active",
            "StatusText": "endpoints watched: 5",
        }

    def test_refuses_a_bad_one_and_goes_on_with_what_it_had(self, facts: Facts) -> None:
        assert facts["bad_reload"]["ActiveState"] == "active"
        assert (
            "the last reload was refused: /etc/production-monitor/monitor.yml:1:12: endpoints"
            in facts["bad_reload"]["StatusText"]
        )
        assert facts["endpoints_after_bad_reload"] == ["flaky", "new", "private", "shop", "slow"]

    def test_counts_on_over_reloads(self, facts: Facts) -> None:
        before, after = facts["counted_over_reloads"]

        assert facts["same_process"]
        assert before <= after

    def test_that_is_stopped_lets_a_probe_end(self, facts: Facts) -> None:
        begun, ended = facts["slow_probes"]

        assert begun == ended
        assert facts["after_stop"] == {"ActiveState": "inactive", "Result": "success"}
        assert facts["stop_seconds"] < 10

    def test_counts_on_after_an_upgrade(self, facts: Facts) -> None:
        before, after = facts["counted_over_upgrade"]

        assert "upgraded and restarted" in facts["upgraded"]
        assert before <= after

    def test_stays_as_it_is_where_a_newer_one_would_not_take_its_configuration(
        self, facts: Facts
    ) -> None:
        assert "monitor.yml:1:12: endpoints: expected a map" in facts["refused_upgrade"]
        assert facts["refused_upgrade_left"] == [True, False]

    def test_is_found_by_commands_in_a_shell(self, facts: Facts) -> None:
        assert "flaky" in facts["status"]


class TestARollback:
    def test_outlives_the_restart_of_its_monitor(self, facts: Facts) -> None:
        (cgroup,) = facts["hook_cgroups"]

        assert "production-monitor-hooks@" in cgroup
        assert facts["while_it_runs"] == ["executing", "started"]

    def test_does_not_hold_up_that_restart(self, facts: Facts) -> None:
        assert facts["restart_seconds"] < 8

    def test_has_a_result_that_the_new_monitor_knows(self, facts: Facts) -> None:
        (step,) = facts["rollback"]["steps"]

        assert facts["rollback"]["state"] == "recovered"
        assert (step["state"], step["detail"], step["attempt"]) == ("done", "exit 0", 1)

    def test_ran_once_and_could_do_what_the_sandbox_forbids(self, facts: Facts) -> None:
        assert facts["runs"] == ["uid 0, from 2.0 to "]
        assert "Read-only file system" in facts["sandbox"]

    def test_gets_its_credential_and_nobody_else_does(self, facts: Facts) -> None:
        (step,) = facts["rollback"]["steps"]

        assert step["output"] == "root\ntold ***\n"
        assert not facts["secret_in_the_journal"]

    def test_leaves_no_process_behind(self, facts: Facts) -> None:
        assert len(facts["left_behind_at_first"]) == 1
        assert facts["left_behind"] == []

    def test_leaves_a_record_that_root_alone_can_read(self, facts: Facts) -> None:
        assert facts["records"] == [".begun", ".result"]
        assert facts["kept_mode"] == "700"


class TestACommandOfAProbe:
    def test_runs_outside_of_the_monitor_as_a_user_without_privileges(self, facts: Facts) -> None:
        user, told, privileges, *groups = facts["plugin_said"]

        assert user == "production-monitor-probes"
        assert told == "token credential-canary-77a0, wrote no"
        assert privileges.split() == ["NoNewPrivs:", "1"]
        assert all("production-monitor-probes@" in one for one in groups if "@" in one)
        assert "production-monitor.service" not in groups
        assert facts["probe_keys_mode"] == "700"

    def test_tells_its_figures(self, facts: Facts) -> None:
        assert facts["plugin_series"]

    def test_is_run_for_nobody_else_and_no_other_one_is(self, facts: Facts) -> None:
        denied = facts["denied_probes"]

        assert "plugin has another command" in denied["another command"]
        assert "expected exactly fingerprint, input, key" in denied["a rollback step"]
        assert (
            "expected wish, fingerprint and context" in denied["a probe at the socket of rollbacks"]
        )
        assert denied["another user"] == "cannot connect: Permission denied"

    def test_that_forks_without_end_harms_nobody(self, facts: Facts) -> None:
        assert facts["bomb_left_alone"]


class TestACommandOfANotifier:
    def test_runs_where_those_of_probes_do_and_is_told_what_happened(self, facts: Facts) -> None:
        user, told, *groups, notice = facts["told"]

        assert user == "production-monitor-probes"
        assert told.startswith("token credential-canary-77a0, ")
        assert told.endswith(" of plugin")
        assert any("production-monitor-probes@" in one for one in groups)
        assert "production-monitor.service" not in groups
        assert json.loads(notice)["service"] == "plugin"


def test_evidence_is_collected_by_a_user_who_owns_nothing(facts: Facts) -> None:
    [(text, said)] = facts["seen"]

    assert text == "evidence who: exit 1"
    assert said.splitlines()[0] == "production-monitor-probes"
    assert "Permission denied" in said


class TestAMonitorThatWasTakenOver:
    @pytest.mark.parametrize(
        ("what", "answer"),
        [
            ("another command", "is another command in the configuration now"),
            ("an argument list", "expected wish, fingerprint and context"),
            ("an argument list in the context", "context: expected exactly"),
            ("no such step", "step 2 of shop is no command"),
            ("no such service", "step 1 of x is no command"),
            ("a path as key", "context.step_key: expected rollback.level.step"),
            ("another user", "cannot connect: Permission denied"),
            ("another user who is let in", "is not the monitor"),
            ("a configuration that the group may write", "may be written by others"),
        ],
    )
    def test_is_denied(self, facts: Facts, what: str, answer: str) -> None:
        assert answer in facts["denied"][what]

    def test_ran_nothing_and_left_nothing(self, facts: Facts) -> None:
        assert facts["runs_after_attacks"] == 1
        assert facts["records_after_attacks"] == 2
        assert not facts["pwned"]

    def test_gets_a_configured_step_once_for_each_key(self, facts: Facts) -> None:
        assert facts["asked_for_twice"] == ["done", True]
        assert facts["runs_after_asking_twice"] == 2


def test_a_command_that_eats_memory_ends_alone_and_its_result_says_how(facts: Facts) -> None:
    assert facts["hungry"]["effect"]["outcome"] == "uncertain"
    assert facts["hungry"]["effect"]["detail"] == "was killed by signal 9"
    assert facts["hungry_left_alone"]
    assert facts["fed_again"]["effect"]["outcome"] == "done"


def test_commands_run_as_whom_the_administrator_chooses(facts: Facts) -> None:
    answer = facts["as_another_user"]

    assert answer["known"] == "result", answer
    assert answer["effect"]["output"].startswith("games\n")


def test_what_is_uninstalled_is_gone_and_what_was_known_is_kept(facts: Facts) -> None:
    assert facts["left"] == [
        "/etc/production-monitor/monitor.yml",
        "/var/lib/production-monitor/monitor.db",
    ]
    assert facts["unit_after_uninstall"] == {"LoadState": "not-found", "ActiveState": "inactive"}
    assert "kept: /etc/production-monitor" in facts["uninstalled"]
