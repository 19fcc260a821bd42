"""Which values are secret, and the configuration with each of them masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.options import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.config.document import At, Document
    from monitor.options import Secret


def mask(value: object, secrets: Iterable[Secret]) -> object:
    """Give plain data with each secret in it masked, also as part of a text."""
    texts = sorted({secret.current for secret in secrets if secret.current}, key=len, reverse=True)

    return _mask(value, texts) if texts else value


def show(document: Document, secrets: Mapping[At, Iterable[Secret]]) -> dict[str, object]:
    """Give the whole configuration as it may be shown: variables as written, secrets masked.

    `secrets` are those of each part of the tree; the document's own are masked everywhere.
    """
    everywhere = [secret.current for secret in document.secrets if secret.current]
    parts = {
        at: sorted({secret.current for secret in of_part if secret.current}, key=len, reverse=True)
        for at, of_part in secrets.items()
    }
    masking = _Masking(
        sources=document.sources,
        parts=parts,
        touched=frozenset(at[:2] for at in (*document.sources, *parts)),
    )

    return {key: masking.write(value, (key,), everywhere) for key, value in document.data.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Masking:
    """How a document is shown: what is written in place of values, and the secrets of its parts.

    `touched` are the endpoints, notifiers and services in which there is anything of either.
    """

    sources: Mapping[At, str]
    parts: Mapping[At, list[str]]
    touched: frozenset[At]

    def write(self, value: object, at: At, texts: list[str]) -> object:
        """Give a value as it may be shown; `texts` are the secrets of the parts around it."""
        if len(at) == 2 and at not in self.touched and not texts:
            return value
        if at in self.parts:
            texts = texts + self.parts[at]
        match value:
            case dict():
                return {key: self.write(inner, (*at, key), texts) for key, inner in value.items()}
            case list():
                return [self.write(inner, (*at, index), texts) for index, inner in enumerate(value)]
            case _ if at in self.sources:
                return _mask(self.sources[at], texts)

        return _mask(value, texts)


def _mask(value: object, texts: list[str]) -> object:
    match value:
        case str():
            for text in texts:
                value = value.replace(text, MASK)
        case dict():
            return {key: _mask(inner, texts) for key, inner in value.items()}
        case list():
            return [_mask(inner, texts) for inner in value]
        case bool() | None:
            return value
        case int() | float() if str(value) in texts:
            return MASK

    return value
