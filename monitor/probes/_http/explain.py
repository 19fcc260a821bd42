"""The words for what goes wrong once there is a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault
from monitor.probes._net.faults import explain_own, explain_refused_certificate

if TYPE_CHECKING:
    from monitor.probes._http.answer import Answer

_LONGEST_DETAIL: Final = 200


def explain_redirects(most: int) -> Fault:
    """Say that more redirects came than may be followed."""
    followed = "1 redirect was" if most == 1 else f"{most} redirects were"

    return Fault(
        code=Code.TOO_MANY_REDIRECTS,
        message=f"{followed} followed and the answer redirects again",
    )


def explain_end(error: Exception | None, peer: str, answer: Answer | None, *, begun: bool) -> Fault:
    """Say what it means that the connection ended, by an error or by being closed.

    `begun` says whether anything of the answer's head has come.
    """
    if isinstance(error, OSError) and (own := explain_own(error)):
        return own

    if answer is not None:
        return _explain_body(error, peer, answer.body.received)
    if error is not None:
        if refused := explain_refused_certificate(error, peer):
            return refused
        message = f"{peer} reset the connection before it answered"
        return Fault(code=Code.CONNECTION_RESET, message=message)

    when = "in the middle of the head of its answer" if begun else "before it answered"
    return Fault(code=Code.CONNECTION_RESET, message=f"{peer} closed the connection {when}")


def _explain_body(error: Exception | None, peer: str, received: int) -> Fault:
    if error is not None:
        message = f"{peer} reset the connection after {received} bytes of the body"
        return Fault(code=Code.CONNECTION_RESET, message=message)

    message = f"the answer of {peer} broke off after {received} bytes of the body"
    return Fault(code=Code.BAD_RESPONSE, message=message)


def explain_nonsense(peer: str, why: str) -> Fault:
    """Say in which way an answer is not valid HTTP, in our words or in the parser's."""
    first, space, rest = clean(why).partition(" ")
    said = f"{first if '-' in first else first.lower()}{space}{rest}"
    if said.startswith("expected HTTP/"):
        said = "it does not begin as one"

    return Fault(code=Code.BAD_RESPONSE, message=f"the answer of {peer} is not valid HTTP: {said}")


def clean(text: str) -> str:
    """Put foreign text on one line without control characters, and bound it."""
    shown = "".join(char if char.isprintable() else " " for char in text[:_LONGEST_DETAIL])

    return " ".join(shown.split())
