"""The guard: a process that ends what is tied to us, should we be killed before we can do so."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import suppress
from typing import Final
from uuid import uuid4

from monitor.logs import Log

_log = Log()

_PATIENCE: Final = 5.0
_WATCH: Final = """
trap '' INT TERM HUP
groups=
while read -r sign group; do
    [ "$sign" != end ] || exit 0
    rest=
    for one in $groups; do
        [ "$one" = "$group" ] || rest="$rest $one"
    done
    [ "$sign" = - ] || rest="$rest $group"
    groups=$rest
done
for one in $groups; do
    kill -KILL "-$one"
done 2>/dev/null
for pause in 0 0.1 0.3; do
    sleep "$pause"
    for one in $(grep -lazx "$1" /proc/[0-9]*/environ); do
        one=${one#/proc/}
        kill -KILL "${one%/environ}"
    done
done 2>/dev/null
"""
"""It hears which process groups begin and end. When we end, however that comes, so does its input:
what is left of them then is killed. So is what it had not heard of yet, or what went into another
session, as far as that has our mark in its environment."""


class Guard:
    """One small shell beside this process, from the first group on; used by any thread.

    `mark` is a variable, its name and value, that whatever it shall end has in its environment.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()
        self._closed = self._told = False
        self.mark = ("MONITOR_RUN", uuid4().hex)

    def stand_by(self) -> None:
        """Start the guard, unless it is there."""
        with self._lock:
            if self._process is None:
                self._start()

    def watch(self, group: int) -> None:
        """Kill this process group when we end."""
        with self._lock:
            self._groups.add(group)
            if self._process is None or not self._say("+", group):
                self._start()

    def forget(self, group: int) -> None:
        """Leave it alone: nobody is left in it."""
        with self._lock:
            self._groups.discard(group)
            if self._process is not None:
                self._say("-", group)

    def close(self) -> None:
        """End the guard, and with it what it still watches."""
        with self._lock:
            self._closed = True
            if self._process is not None and not self._groups:
                self._say("end", 0)
            self._stop()

    def _start(self) -> None:
        """Start the guard, in the place of one that is gone; it hears of all groups again."""
        self._stop()
        if self._closed:
            return
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH, "guard", "=".join(self.mark)],
                env={},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            if not self._told:
                _log.warning("commands_unguarded", error=os.strerror(error.errno or 0))
            self._told = True
            return
        for group in self._groups:
            self._say("+", group)

    def _say(self, sign: str, group: int) -> bool:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{sign} {group}\n".encode())
        except OSError:
            return False

        return True

    def _stop(self) -> None:
        if self._process is None:
            return

        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
