"""The configuration that an import drafts, what it could not take over, and how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from monitor.core.expectations.shown import printable

_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something of the peer's that has no counterpart here: where it stands, and why."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(slots=True)
class Draft:
    """A configuration in the making.

    `variables` are the secrets that were not copied: by their name, where they stand. `origins`
    says where what is drafted comes from, by its place such as `endpoints.shop`.
    """

    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    notifiers: dict[str, dict[str, Any]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    witnesses: list[dict[str, Any]] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    _hidden: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    def leave(self, where: str, why: str) -> None:
        """Tell of something that has no counterpart."""
        self.leftovers.append(Leftover(where, printable(why)))

    def add_endpoint(self, wanted: str, endpoint: dict[str, Any], origin: str) -> None:
        """Take an endpoint, by a name like the wanted one, and remember where it comes from."""
        name = fit_name(wanted, self.endpoints)
        self.endpoints[name] = endpoint
        self.origins[f"endpoints.{name}"] = origin

    def add_notifier(self, name: str, notifier: dict[str, Any], origin: str) -> None:
        """Take a notifier, and remember where it comes from."""
        self.notifiers[name] = notifier
        self.origins[f"notifiers.{name}"] = origin

    def secret(self, where: str, value: str, *words: str) -> str:
        """Give a variable in the place of a secret, which is never copied.

        Only the same value at the same place has the same variable.
        """
        known = re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper()).strip("_")
        name = known if known[:1].isalpha() else f"SECRET_{known}"
        while self._hidden.get(name, (where, value)) != (where, value):
            name += "_2"
        self._hidden[name] = (where, value)
        self.variables[name] = where

        return f"${{{name}}}"


def fit_name(wanted: str, taken: Any) -> str:
    """Make a name of a text, other than those that are taken (a container of names)."""
    base = _UNFIT.sub("-", wanted).strip("-_")[:_LONGEST_NAME] or "endpoint"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"

    return name


def escape(text: str) -> str:
    """Write a text in which nothing is a variable of ours."""
    return text.replace("${", "$${")


def write_draft(draft: Draft, *, head: str) -> str:
    """Write the draft as YAML below comments: `head`, variables that are to be set, leftovers."""
    sections: dict[str, Any] = {
        "witnesses": draft.witnesses,
        "notifiers": draft.notifiers,
        "services": draft.services,
        "endpoints": draft.endpoints,
    }
    body = yaml.dump(
        {name: section for name, section in sections.items() if section},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=False,
    )
    lines = [head]
    if draft.variables:
        lines += ["", "Secrets were not copied. Before the start, export:"]
        lines += [f"  {name}  ({where})" for name, where in draft.variables.items()]
    if draft.leftovers:
        lines += ["", "What has no counterpart:"]
        lines += [f"  {leftover}" for leftover in draft.leftovers]
    comments = "".join(f"# {printable(line)}".rstrip() + "\n" for line in lines)

    return f"{comments}\n{body}"


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, which people take for mistakes, and indents lists below their key."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Write a text with line breaks as one line with escapes."""
        style = '"' if "\n" in text else None

        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


_Dumper.add_representer(str, _Dumper.represent_text)
