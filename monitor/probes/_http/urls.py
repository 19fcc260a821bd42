"""URLs of targets: which can be asked, and how they are shown."""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from monitor.fields import suggest_braces
from monitor.options import MASK, Secret, found

_EXPECTED: Final = "expected a URL such as https://shop.example/"

SHORTEST_CREDENTIAL: Final = 8
"""Shorter parts of a header value are words such as `Bearer`, which would be masked everywhere."""

SECRET_NAME: Final = re.compile(
    r"token|secret|passw|key|sig|auth|credential|session|code", re.IGNORECASE
)
"""Names of parameters and headers whose values are better not shown."""


def read_url(text: object) -> str:
    """Read an absolute http or https URL; raises ValueError that says what was expected."""
    if not isinstance(text, str):
        raise ValueError(f"{_EXPECTED}, found {found(text)}")
    if re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("expected a URL, found white space in it")

    try:
        url = URL(text)
        host = url.host
    except ValueError as error:
        raise ValueError(f"{_EXPECTED}, {error}") from error

    if url.scheme not in ("http", "https") or not host:
        shown = show_url(url) if url.absolute else text
        raise ValueError(f"{_EXPECTED}, found {shown!r}{suggest_braces(text)}")
    if url.explicit_port == 0:
        raise ValueError("expected a port of 1 to 65535, found 0")

    return text


def secrets_of_url(url: URL) -> list[Secret]:
    """Give what a URL holds that must never be shown: its password, and what looks like one."""
    found = [url.password or ""]
    found += [
        value
        for name, value in url.query.items()
        if SECRET_NAME.search(name) and len(value) >= SHORTEST_CREDENTIAL
    ]

    return [Secret(secret) for secret in found if secret]


def show_url(url: URL) -> str:
    """Write a URL without user, password and fragment; parameters that look secret are masked."""
    shown = url.with_user(None).with_fragment(None) if url.absolute else url.with_fragment(None)

    return str(mask_query(shown))


def mask_query(url: URL) -> URL:
    """Mask the values of parameters that look secret."""
    if not any(SECRET_NAME.search(name) for name in url.query):
        return url

    return url.with_query(
        [(name, MASK if SECRET_NAME.search(name) else value) for name, value in url.query.items()]
    )


def show_location(text: str) -> str:
    """Write where a redirect points, masked like a URL; what is no URL stays as it is."""
    try:
        url = URL(text)
        person = url.with_user(None) if url.raw_user or url.raw_password else url
        shown = mask_query(person)
    except ValueError:
        return text

    return text if shown == url else str(shown)
