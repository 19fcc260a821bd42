"""A socket of one's own that sends packets to one host: for kinds without a connection."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from monitor.core.model.observation import Phase
from monitor.probes._net.faults import Faulted, explain_connect
from monitor.probes._net.resolve import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.names import Resolver
    from monitor.probes._net.dial import Way
    from monitor.probes._net.look import Look


async def reach(
    look: Look,
    resolver: Resolver,
    way: Way,
    make: Callable[[socket.AddressFamily], socket.socket],
) -> socket.socket:
    """Resolve, and give a socket of `make` that is bound to the first address with a route to it.

    Nothing is sent. Whoever called closes it. Raises Faulted.
    """
    look.watch.enter(Phase.RESOLVE)
    look.question = Question(way.host, way.port, resolver, ip=way.ip, nameserver=way.nameserver)
    addresses = await look.question.answer()

    look.watch.enter(Phase.CONNECT)
    failed = OSError()
    for family, _, _, _, address in addresses:
        try:
            sock = make(family)
        except OSError as error:
            failed = error
            continue
        try:
            sock.setblocking(False)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failed = error
            continue

        look.ip_family = 6 if family == socket.AF_INET6 else 4
        look.address = str(address[0])
        return sock

    only_ipv6 = all(family == socket.AF_INET6 for family, *_ in addresses)
    if only_ipv6 and (lack := look.question.explain_lack_of_ipv6()):
        raise Faulted(lack) from failed
    raise Faulted(explain_connect(failed, look.peer, only_ipv6=only_ipv6)) from failed
