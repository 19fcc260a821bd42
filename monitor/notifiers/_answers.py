"""What the answer of a receiver means for a notice: gone for good, or worth another attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.notice import Refused, TryAgain
from monitor.core.outbox import Why
from monitor.options import MASK
from monitor.outbound import list_spellings, parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from monitor.core.model.notice import Receipt
    from monitor.options import Secret
    from monitor.outbound import Answer, NoAnswer

_MAY_PASS: Final = frozenset({408, 425, 429})
"""Of 4xx, the ones that a later attempt may not get."""

_LONGEST_EXCERPT: Final = 200


def judge(answer: Answer, said: str, now: datetime) -> Receipt:
    """Say what an answer that is not the wanted one means; `said` tells of it without secrets."""
    after = parse_retry_after(answer.headers.get("retry-after"), now)
    if answer.status in _MAY_PASS:
        why = Why.RATE_LIMITED if answer.status == 429 else Why.SERVER_ERROR
        return TryAgain(reason=why, error=said, after=after)
    if 400 <= answer.status < 500:
        return Refused(reason=Why.REFUSED, error=said)
    if 300 <= answer.status < 400:
        return Refused(reason=Why.REDIRECTED, error=f"{said}: redirects are not followed")
    if answer.status >= 500:
        return TryAgain(reason=Why.SERVER_ERROR, error=said, after=after)

    return TryAgain(reason=Why.BAD_ANSWER, error=said)


def no_answer(error: NoAnswer) -> Receipt:
    """Say what it means that no answer came: it may have arrived, so it is tried again."""
    return TryAgain(reason=error.why, error=str(error))


def in_words(answer: Answer, mask: Callable[[str], str]) -> str:
    """Tell of an answer on one bounded line, without the secrets that the receiver echoed."""
    said = " ".join(mask(answer.text).split())  # masked before it is cut: half a secret is one too
    if len(said) > _LONGEST_EXCERPT:
        said = said[: _LONGEST_EXCERPT - 1] + "…"

    return f"answered {answer.status}" + (f" {said}" if said else "")


def make_mask(mask: Callable[[str], str], secrets: Iterable[Secret | None]) -> Callable[[str], str]:
    """Mask all known secrets, and a receiver's own even if nobody else knows them.

    Of a URL the path with its query counts as well: receivers echo it.
    """
    own = [secret for secret in secrets if secret is not None]

    def hide(text: str) -> str:
        values = {part for secret in own for part in list_spellings(secret.current)}
        for value in sorted(values, key=len, reverse=True):
            text = text.replace(value, MASK)

        return mask(text)

    return hide
