"""What the answer of a receiver means for a notice: gone for good, or worth another attempt."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.notice import Refused, TryAgain
from monitor.core.outbox import Why
from monitor.options import Redactor
from monitor.outbound import list_spellings, parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from monitor.options import Secret
    from monitor.outbound import Answer, NoAnswer

_MAY_PASS: Final = frozenset({408, 425, 429})
"""Of 4xx, the ones that a later attempt may not get."""

_LONGEST_EXCERPT: Final = 200
_LONGEST_WISH: Final = 86_400


def judge(answer: Answer, said: str, now: datetime) -> TryAgain | Refused:
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


def with_wish(receipt: TryAgain | Refused, wish: object) -> TryAgain | Refused:
    """Add the seconds that a body asks us to wait, which may be more exact than the header.

    The longer one counts, so that nobody is asked again too early.
    """
    if not isinstance(receipt, TryAgain) or isinstance(wish, bool):
        return receipt
    if not isinstance(wish, int | float) or not wish >= 0:  # NaN is not, either
        return receipt

    after = timedelta(seconds=min(wish, _LONGEST_WISH))

    return TryAgain(
        reason=receipt.reason, error=receipt.error, after=max(after, receipt.after or after)
    )


def read_json(answer: Answer) -> dict[str, Any]:
    """Read the object that an answer holds; an empty one where it holds none. Any: it is JSON."""
    try:
        data = json.loads(answer.text)
    except (ValueError, RecursionError):
        return {}

    return data if isinstance(data, dict) else {}


def no_answer(error: NoAnswer) -> TryAgain:
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

        return mask(Redactor(values).mask(text))

    return hide
