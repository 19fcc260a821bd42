"""What a disk may hold after the power failed: a recording of a program's writes, cut anywhere.

What was synced is there. Of what was written since, any sector may be there or not. A file that
was deleted may be back, until the next sync of any file: file systems keep that in order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

STRACE: Final = (
    *("strace", "-f", "-y", "-xx", "-s", "1000000"),
    *("-e", "trace=pwrite64,fdatasync,fsync,ftruncate,unlink,write"),
)
"""How to record; `-o FILE` is to be added."""

SECTOR: Final = 512
_CALL: Final = re.compile(
    r"^\d+ +(?P<name>\w+)\((?:\d+<(?P<open>[^>]*)>)?(?P<rest>.*)\) += (?P<result>-?\d+)"
)
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that changed a file, or told something."""

    name: str
    path: Path
    data: bytes = b""
    at: int = 0


def read_trace(trace: Path, folder: Path) -> list[Call]:
    """Read what was done to files of a folder, and what was written to standard output."""
    found = []
    for line in trace.read_text().splitlines():
        assert "unfinished" not in line, "calls of two threads overlap: record something simpler"
        if (match := _CALL.match(line)) is None or int(match["result"]) < 0:
            continue
        texts = [_bytes(text) for text in _TEXT.findall(match["rest"])]
        opened = match["open"]
        path = Path((_bytes(opened) if opened is not None else texts[0]).decode())
        numbers = re.findall(r", (\d+)", _TEXT.sub("", match["rest"]))
        match match["name"]:
            case "write" if texts and texts[0].startswith(b"told "):
                found.append(Call("told", path, texts[0]))
            case "pwrite64" if path.parent == folder:
                found.append(Call("write", path, texts[0], int(numbers[-1])))
            case "ftruncate" if path.parent == folder:
                found.append(Call("truncate", path, at=int(numbers[-1])))
            case "fdatasync" | "fsync" if path.parent == folder:
                found.append(Call("sync", path))
            case "unlink" if path.parent == folder:
                found.append(Call("unlink", path))
            case _:
                pass

    return found


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass
class File:
    """A file as it is for sure, and what was done to it since it was synced."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[Call] = field(default_factory=list)
    gone: bool = False


class Machine:
    """The files of a recorded program at one moment of its life."""

    def __init__(self) -> None:
        self.told = 0
        self._files: dict[Path, File] = {}

    def take(self, call: Call) -> None:
        """Live through one more call."""
        if call.name == "told":
            self.told = int(call.data.split()[-1])
            return

        file = self._files.setdefault(call.path, File())
        match call.name:
            case "unlink":
                file.gone = True
            case "sync":
                for earlier in file.since:
                    _carry_out(earlier, file.synced)
                file.since.clear()
                self._files = {path: one for path, one in self._files.items() if not one.gone}
            case _:
                if file.gone:
                    file = self._files[call.path] = File()
                file.since.append(call)

    def lose_power(self, into: Path, chance: Random) -> None:
        """Write what may be left on the disk into a folder."""
        for path, file in self._files.items():
            if file.gone and chance.random() < 0.5:
                continue
            left = bytearray(file.synced)
            for call in _some(file.since, chance):
                _carry_out(call, left)
            if not file.gone or left:
                (into / path.name).write_bytes(left)


def _some(calls: list[Call], chance: Random) -> Iterator[Call]:
    """Give any part of some calls: none, all, a beginning, single sectors, or in any order."""
    kept = chance.choice((0.0, 0.2, 0.5, 0.9, 1.0))
    parts = [part for call in calls for part in _sectors(call) if chance.random() < kept]
    if chance.random() < 0.3:
        parts = parts[: chance.randint(0, len(parts))]

    yield from parts


def _sectors(call: Call) -> Iterator[Call]:
    if call.name != "write":
        yield call
        return

    for start in range(0, len(call.data), SECTOR):
        yield Call("write", call.path, call.data[start : start + SECTOR], call.at + start)


def _carry_out(call: Call, content: bytearray) -> None:
    if len(content) < call.at:
        content.extend(bytes(call.at - len(content)))
    if call.name == "truncate":
        del content[call.at :]
    else:
        content[call.at : call.at + len(call.data)] = call.data
