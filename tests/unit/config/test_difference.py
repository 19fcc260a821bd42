"""What a reload changed: told in few words, whole, and without a secret."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config.compile import compile_document
from monitor.config.difference import MOST, Difference, compare
from monitor.config.document import Document, Position
from tests.support.configuring import API, configure, ways

if TYPE_CHECKING:
    from monitor.config import Compiled

CANARY: Final = "canary-value-"
_FULL: Final = Path(__file__).parents[3] / "config" / "examples" / "full.yml"


def compare_texts(folder: Path, before: str, after: str) -> Difference:
    old = configure(folder, before)

    return compare(old, configure(folder, after))


def planted(value: object, number: str) -> Any:
    """Give a copy of a document with another secret in the place of each variable."""
    match value:
        case dict():
            return {key: planted(inner, f"{number}-{key}") for key, inner in value.items()}
        case list():
            return [planted(inner, f"{number}-{index}") for index, inner in enumerate(value)]
        case str() if "${" in value:
            scheme = "https://hooks.example/" if "WEBHOOK_URL" in value else ""
            return scheme + CANARY + number
    return deepcopy(value)


def full(number: str) -> dict[str, Any]:
    document: dict[str, Any] = planted(yaml.safe_load(_FULL.read_text()), number)

    return document


def compiled(document: dict[str, Any]) -> Compiled | None:
    read = Document(data=document, positions={(): Position("m.yml", 1, 1)}, keys={})

    return compile_document(read, environ={}, cwd=_FULL.parent)[0]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param(API, API, Difference(), id="nothing"),
        pytest.param(
            "endpoints: {api: https://a.example/, b: https://b.example/}",
            "endpoints: {api: https://a.example/, c: https://b.example/}",
            Difference(added=("endpoints.c",), removed=("endpoints.b",)),
            id="an endpoint by its name, without its checks",
        ),
        pytest.param(
            "endpoints: {api: {url: https://a.example/, every: 30s, timeout: 3s}}",
            "endpoints: {api: {url: https://a.example/, every: 1m, tags: [smoke]}}",
            Difference(
                changed=(
                    "endpoints.api.every: 30s -> 1m",
                    "endpoints.api.timeout: removed",
                    'endpoints.api.tags: set to ["smoke"]',
                )
            ),
            id="keys of an endpoint",
        ),
        pytest.param(
            "endpoints: {api: {url: https://a.example/}}",
            "endpoints: {api: {url: https://a.example/, certificate: {expires_in: {gt: 14d}}}}",
            Difference(
                added=("check api.certificate",),
                changed=('endpoints.api.certificate: set to {"expires_in": {"gt": "14d"}}',),
            ),
            id="a check",
        ),
        pytest.param(
            "endpoints: {api: {url: https://a.example/, health: {expect: [status: 200]}}}",
            "endpoints: {api: {url: https://a.example/, health: {expect: [status: 204]}}}",
            Difference(changed=("endpoints.api.health.expect[0].status: 200 -> 204",)),
            id="an item of a list",
        ),
        pytest.param(
            f"{API}notifiers: {{ops: {{log: {{}}}}}}",
            f"{API}notifiers: {{oncall: {{log: {{}}}}}}",
            Difference(added=("notifiers.oncall",), removed=("notifiers.ops",)),
            id="a notifier",
        ),
        pytest.param(
            API,
            f"{API}services: {{api: {{description: it}}}}",
            Difference(added=("services.api",)),
            id="a section that was not there",
        ),
        pytest.param(
            f"{API}services: {{api: {{description: it}}}}",
            f"{API}services: {{api: {{description: it, rollback: {{mode: observe}}}}}}",
            Difference(added=("services.api.rollback",)),
            id="a rollback policy",
        ),
        pytest.param(
            f"{API}services: {{api: {{rollback: {{mode: observe}}}}}}",
            f"{API}services: {{api: {{rollback: {{mode: automatic, "
            "steps: [command: [/bin/true]]}}}",
            Difference(
                changed=(
                    "services.api.rollback.mode: observe -> automatic",
                    'services.api.rollback.steps: set to [{"command": ["/bin/true"]}]',
                )
            ),
            id="how a service is rolled back",
        ),
        pytest.param(
            f"{API}defaults: {{every: 1m}}",
            f"{API}defaults: {{every: 2m}}\nenvironment: production",
            Difference(
                changed=(
                    "defaults.every: 1m -> 2m",
                    "environment: set to production",
                    "endpoints.api: by another part, a variable or a secret",
                )
            ),
            id="what an endpoint inherits",
        ),
        pytest.param(
            f"{API}notifiers: {{ops: {{webhook: {{url: 'https://ops.example/', secret: one-1}}}}}}",
            f"{API}notifiers: {{ops: {{webhook: {{url: 'https://ops.example/', secret: two-2}}}}}}",
            Difference(changed=("notifiers.ops: by another part, a variable or a secret",)),
            id="a secret",
        ),
    ],
)
def test_what_changed_is_told_by_where_it_stands(
    tmp_path: Path, before: str, after: str, said: Difference
) -> None:
    assert compare_texts(tmp_path, before, after) == said


def test_a_value_from_a_file_changed_unseen(tmp_path: Path) -> None:
    text = (
        f"{API}notifiers: {{ops: {{webhook: {{url: 'https://ops.example/${{file:way}}/hook'}}}}}}"
    )
    (tmp_path / "way").write_text("first-secret")
    before = configure(tmp_path, text)
    (tmp_path / "way").write_text("second-secret")

    said = str(compare(before, configure(tmp_path, text)))

    assert "secret'" not in said.replace("by another part, a variable or a secret'", "")


def test_a_flood_of_changes_is_told_in_few_lines(tmp_path: Path) -> None:
    def many(word: str, every: str) -> str:
        lines = [f"  {word}{number}: https://a.example/" for number in range(200)]
        slow = [
            f"  s{number}: {{url: https://a.example/, every: {every}}}" for number in range(200)
        ]
        return "endpoints:\n" + "\n".join([*lines, *slow])

    said = compare_texts(tmp_path, many("old", "1m"), many("new", "2m"))

    assert [len(said.added), len(said.removed), len(said.changed)] == [MOST] * 3
    assert said.added[-1] == said.changed[-1] == "and 181 more"


def test_many_endpoints_that_inherit_share_a_line(tmp_path: Path) -> None:
    lines = "".join(f"  e{number}: https://a.example/\n" for number in range(50))

    said = compare_texts(
        tmp_path,
        f"defaults: {{every: 1m}}\nendpoints:\n{lines}",
        f"defaults: {{every: 2m}}\nendpoints:\n{lines}",
    )

    assert said.changed == (
        "defaults.every: 1m -> 2m",
        "endpoints.e0, endpoints.e1, endpoints.e2, endpoints.e3, endpoints.e4 and 45 more: "
        "by another part, a variable or a secret",
    )


def test_what_is_long_is_not_quoted_and_nothing_breaks_the_line(tmp_path: Path) -> None:
    def configured(value: str) -> str:
        return (
            "endpoints: {api: {url: https://a.example/, "
            f'request: {{headers: {{"X-A": "{value}"}}}}}}}}\nlocation: "{value[:9]}"'
        )

    said = compare_texts(tmp_path, configured("ü" * 9), configured("ü" * 300))

    assert said.changed[0] == "endpoints.api.request.headers.X-A: changed"
    assert all(line.isprintable() and len(line) <= 240 for line in said.changed)


_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    ["x", "30s", "1m", "3 of 5", "5%", "low", "off", "\n", CANARY, 5, 200, True, None, [], {}]
) | st.text(max_size=100)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(way=st.sampled_from(ways(full("1"))), value=_VALUES, removed=st.booleans())
def test_whatever_changes_no_secret_is_told_and_the_same_is_no_change(
    way: tuple[Any, ...], value: object, removed: bool
) -> None:
    before, document = compiled(full("1")), full("2")
    part: Any = document
    for step in way[:-1]:
        part = part[step]
    if removed:
        del part[way[-1]]
    else:
        part[way[-1]] = value
    after, again = compiled(document), compiled(deepcopy(document))
    assert before is not None

    if after is None or again is None:
        return

    assert not compare(after, again)
    for said in (compare(before, after), compare(after, before)):
        lines = (*said.added, *said.removed, *said.changed)
        assert lines
        assert not [line for line in lines if f"{CANARY}1" in line or f"{CANARY}2" in line]
        assert all(line.isprintable() for line in lines)
