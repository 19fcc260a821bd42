"""The words for what goes wrong once there is a connection, and for what did not come in time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import http_exceptions

from monitor.core.model.observation import Code, Fault, Phase
from monitor.options import format_duration
from monitor.probes._net.faults import explain_own

if TYPE_CHECKING:
    from monitor.probes._http.sighting import Sighting

_HELD_UP: Final = timedelta(seconds=1)
_LONGEST_DETAIL: Final = 200


def explain_timeout(sighting: Sighting, limit: timedelta) -> Fault:
    """Say what was waited for when the time was up."""
    late = sighting.watch.elapsed() - limit
    if late > _HELD_UP:
        message = f"the monitor itself was held up: its timeout came {format_duration(late)} late"
        return Fault(code=Code.INTERNAL, message=message, own=True)

    call = sighting.call
    host = call.request.url.host if call else "the target"
    peer = call.request.peer if call else "the target"
    within = format_duration(limit)
    match sighting.watch.phase:
        case Phase.RESOLVE if call and call.lookup and not call.lookup.started:
            message = f"no resolver thread was free within {within} to look up {host}"
            return Fault(code=Code.INTERNAL, message=message, own=True)
        case Phase.RESOLVE:
            message = f"{host} did not resolve within {within}"
            asked = call.lookup.host if call and call.lookup else ""
            return Fault(code=Code.TIMEOUT, message=message, unanswered=asked)
        case Phase.CONNECT:
            message = f"{peer} did not accept the connection within {within}"
        case Phase.TLS:
            message = f"the TLS handshake with {peer} was not done within {within}"
        case Phase.TRANSFER:
            received = sighting.body.received if sighting.body else 0
            message = (
                f"the answer of {peer} did not end within {within} ({received} bytes received)"
            )
        case _:
            message = f"{peer} did not answer within {within}"

    return Fault(code=Code.TIMEOUT, message=message)


def explain_redirects(most: int) -> Fault:
    """Say that more redirects came than may be followed."""
    followed = "1 redirect was" if most == 1 else f"{most} redirects were"

    return Fault(
        code=Code.TOO_MANY_REDIRECTS,
        message=f"{followed} followed and the answer redirects again",
    )


def explain(error: Exception, sighting: Sighting) -> Fault:
    """Say what went wrong once there was a connection."""
    if isinstance(error, OSError) and (own := explain_own(error)):
        return own

    peer = sighting.call.request.peer if sighting.call else "the target"
    if sighting.response is not None:
        return _explain_body(error, peer, sighting)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        message = f"{peer} closed the connection before it answered"
        return Fault(code=Code.CONNECTION_RESET, message=message)
    if isinstance(error, aiohttp.ClientResponseError | http_exceptions.HttpProcessingError):
        message = f"the answer of {peer} is not valid HTTP: {clean(error.message)}"
        return Fault(code=Code.BAD_RESPONSE, message=message)
    if isinstance(error, aiohttp.ClientPayloadError):
        message = f"the answer of {peer} is not valid HTTP: {clean(str(error))}"
        return Fault(code=Code.BAD_RESPONSE, message=message)

    message = f"{peer} reset the connection before it answered"
    return Fault(code=Code.CONNECTION_RESET, message=message)


def _explain_body(error: Exception, peer: str, sighting: Sighting) -> Fault:
    received = sighting.body.received if sighting.body else 0
    if isinstance(error, OSError) or (sighting.call is not None and sighting.call.was_reset):
        message = f"{peer} reset the connection after {received} bytes of the body"
        return Fault(code=Code.CONNECTION_RESET, message=message)

    message = f"the answer of {peer} broke off after {received} bytes of the body"
    return Fault(code=Code.BAD_RESPONSE, message=message)


def clean(text: str) -> str:
    """Put foreign text on one line without control characters, and bound it."""
    shown = "".join(char if char.isprintable() else " " for char in text[:_LONGEST_DETAIL])

    return " ".join(shown.split())
