"""What of a peer's configuration is a secret, and becomes a variable instead of being copied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from monitor.probes._http.urls import SECRET_NAME
from monitor.tools.importing.draft import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.tools.importing.draft import Draft

_HARMLESS: Final = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-type",
        "host",
        "origin",
        "pragma",
        "user-agent",
    }
)
_SCHEME: Final = re.compile(r"\s*(?:apikey|basic|bearer|digest|token)\b", re.IGNORECASE)
_LEADS_TO_A_SECRET: Final = re.compile(
    r"pass|auth|login|token|bearer|secret|identify|api.?key", re.IGNORECASE
)
_OPAQUE: Final = re.compile(
    r"(?=[\w+-]*[0-9])(?=[\w+-]*[A-Za-z])[\w+-]{8,} | [\w+-]{24,}", re.VERBOSE
)
_OURS: Final = re.compile(r"\$\{[^}]*\}")
_URL: Final = re.compile(
    r"(?P<scheme>(?:[A-Za-z][A-Za-z0-9+.-]*:)?//)?"
    # the second form: a password with a slash in it, which no URL may have, is one all the same
    r"(?:(?P<user>[^/?\#]*|[^@/?\#\[:]*:(?![0-9]*(?:[/?\#]|$))[^@]*)@)?"
    r"(?P<host>[^/?\#]*) (?P<path>[^?\#]*) (?:\?(?P<query>[^\#]*))? (?:\#.*)?",
    re.VERBOSE | re.DOTALL,
)


def looks_secret(text: str) -> bool:
    """Tell whether a text leads to a credential, or has a word that nobody would make up."""
    return bool(_LEADS_TO_A_SECRET.search(text) or _OPAQUE.search(text))


def hides(name: str, value: str) -> bool:
    """Tell whether the value of a header, or of metadata, is better not copied."""
    if name.lower() in _HARMLESS:
        return bool(_LEADS_TO_A_SECRET.search(value))
    if SECRET_NAME.search(name) or _LEADS_TO_A_SECRET.search(name) or "cookie" in name.lower():
        return bool(_SCHEME.sub("", value, count=1).strip())

    return looks_secret(value)


def without_variables(text: str) -> str:
    """Give what is left of a text in which our variables stand."""
    return _OURS.sub("", text)


def is_variable(text: str) -> bool:
    """Tell whether a text is nothing but a variable of ours."""
    return _OURS.fullmatch(text) is not None


def hide_url(
    url: str,
    draft: Draft,
    where: str,
    *words: str,
    write: Callable[[str], str] = escape,
) -> str:
    """Write a URL with variables for its user, its password and parameters with such names.

    `write` writes the rest; what stands behind a `#` is never sent, and left out.
    """
    found = _URL.fullmatch(url)
    assert found is not None  # each of its parts may be empty

    def hide(value: str, *more: str) -> str:
        if write is not escape and not without_variables(value):
            return value
        return draft.secret(where, value, *words, *more)

    written = write(found["scheme"] or "")
    if found["user"]:
        user, colon, password = found["user"].partition(":")
        hidden = hide(user, "user") if user else ""
        written += hidden + colon + (hide(password, "password") if password else "") + "@"
    written += write(found["host"] + found["path"])
    if found["query"] is None:
        return written

    written += "?"
    for parameter in re.split(r"([&;])", found["query"]):
        name, equals, value = parameter.partition("=")
        secret = value and (SECRET_NAME.search(unquote_plus(name)) or _has_user(value))
        written += write(name) + equals + (hide(value, name) if secret else write(value))

    return written


def _has_user(value: str) -> bool:
    """Tell whether a parameter is a URL with a user in it."""
    return re.search(r"//[^/?#]*@", unquote_plus(value)) is not None


def host_and_path(url: str) -> str:
    """Give what of a URL may stand in a name."""
    found = _URL.fullmatch(url)

    return found["host"] + found["path"].rstrip("/") if found else ""


def address_of(target: str) -> str:
    """Give a target without scheme and user, for kinds that know no such."""
    found = _URL.fullmatch(target)

    return found["host"] + found["path"] if found else target
