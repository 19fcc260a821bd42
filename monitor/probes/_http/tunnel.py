"""A tunnel through a proxy to a target: the request for it, and no byte beyond the answer."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from monitor.options import format_address
from monitor.probes._http.explain import clean
from monitor.probes._http.proxy import explain_broken_proxy, explain_refusal
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    import socket

    from monitor.probes._http.proxy import Proxy
    from monitor.probes._http.wire_request import WireRequest

_LARGEST_HEAD: Final = 16 * 1024
_PIECE: Final = 4096
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r?\n")
_END: Final = re.compile(rb"\r?\n\r?\n")


async def open_tunnel(sock: socket.socket, wire: WireRequest, proxy: Proxy) -> None:
    """Have the proxy connect this socket with the target; raises Faulted where it does not."""
    loop = asyncio.get_running_loop()
    target = format_address(wire.named, wire.port)
    try:
        await loop.sock_sendall(sock, wire.tunnel_head)
        status, reason = await _hear(loop, sock)
    except (OSError, RuntimeError) as error:
        why = "it reset the connection"
        raise Faulted(explain_broken_proxy(proxy, target, why)) from error
    except ValueError as error:
        raise Faulted(explain_broken_proxy(proxy, target, str(error))) from error

    if not 200 <= status < 300:
        raise Faulted(explain_refusal(status, reason, proxy, target))


async def _hear(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> tuple[int, str]:
    """Read the head of the answer; raises ValueError where it is none."""
    heard = b""
    while (end := _END.search(heard)) is None:
        if len(heard) > _LARGEST_HEAD:
            raise ValueError("its answer is too long")
        piece = await loop.sock_recv(sock, _PIECE)
        if not piece:
            raise ValueError("it closed the connection")
        heard += piece

    line = _STATUS_LINE.match(heard)
    if line is None:
        raise ValueError("its answer is not valid HTTP")
    status = int(line[1])
    if 200 <= status < 300 and end.end() < len(heard):
        raise ValueError("it speaks where the target should")  # who is silent until it hears TLS

    return status, clean((line[2] or b"").decode("latin-1"))
