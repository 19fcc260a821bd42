"""Whether this machine lets the monitor run: descriptors, its store, its port, its runners."""

from __future__ import annotations

import errno
import os
import resource
import socket
from functools import partial
from typing import TYPE_CHECKING, Final

from monitor.options import format_address
from monitor.pipeline import probe_slots
from monitor.store.files import find_filesystem, is_of_a_network
from monitor.store.lock import is_held, read_holder
from monitor.tools.examined import Examined, Fitness

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.config import Compiled

_LEAST_ROOM: Final = 256 * 1024 * 1024


def examine_runner(part: str, path: Path, unit: str) -> Examined:
    """Look whether a runner can be asked: its socket, which `unit` opens."""
    found = partial(Examined, part=part, name=str(path))
    if not path.is_socket():
        return found(fitness=Fitness.BROKEN, text=f"expected a socket: is {unit} active?")
    if not os.access(path, os.W_OK):
        return found(fitness=Fitness.BROKEN, text="this user may not connect to it")

    return found(fitness=Fitness.OK, text="can be asked")


def examine_descriptors(wanted: int) -> Examined:
    """Look whether so many probes can be open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    slots = probe_slots()
    few = slots < wanted

    return Examined(
        part="machine",
        name="descriptors",
        fitness=Fitness.WARNING if few else Fitness.OK,
        text=f"{soft}, enough for {slots} probes at once" + (": raise `ulimit -n`" if few else ""),
    )


def examine_store(store: Path) -> Examined:
    """Look whether the store can be written, on a disk of this machine, with room to grow."""
    found = partial(Examined, part="store", name=str(store))
    if is_held(store):
        holder = read_holder(store)
        who = f" by {holder.command} (process {holder.pid})" if holder else ""
        return found(fitness=Fitness.OK, text=f"in use{who}")

    place = next((one for one in (store, *store.parents) if one.exists()), store)
    if place == store and not store.is_file():
        return found(fitness=Fitness.BROKEN, text="expected a file")
    if not os.access(place, os.W_OK):
        return found(fitness=Fitness.BROKEN, text=f"{place} cannot be written by this user")

    directory = place if place.is_dir() else place.parent
    kind = find_filesystem(directory)
    if is_of_a_network(kind):
        return found(
            fitness=Fitness.BROKEN,
            text=f"lies on a network file system ({kind}), expected a local disk",
        )

    free = os.statvfs(directory)
    room = free.f_bavail * free.f_frsize
    there = "can be written" if store.exists() else "will be created"

    return found(
        fitness=Fitness.OK if room >= _LEAST_ROOM else Fitness.WARNING,
        text=f"{there}, {room // 1024**2} MiB are free",
    )


def examine_listen(compiled: Compiled) -> Examined:
    """Look whether the address of the HTTP interface is free."""
    host, port = compiled.web.host, compiled.web.port
    found = partial(Examined, part="web", name=format_address(host, port))
    if is_held(compiled.store):
        return found(fitness=Fitness.SKIPPED, text="left to the monitor that runs")

    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, number) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return found(fitness=Fitness.BROKEN, text="another program listens there")
        return found(
            fitness=Fitness.BROKEN, text=f"cannot be listened on: {error.strerror or error}"
        )

    return found(fitness=Fitness.OK, text="free")
