"""Servers of PostgreSQL and MariaDB from Debian's packages, on loopback, with data of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.authority import Authority
from tests.support.servers import unused_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "hunter22:/@"
QUOTED = "hunter22%3A%2F%40"


@dataclass(frozen=True, kw_only=True)
class DatabaseServer:
    """A server that runs; `admin` is the command that runs SQL as its owner."""

    scheme: str
    port: int
    socket: Path
    folder: Path
    authority: Authority
    admin: tuple[str, ...]
    pid: int

    def url(self, user: str = "monitor", *, host: str = "127.0.0.1", rest: str = "") -> str:
        return f"{self.scheme}://{user}:{QUOTED}@{host}:{self.port}/shop{rest}"

    def run(self, sql: str) -> str:
        """Run statements as the owner; give what they print."""
        return subprocess.run(
            self.admin, input=sql, text=True, check=True, stdout=subprocess.PIPE
        ).stdout

    def complaints(self) -> list[str]:
        """Give what its log says of clients that left without a word."""
        lines = (self.folder / "log").read_text().splitlines()

        return [one for one in lines if "unexpected EOF" in one or "Aborted connection" in one]

    def kill(self) -> None:
        """End it as the kernel would for want of memory."""
        os.kill(self.pid, signal.SIGKILL)


@contextmanager
def serve_postgresql() -> Iterator[DatabaseServer]:
    """Start PostgreSQL with TLS, the database `shop`, and a user `monitor` who may read."""
    bin_folder = max(Path("/usr/lib/postgresql").glob("*/bin"))
    with _folder("postgres") as folder:
        data, port = folder / "data", unused_port()
        authority = Authority(folder)
        certificate, key = authority.write_server(folder)
        _give("postgres", certificate, key)
        become = _become("postgres")
        subprocess.run(
            [
                *(*become, f"{bin_folder}/initdb", "-D", str(data), "-A", "scram-sha-256", "-N"),
                *("--auth-local=trust", "-U", "owner", "--no-instructions", "-E", "UTF8"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": certificate,
            "ssl_key_file": key,
            "max_connections": 20,
            "lc_messages": "C",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        admin = ("psql", "-h", str(folder), "-p", str(port), "-U", "owner", "-qAt")
        with _run(
            [*become, f"{bin_folder}/postgres", "-D", str(data), *options], folder
        ) as process:
            path = folder / f".s.PGSQL.{port}"
            _wait_for(path, process)
            server = DatabaseServer(
                scheme="postgresql",
                port=port,
                socket=path,
                folder=folder,
                authority=authority,
                admin=(*admin, "-d", "postgres", "-v", "ON_ERROR_STOP=1"),
                pid=process.pid,
            )
            server.run(
                "CREATE DATABASE shop;\n"
                "CREATE USER ana PASSWORD 'hunter22';\n"
                f"CREATE USER monitor PASSWORD '{PASSWORD}';\n"
                f"CREATE USER broken PASSWORD '{PASSWORD}' CONNECTION LIMIT 0;\n"
                "GRANT pg_write_all_data, pg_read_all_data TO monitor;\n"
            )
            yield server


@contextmanager
def serve_mariadb() -> Iterator[DatabaseServer]:
    """Start MariaDB with TLS, the database `shop`, and a user `monitor` who may do anything."""
    with _folder("mysql") as folder:
        data, port, path = folder / "data", unused_port(), folder / "socket"
        authority = Authority(folder)
        certificate, key = authority.write_server(folder)
        _give("mysql", certificate, key)
        become = _become("mysql")
        # most of what mariadb-install-db spends its time on is help texts and time zones
        data.mkdir()
        _give("mysql", data)
        prepared = "\n".join(
            [
                "CREATE DATABASE mysql;",
                "USE mysql;",
                *(
                    Path("/usr/share/mysql", name).read_text()
                    for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql")
                ),
            ]
        )
        common = ["--no-defaults", f"--datadir={data}", "--innodb-log-file-size=4M"]
        common += ["--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0"]
        with (folder / "bootstrap.log").open("wb") as log:
            subprocess.run(
                [*become, "mariadbd", *common, "--bootstrap", "--skip-log-bin"],
                input=prepared.encode(),
                check=True,
                stdout=log,
                stderr=log,
            )
        arguments = [*common, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={path}"]
        arguments += [f"--ssl-cert={certificate}", f"--ssl-key={key}", "--skip-grant-tables=0"]
        arguments += [f"--pid-file={folder / 'pid'}", "--skip-log-bin", "--max-connections=20"]
        with _run([*become, "mariadbd", *arguments], folder) as process:
            _wait_for(path, process)
            server = DatabaseServer(
                scheme="mysql",
                port=port,
                socket=path,
                folder=folder,
                authority=authority,
                admin=("mariadb", "--no-defaults", f"--socket={path}", "-uroot", "-N", "-B"),
                pid=process.pid,
            )
            server.run(
                "CREATE DATABASE shop;\n"
                f"CREATE USER monitor IDENTIFIED BY '{PASSWORD}';\n"
                "GRANT ALL ON *.* TO monitor;\n"
            )
            yield server


@contextmanager
def _folder(owner: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="database-"))
    folder.chmod(0o755)
    _give(owner, folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _run(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGQUIT)  # of which PostgreSQL ends its own processes
        process.wait()


def _become(user: str) -> list[str]:
    if os.geteuid() != 0:
        return []

    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


def _give(user: str, *paths: Path) -> None:
    for path in paths:
        if path.is_file():
            path.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(path, user, user)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        assert process.poll() is None, "it ended: see its log"
        with socket.socket(socket.AF_UNIX) as tried:
            try:
                tried.connect(str(path))
            except OSError:
                time.sleep(0.02)
            else:
                return

    raise AssertionError("it does not listen")
