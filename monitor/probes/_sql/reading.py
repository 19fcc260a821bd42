"""What a query may hold: whatever reads, as far as that can be told before it is asked."""

from __future__ import annotations

import re
from typing import Final

_READS: Final = frozenset(
    {"select", "with", "values", "table", "show", "explain", "describe", "desc", "pragma"}
)
_BEFORE: Final = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*.*?\*/|\()*", re.DOTALL)
_PRAGMA: Final = re.compile(r"pragma\s+(?:\w+\s*\.\s*)?(\w+)\s*(.*)", re.DOTALL | re.IGNORECASE)

_ASKING: Final = frozenset(
    {
        "foreign_key_check",
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
"""Pragmas of SQLite that read whatever is said to them."""

_TELLING: Final = frozenset(
    {
        "application_id",
        "auto_vacuum",
        "collation_list",
        "compile_options",
        "data_version",
        "database_list",
        "encoding",
        "freelist_count",
        "function_list",
        "journal_mode",
        "module_list",
        "page_count",
        "page_size",
        "pragma_list",
        "schema_version",
        "user_version",
    }
)
"""Pragmas that read as long as nothing is said to them."""

_TO_A_FILE: Final = frozenset({"outfile", "dumpfile"})
_PART: Final = (
    r"(?P<executed>/\*M?!)"
    r"|/\*.*?(?:\*/|\Z)|\#[^\n]*|--(?=[\s\x00-\x1f]|\Z)[^\n]*"
    r"|%s|`[^`]*(?:`|\Z)"
    r"|(?P<word>\w+)|."
)
_ENDS: Final = ("'(?:{0}[^'{1}])*(?:'|\\Z)", '"(?:{0}[^"{1}])*(?:"|\\Z)')
_PARTS: Final = tuple(
    re.compile(_PART % "|".join(one.format(*escape) for one in _ENDS), re.DOTALL)
    for escape in ((r"\\.|", r"\\"), ("", ""))
)
"""The parts of a statement of MySQL: where a backslash escapes in texts, and where it does not."""


def check_reads(query: str) -> str:
    """Give a query that begins as one that reads; raises ValueError."""
    begin = _BEFORE.match(query)
    rest = query[begin.end() :] if begin else query
    word = re.match(r"\w*", rest)
    first = word[0] if word else ""
    if first.lower() not in _READS:
        raise ValueError(
            f"expected a query that reads (SELECT, WITH, SHOW, …), found {first or 'none'}"
        )
    if first.lower() == "pragma":
        _check_pragma(rest)

    return query


def check_writes_no_file(query: str) -> None:
    """Raise ValueError where MySQL would write a file, or execute what looks like a comment."""
    for parts in _PARTS:
        for part in parts.finditer(query):
            word = (part["word"] or "").lower()
            if word in _TO_A_FILE:
                raise ValueError(
                    f"INTO {word.upper()} writes a file on the server, which no transaction "
                    "forbids: a query may only read"
                )
            if part["executed"]:
                raise ValueError(
                    f"the server executes what stands in a comment that begins with {part[0]}: "
                    "write it without the comment, or leave it out"
                )


def may_use_pragma(name: str, said: str | None) -> bool:
    """Whether a pragma only reads, with what is said to it; many act on this whole process."""
    return name.lower() in _ASKING or (not said and name.lower() in _TELLING)


def _check_pragma(statement: str) -> None:
    found = _PRAGMA.match(statement)
    name, said = (found[1], found[2].strip(" \t\r\n;")) if found else ("", "")
    if not may_use_pragma(name, said):
        known = ", ".join(sorted(_ASKING | _TELLING))
        raise ValueError(
            f"expected a pragma that reads ({known}), found {name or 'none'}"
            f"{' with a value' if said and name.lower() in _TELLING else ''}"
        )
