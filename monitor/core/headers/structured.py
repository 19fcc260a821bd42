"""The parts of structured fields (RFC 9651) of which some policy headers are made, as patterns."""

from __future__ import annotations

from typing import Final

TOKEN: Final = r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*"  # noqa: S105 - no password: a pattern
STRING: Final = r'"(?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\["\\])*"'
KEY: Final = r"[a-z*][a-z0-9_.*-]*"
ITEM: Final = rf"(?:{STRING}|{TOKEN}|\?[01]|:[A-Za-z0-9+/=]*:|-?[0-9]+(?:\.[0-9]+)?)"
PARAMETERS: Final = rf"(?:;[ ]*{KEY}(?:={ITEM})?)*"
