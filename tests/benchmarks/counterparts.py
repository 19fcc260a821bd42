"""What the monitor is measured with: the server that is watched, and the peer that watches too."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.benchmarks.processes import fetch, running, wait_for
from tests.support.servers import unused_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

_ANSWER: Final = '{"status":"ok","database":"connected","version":"12"}'
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Release": "12",
}
_NGINX: Final = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type application/json;
        location = /status {{ stub_status; }}
        location / {{
{headers}
            return 200 '{answer}';
        }}
    }}
}}
"""
_BLACKBOX: Final = {
    "modules": {
        "http": {
            "prober": "http",
            "timeout": "5s",
            "http": {
                "preferred_ip_protocol": "ip4",
                "valid_status_codes": [200],
                "fail_if_body_not_matches_regexp": ['"database":"connected"'],
                "fail_if_header_not_matches": [
                    {"header": name, "regexp": regexp}
                    for name, regexp in (
                        ("Content-Security-Policy", "frame-ancestors"),
                        ("X-Content-Type-Options", "nosniff"),
                        ("X-Frame-Options", "DENY"),
                        ("X-Release", ".+"),
                    )
                ],
            },
        }
    }
}


@dataclass(frozen=True)
class Target:
    """The server that is watched."""

    port: int
    process: subprocess.Popen[bytes]

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.port}/e{number}"

    def served(self) -> int:
        """Give how many requests arrived, but for those that asked this."""
        text = fetch(f"http://127.0.0.1:{self.port}/status")
        found = re.search(r"^ \d+ \d+ (\d+)", text, re.MULTILINE)
        assert found is not None

        return int(found[1])


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    """Run nginx with one small answer to everything."""
    port = unused_port()
    folder.mkdir()
    headers = "\n".join(
        f'            add_header {name} "{value}";' for name, value in _HEADERS.items()
    )
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(port=port, headers=headers, answer=_ANSWER))
    command = [find("nginx"), "-p", str(folder), "-c", str(config), "-e", "stderr"]
    with running(command, log=folder / "nginx.log") as process:
        found = Target(port, process)
        wait_for(found.served, "nginx")
        yield found


@contextmanager
def blackbox_and_prometheus(
    folder: Path, watched: Target, endpoints: int
) -> Iterator[tuple[subprocess.Popen[bytes], ...]]:
    """Run the peer: each endpoint probed once a second, and one rule over all, each second."""
    folder.mkdir()
    prober, storage = unused_port(), unused_port()
    (folder / "blackbox.yml").write_text(json.dumps(_BLACKBOX))
    (folder / "rules.yml").write_text(json.dumps(_RULES))
    (folder / "prometheus.yml").write_text(json.dumps(_scraping(prober, watched, endpoints)))
    with ExitStack() as stack:
        blackbox = stack.enter_context(
            running(
                [
                    find("prometheus-blackbox-exporter"),
                    f"--config.file={folder / 'blackbox.yml'}",
                    f"--web.listen-address=127.0.0.1:{prober}",
                    "--log.level=error",
                ],
                log=folder / "blackbox.log",
            )
        )
        wait_for(lambda: fetch(f"http://127.0.0.1:{prober}/-/healthy"), "blackbox_exporter")
        prometheus = stack.enter_context(
            running(
                [
                    find("prometheus"),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{storage}",
                    "--log.level=error",
                ],
                log=folder / "prometheus.log",
            )
        )
        wait_for(lambda: fetch(f"http://127.0.0.1:{storage}/-/ready"), "Prometheus")
        yield blackbox, prometheus


_RULES: Final = {
    "groups": [
        {
            "name": "probes",
            "interval": "1s",
            "rules": [{"alert": "Down", "expr": "probe_success == 0", "for": "3s"}],
        }
    ]
}


def _scraping(prober: int, watched: Target, endpoints: int) -> dict[str, object]:
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": "probes",
                "metrics_path": "/probe",
                "params": {"module": ["http"]},
                "static_configs": [
                    {"targets": [watched.url(number) for number in range(endpoints)]}
                ],
                "relabel_configs": [
                    {"source_labels": ["__address__"], "target_label": "__param_target"},
                    {"source_labels": ["__param_target"], "target_label": "instance"},
                    {"target_label": "__address__", "replacement": f"127.0.0.1:{prober}"},
                ],
            }
        ],
    }


def find(program: str) -> str:
    """Find a program from a Debian package; as a user, they are not all in the path."""
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise SystemExit(f"{program} is missing: apt-get install {_PACKAGES}")

    return found


_PACKAGES: Final = "nginx prometheus prometheus-blackbox-exporter"
