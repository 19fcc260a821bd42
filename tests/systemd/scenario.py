#!/usr/bin/env python3
"""What happens in the box: install, break in every way, uninstall; the facts come out as JSON.

It runs on the box's bare Python, with the repository at /repository and wheels at /wheels.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNIT = "production-monitor.service"
CONFIG = Path("/etc/production-monitor/monitor.yml")
SOCKET = "/run/production-monitor-hooks.sock"
SOCKETS = ("production-monitor-hooks.socket", "production-monitor-probes.socket")
PROBES = "/run/production-monitor-probes.sock"
RESTORED = Path("/etc/shop-restored")
BEGAN = Path("/run/hook-began")
FREE = Path("/run/hook-free")
RUNS = Path("/root/hook-runs")
HUNGRY = Path("/run/hook-hungry")
HOOK = Path("/usr/local/sbin/restore-shop")
PLUGIN = Path("/usr/local/sbin/check-shop")
PLUGIN_SAID = Path("/run/plugin-said")
BOMB = Path("/run/plugin-bomb")
TELL = Path("/usr/local/sbin/tell-shop")
TELL_SAID = Path("/run/tell-said")
CREDENTIAL = Path("/etc/production-monitor/credentials/token")
SECRET = "credential-canary-77a0"
KEPT = Path("/var/lib/production-monitor-hooks")
PATIENCE = 40.0

HOOK_SOURCE = f"""#!/bin/sh
if [ -e {HUNGRY} ]; then exec python3 -c 'eaten = b"x" * (1 << 30)'; fi
id -un
echo "told $TOKEN"
echo "uid $(id -u), from $MONITOR_FROM_VERSION to $MONITOR_TO_VERSION" >>{RUNS}
setsid sleep 4321 &
touch {BEGAN}
while [ ! -e {FREE} ]; do sleep 0.05; done
touch {RESTORED}
"""
PLUGIN_SOURCE = f"""#!/bin/sh
if [ -e {BOMB} ]; then
    exec python3 -c 'import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.1)'
fi
touch /etc/from-a-probe 2>/dev/null && wrote=yes
{{
    id -un
    echo "token $TOKEN, wrote ${{wrote:-no}}"
    grep NoNewPrivs /proc/self/status
    grep -o 'production-monitor[^/]*' /proc/self/cgroup | sort -u
}} >{PLUGIN_SAID}
setsid sleep 4322 &
echo 'SHOP OK | time=5ms'
"""
TELL_SOURCE = f"""#!/bin/sh
{{
    id -un
    echo "token $TOKEN, $MONITOR_EVENT of $MONITOR_SERVICE"
    grep -o 'production-monitor[^/]*' /proc/self/cgroup | sort -u
    cat
    echo
}} >{TELL_SAID}
"""
MONITOR = ("--reuid=production-monitor", "--regid=production-monitor", "--clear-groups")
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(20)
    try:
        connection.connect(sys.argv[1])
    except OSError as error:
        sys.exit(f"cannot connect: {error.strerror}")
    connection.sendall(sys.stdin.buffer.read())
    sys.stdout.write(connection.makefile().readline())
"""

facts: dict[str, Any] = {}


class Shop(BaseHTTPRequestHandler):
    """A shop: `/shop` loses its second version, `/flaky` never works, `/slow` takes its time.

    `/private` wants to know who asks.
    """

    version = "1.0"
    slow_begun = 0
    slow_ended = 0

    def do_GET(self) -> None:
        broken = self.path == "/flaky"
        if self.path == "/shop":
            broken = Shop.version == "2.0" and not RESTORED.exists()
        if self.path == "/private":
            broken = self.headers["Authorization"] != f"Bearer {SECRET}"
        if self.path == "/slow":
            Shop.slow_begun += 1
            time.sleep(1.5)
        version = "1.0" if RESTORED.exists() else Shop.version
        body = json.dumps({"version": version}).encode()
        self.send_response(503 if broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/slow":
            Shop.slow_ended += 1

    def log_message(self, *_said: object) -> None:
        """Say nothing of requests."""


def main() -> None:
    """Go through the life of an installation."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    box = Box(shop=server.server_address[1], port=unused_port())
    for part in (
        install,
        start,
        kill,
        freeze,
        reload,
        stop_during_a_probe,
        roll_back_over_a_restart,
        attack,
        run_as_another_user,
        eat_memory,
        run_a_plugin,
        upgrade,
        uninstall,
    ):
        begun = time.monotonic()
        part(box)
        print(f"{part.__name__}: {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
    print(json.dumps(facts))


class Box:
    """The machine, and the monitor on it."""

    def __init__(self, shop: int, port: int) -> None:
        self.shop = shop
        self.port = port

    def configure(
        self,
        *,
        services: dict[str, Any] | None = None,
        notifiers: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Write the configuration, as root has it; `more` are endpoints."""
        shop = f"http://127.0.0.1:{self.shop}"
        config = {
            "store": "sqlite:////var/lib/production-monitor/monitor.db",
            "web": {"listen": f"127.0.0.1:{self.port}"},
            "defaults": {
                "every": "500ms",
                "retry_every": "100ms",
                "timeout": "450ms",
                "failure_threshold": 3,
                "success_threshold": 2,
            },
            "endpoints": {
                "shop": {"url": f"{shop}/shop"},
                "flaky": {"url": f"{shop}/flaky", "health": {"failure_threshold": 1000}},
                "slow": {"url": f"{shop}/slow", "every": "3s", "timeout": "2500ms"},
                "private": {
                    "url": f"{shop}/private",
                    "request": {"headers": {"Authorization": "Bearer ${credential:token}"}},
                },
                **more,
            },
            "notifiers": notifiers or {},
            "services": {
                **(services or {}),
                "shop": {
                    "version": {"endpoint": "shop", "json": "$.version"},
                    "rollback": {
                        "mode": "automatic",
                        "steps": [
                            {
                                "command": {
                                    "run": [str(HOOK)],
                                    "env": {"TOKEN": "${credential:token}"},
                                    "timeout": "60s",
                                }
                            }
                        ],
                    },
                },
            },
        }
        CONFIG.write_text(json.dumps(config, indent=1))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/api/v1/status"))

        return found

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            text: bytes = answer.read()

        return text.decode()

    def flaky(self) -> int:
        """How often in a row the flaky endpoint failed."""
        return next(
            int(one["consecutive_failures"])
            for one in self.status()["checks"]
            if one["check"] == "flaky.health"
        )


def install(_box: Box) -> None:
    HOOK.write_text(HOOK_SOURCE)
    HOOK.chmod(0o755)
    facts["installed"] = call("/repository/scripts/install", WHEELS="/wheels")
    facts["user"] = call("id", "production-monitor")
    facts["config_mode"] = f"{CONFIG.stat().st_mode & 0o777:o} {CONFIG.group()}"
    facts["folder_mode"] = f"{CONFIG.parent.stat().st_mode & 0o777:o}"
    facts["credentials_mode"] = f"{(CONFIG.parent / 'credentials').stat().st_mode & 0o777:o}"
    facts["default_config"] = call("production-monitor", "check-config", str(CONFIG))
    facts["verified"] = call("systemd-analyze", "verify", UNIT, *SOCKETS)
    CREDENTIAL.write_text(SECRET)
    CREDENTIAL.chmod(0o600)
    credential = f"[Service]\nLoadCredential=token:{CREDENTIAL}\n"
    drop_in("production-monitor.service", f"{credential}WatchdogSec=4\n")
    drop_in("production-monitor-hooks@.service", credential)
    call("systemctl", "daemon-reload")


def start(box: Box) -> None:
    box.configure()
    begun = time.monotonic()
    call("systemctl", "enable", "--now", "production-monitor")
    facts["start_seconds"] = time.monotonic() - begun
    facts["after_start"] = show("ActiveState", "SubState", "StatusText", "Type")
    until(lambda: box.get("/-/ready"), "ready")
    until(lambda: state_of(box, "private.health") == "pass", "the credential to be used")
    facts["status"] = call("production-monitor", "status", may_fail=True)
    facts["exposure"] = call("systemd-analyze", "security", "--no-pager", UNIT).splitlines()[-1]
    facts["sandbox"] = call(
        "nsenter", "-t", str(main_pid()), "-m", "touch", "/etc/from-the-sandbox", may_fail=True
    )
    status = Path(f"/proc/{main_pid()}/status").read_text().splitlines()
    facts["process"] = dict(line.split(":\t", 1) for line in status)


def kill(box: Box) -> None:
    until(lambda: box.flaky() >= 10, "failures to count")
    before, counted = main_pid(), box.flaky()
    os.kill(before, signal.SIGKILL)
    until(lambda: main_pid() not in (0, before) and box.flaky(), "the restart")
    facts["counted"] = [counted, box.flaky()]
    facts["after_kill"] = show("ActiveState", "NRestarts")


def freeze(box: Box) -> None:
    before = main_pid()
    begun = time.monotonic()
    os.kill(before, signal.SIGSTOP)
    until(lambda: main_pid() not in (0, before) and box.flaky(), "the watchdog")
    facts["freeze_seconds"] = time.monotonic() - begun
    facts["after_freeze"] = show("ActiveState", "NRestarts")
    facts["watchdog_said"] = "Watchdog timeout" in call("journalctl", "-u", UNIT, "--no-pager")
    # And without any freeze it is fed: several patiences pass without a restart.
    healthy = main_pid()
    time.sleep(9)
    facts["left_alone"] = main_pid() == healthy


def reload(box: Box) -> None:
    process, counted = main_pid(), box.flaky()
    box.configure(new={"url": f"http://127.0.0.1:{box.shop}/shop"})
    call("systemctl", "reload", UNIT)
    until(lambda: "new" in {one["endpoint"] for one in box.status()["checks"]}, "the endpoint")
    until(lambda: show("StatusText")["StatusText"].endswith("watched: 5"), "the status")
    facts["good_reload"] = show("ActiveState", "StatusText")

    CONFIG.write_text("endpoints: 5\n")
    call("systemctl", "reload", UNIT)
    until(lambda: "refused" in show("StatusText")["StatusText"], "the refusal")
    facts["bad_reload"] = show("ActiveState", "StatusText")
    facts["endpoints_after_bad_reload"] = sorted(
        {one["endpoint"] for one in box.status()["checks"]}
    )
    box.configure()
    call("systemctl", "reload", UNIT)
    until(lambda: show("StatusText")["StatusText"].endswith("watched: 4"), "the status")
    facts["same_process"] = main_pid() == process
    facts["counted_over_reloads"] = [counted, box.flaky()]


def stop_during_a_probe(_box: Box) -> None:
    until(lambda: Shop.slow_begun > Shop.slow_ended, "a slow probe")
    begun = time.monotonic()
    call("systemctl", "stop", UNIT)
    facts["stop_seconds"] = time.monotonic() - begun
    facts["after_stop"] = show("ActiveState", "Result")
    facts["slow_probes"] = [Shop.slow_begun, Shop.slow_ended]
    call("systemctl", "start", UNIT)


def roll_back_over_a_restart(box: Box) -> None:
    until(lambda: state_of(box, "shop.health") == "pass", "the shop to pass")
    facts["deployed"] = call("production-monitor", "deploy", "shop", "--version", "2.0")
    Shop.version = "2.0"
    until(BEGAN.exists, "the hook to begin")

    begun = time.monotonic()
    call("systemctl", "restart", UNIT)
    facts["restart_seconds"] = time.monotonic() - begun
    hooks = call("pgrep", "restore-shop", may_fail=True).split()
    facts["hook_cgroups"] = [Path(f"/proc/{hook}/cgroup").read_text() for hook in hooks]
    until(lambda: rollback_of(box)["steps"], "the new monitor to know the rollback")
    facts["left_behind_at_first"] = left_behind()
    facts["while_it_runs"] = [rollback_of(box)["state"], rollback_of(box)["steps"][-1]["state"]]

    FREE.touch()
    until(lambda: rollback_of(box)["ended_at"], "the end of the rollback")
    facts["rollback"] = rollback_of(box)
    facts["runs"] = RUNS.read_text().splitlines()
    facts["records"] = sorted(path.suffix for path in KEPT.iterdir())
    until(lambda: not left_behind(), "what the hook left behind to be gone")
    facts["left_behind"] = left_behind()
    facts["kept_mode"] = f"{KEPT.stat().st_mode & 0o777:o}"


def attack(box: Box) -> None:
    """Do what somebody would who has taken the monitor over."""
    right = fingerprint()
    group = call("id", "-g", "production-monitor").strip()
    asked = {
        "another command": (MONITOR, order("11111111.1.1", "0" * 64)),
        "an argument list": (MONITOR, order("22222222.1.1", right, run=["/bin/touch", "/pwned"])),
        "an argument list in the context": (
            MONITOR,
            order("33333333.1.1", right, in_context={"run": "/bin/touch"}),
        ),
        "no such step": (MONITOR, order("44444444.1.2", right)),
        "no such service": (MONITOR, order("55555555.1.1", right, in_context={"service": "x"})),
        "a path as key": (MONITOR, order("../../etc/cron.d/x.1.1", right)),
        "another user": (
            ("--reuid=nobody", "--regid=nogroup", "--clear-groups"),
            order("66666666.1.1", right),
        ),
        "another user who is let in": (
            ("--reuid=nobody", "--regid=nogroup", f"--groups={group}"),
            order("77777777.1.1", right),
        ),
    }
    facts["denied"] = {what: ask(who, line) for what, (who, line) in asked.items()}

    CONFIG.chmod(0o664)
    facts["denied"]["a configuration that the group may write"] = ask(
        MONITOR, order("88888888.1.1", right)
    )
    CONFIG.chmod(0o640)
    facts["runs_after_attacks"] = len(RUNS.read_text().splitlines())
    facts["records_after_attacks"] = len(list(KEPT.iterdir()))
    facts["pwned"] = Path("/pwned").exists()

    FREE.touch()
    first, again = (ask(MONITOR, order("99999999.1.1", right)) for _ in range(2))
    facts["asked_for_twice"] = [json.loads(first)["effect"]["outcome"], first == again]
    facts["runs_after_asking_twice"] = len(RUNS.read_text().splitlines())


def run_as_another_user(box: Box) -> None:
    """Let the administrator choose who runs commands, as docs/operations.md says."""
    chosen = drop_in(
        "production-monitor-hooks@.service",
        "[Service]\nUser=games\nSupplementaryGroups=production-monitor\n",
        name="chosen",
    )
    call("systemctl", "daemon-reload")
    facts["as_another_user"] = json.loads(ask(MONITOR, order("aaaaaaaa.1.1", fingerprint())))
    chosen.unlink()
    call("systemctl", "daemon-reload")


def eat_memory(box: Box) -> None:
    """Run a command that wants far more memory than the unit of its runner has."""
    smaller = drop_in(
        "production-monitor-hooks@.service", "[Service]\nMemoryMax=200M\n", name="smaller"
    )
    call("systemctl", "daemon-reload")
    HUNGRY.touch()
    process = main_pid()
    facts["hungry"] = json.loads(ask(MONITOR, order("bbbbbbbb.1.1", fingerprint())))
    facts["hungry_left_alone"] = main_pid() == process and box.flaky() > 0
    HUNGRY.unlink()
    smaller.unlink()
    call("systemctl", "daemon-reload")
    facts["fed_again"] = json.loads(ask(MONITOR, order("cccccccc.1.1", fingerprint())))


def run_a_plugin(box: Box) -> None:
    """Watch by a command, and let it do what it must not."""
    PLUGIN.write_text(PLUGIN_SOURCE)
    PLUGIN.chmod(0o755)
    PLUGIN_SAID.touch()
    PLUGIN_SAID.chmod(0o666)
    TELL.write_text(TELL_SOURCE)
    TELL.chmod(0o755)
    TELL_SAID.touch()
    TELL_SAID.chmod(0o666)
    unit = "production-monitor-probes@.service"
    drop_in(unit, f"[Service]\nLoadCredential=token:{CREDENTIAL}\n")
    call("systemctl", "daemon-reload")
    command = {"run": [str(PLUGIN)], "nagios": True, "env": {"TOKEN": "${credential:token}"}}
    times = {"every": "3s", "retry_every": "3s", "timeout": "2500ms"}
    tell = {"command": {"run": [str(TELL)], "env": {"TOKEN": "${credential:token}"}}}
    seen = {"name": "who", "command": {"run": ["/bin/sh", "-c", "id -un; touch /etc/from-a-look"]}}
    box.configure(
        plugin={"command": command, **times},
        notifiers={"tasks": tell},
        services={"plugin": {"evidence": [seen]}},
    )
    call("systemctl", "reload", UNIT)
    until(lambda: state_of(box, "plugin.health") == "pass" and PLUGIN_SAID.read_text(), "a plugin")
    facts["plugin_said"] = PLUGIN_SAID.read_text().splitlines()
    facts["plugin_series"] = "probe_command_perfdata_seconds" in box.get("/metrics")

    probe = {
        "purpose": "probe",
        "name": "plugin",
        "fingerprint": "0" * 64,
        "key": f"{int(time.time() * 1000)}-{'0' * 32}",
        "variables": {},
        "input": "",
    }
    line = json.dumps(probe).encode() + b"\n"
    stranger = ("--reuid=nobody", "--regid=nogroup", "--clear-groups")
    facts["denied_probes"] = {
        "another command": ask(MONITOR, line, PROBES),
        "a rollback step": ask(MONITOR, order("dddddddd.1.1", fingerprint()), PROBES),
        "a probe at the socket of rollbacks": ask(MONITOR, line),
        "another user": ask(stranger, line, PROBES),
    }

    process = main_pid()
    BOMB.touch()
    until(lambda: state_of(box, "plugin.health") == "fail", "a plugin that forks and forks")
    BOMB.unlink()
    until(lambda: state_of(box, "plugin.health") == "pass", "a plugin that is well again")
    facts["bomb_left_alone"] = main_pid() == process
    until(lambda: " of plugin" in TELL_SAID.read_text(), "a notifier's command")
    facts["told"] = TELL_SAID.read_text().splitlines()
    facts["seen"] = [
        (entry["text"], entry["evidence"])
        for incident in box.status()["incidents"]
        for entry in json.loads(box.get(f"/api/v1/incidents/{incident['id']}"))["timeline"]
        if entry["event"] == "evidence"
    ]
    box.configure()
    call("systemctl", "reload", UNIT)
    until(lambda: not call("pgrep", "-f", "sleep 4322", may_fail=True), "what a plugin left behind")
    facts["probe_keys_mode"] = f"{Path('/run/production-monitor-probes').stat().st_mode & 0o777:o}"


def upgrade(box: Box) -> None:
    """Install over what runs; what does not take the configuration is not installed."""
    good = CONFIG.read_text()
    CONFIG.write_text("endpoints: 5\n")
    process = main_pid()
    facts["refused_upgrade"] = call("/repository/scripts/install", may_fail=True, WHEELS="/wheels")
    facts["refused_upgrade_left"] = [
        main_pid() == process,
        Path("/opt/production-monitor.new").exists(),
    ]
    CONFIG.write_text(good)
    process, counted = main_pid(), box.flaky()
    facts["upgraded"] = call("/repository/scripts/install", WHEELS="/wheels").splitlines()[-1]
    until(lambda: main_pid() not in (0, process) and box.flaky(), "the new version")
    facts["counted_over_upgrade"] = [counted, box.flaky()]


def uninstall(_box: Box) -> None:
    facts["uninstalled"] = call("/repository/scripts/uninstall").strip()
    said = call("journalctl", "--no-pager", "-o", "cat")
    facts["secret_in_the_journal"] = SECRET in said
    facts["left"] = [
        path
        for path in (
            "/opt/production-monitor",
            "/usr/local/bin/production-monitor",
            "/usr/local/lib/systemd/system/production-monitor.service",
            "/usr/local/lib/systemd/system/production-monitor-hooks@.service",
            "/usr/local/lib/systemd/system/production-monitor-probes@.service",
            SOCKET,
            PROBES,
            str(CONFIG),
            "/var/lib/production-monitor/monitor.db",
        )
        if Path(path).exists()
    ]
    facts["unit_after_uninstall"] = show("LoadState", "ActiveState")


def fingerprint() -> str:
    """Give what tells the configured command from others, as the monitor does."""
    program = f"""
from pathlib import Path
from monitor.hooks.command import CommandOptions

options = {{"run": ["{HOOK}"], "env": {{"TOKEN": "any"}}}}
context = {{"base": Path("{CONFIG.parent}")}}
print(CommandOptions.model_validate(options, context=context).fingerprint)
"""

    return call("/opt/production-monitor/bin/python", "-c", program).strip()


def order(key: str, fingerprint: str, *, in_context: Any = None, **beside: Any) -> bytes:
    """Write an order as the monitor would, and add what it would not."""
    context = {
        "rollback_id": key.partition(".")[0],
        "step_key": key,
        "service": "shop",
        "environment": "",
        "level": "rollback",
        "reason": "",
        "severity": "high",
        "from_version": "2.0",
        "to_version": "1.0",
        "deploy_id": "2.0@now",
        "incident_id": "",
        "attempt": 1,
        "dry_run": False,
        **(in_context or {}),
    }
    data = {"wish": "run", "fingerprint": fingerprint, "context": context, **beside}

    return json.dumps(data).encode() + b"\n"


def ask(who: tuple[str, ...], line: bytes, path: str = SOCKET) -> str:
    """Ask a runner as somebody; give the answer, or why there is none."""
    done = subprocess.run(
        ["setpriv", *who, "python3", "-c", ASK, path],
        input=line,
        capture_output=True,
        timeout=60,
        check=False,
    )

    return (done.stdout or done.stderr).decode().strip()


def drop_in(unit: str, text: str, *, name: str = "box") -> Path:
    """Say what differs on this machine, as `systemctl edit` would."""
    path = Path(f"/etc/systemd/system/{unit}.d/{name}.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

    return path


def rollback_of(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = box.status()["rollbacks"][-1]

    return found


def left_behind() -> list[str]:
    return call("pgrep", "-f", "sleep 4321", may_fail=True).split()


def state_of(box: Box, check: str) -> str:
    return next(str(one["state"]) for one in box.status()["checks"] if one["check"] == check)


def show(*properties: str) -> dict[str, str]:
    """Give properties of the unit."""
    lines = call("systemctl", "show", UNIT, *(f"--property={one}" for one in properties))

    return dict(line.split("=", 1) for line in lines.splitlines())


def main_pid() -> int:
    return int(show("MainPID")["MainPID"])


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]

    return port


def call(*command: str, may_fail: bool = False, **environ: str) -> str:
    """Run a command; give what it said, and end everything if it failed."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        env={**os.environ, **environ},
        check=False,
    )
    if done.returncode and not may_fail:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{journal()}")

    return done.stdout


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for a condition; a monitor that does not answer just now has not got there yet."""
    for _ in ticks():
        try:
            if happened():
                return
        except (OSError, ValueError, LookupError):
            continue

    sys.exit(f"waited in vain for {what}: {show('ActiveState', 'StatusText')}{journal()}")


def ticks() -> Iterator[None]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        yield
        time.sleep(0.05)


def journal() -> str:
    return (
        "\n"
        + subprocess.run(
            ["journalctl", "--no-pager", "-n", "40", "-u", "production-monitor*"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    )


if __name__ == "__main__":
    main()
