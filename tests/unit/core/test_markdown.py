"""Texts of others in Markdown: whatever they are, they are shown and do nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from monitor.core.markdown import escape, fence, link, table

READER = MarkdownIt("commonmark").enable("table")


def kinds(text: str) -> set[str]:
    """Name what a reader of Markdown finds in a text."""
    found = set()
    for token in READER.parse(text):
        found |= {token.type, *(child.type for child in token.children or ())}

    return found


PLAIN = {"paragraph_open", "paragraph_close", "inline", "text"}


@pytest.mark.parametrize(
    "hostile",
    [
        "# Everything is well",
        "[press here](https://evil.example)",
        "![tracker](https://evil.example/x.png)",
        "<img src=https://evil.example/x.png>",
        "<https://evil.example>",
        "`rm -rf /`",
        "**loud** and _quiet_ and ~~gone~~",
        "one\n\n# two\n\n- three",
        "a | b | c",
        "[ref]: https://evil.example",
        "\\[twice](https://evil.example)",
        "&lt;b&gt; &#35; x",
    ],
)
def test_what_a_target_says_is_shown_and_does_nothing(hostile: str) -> None:
    said = f"It said {escape(hostile)}"

    assert kinds(said) - {"text_special"} <= PLAIN
    assert READER.render(said).count("<") == 2  # the paragraph, and nothing in it


@given(st.text(max_size=200))
def test_no_text_is_more_than_text(text: str) -> None:
    assert kinds(f"x {escape(text)}") - {"text_special"} <= PLAIN


@pytest.mark.parametrize("text", ["https://evil.example", "www.evil.example", "WWW.evil.example"])
def test_readers_that_make_links_of_their_own_find_none(text: str) -> None:
    assert "://" not in escape(text)
    assert "www." not in escape(text).lower()


def test_nobody_is_mentioned_and_nothing_is_referred_to() -> None:
    assert "@ana" not in escape("@ana")
    assert "#12" not in escape("see #12")


def test_what_hides_or_turns_text_around_is_left_out() -> None:
    assert escape("a\u202eb\x1b[31mc\x00d\n") == "a b \\[31mc d"


def test_a_flood_is_cut() -> None:
    assert len(escape("x" * 100_000)) == 600


@pytest.mark.parametrize("text", ["```\n# out\n```", "````\nx", "~~~\n# out", "\x1b[2J# out"])
def test_a_block_is_ended_by_nothing_in_it(text: str) -> None:
    assert kinds("\n".join([*fence(text), ""])) == {"fence"}


def test_a_block_has_an_end() -> None:
    lines = fence("line\n" * 100_000)

    assert len(lines) < 250
    assert lines[-2] == "… and 99800 more lines"


def test_a_link_of_ours_leads_where_it_says_and_nothing_else_does() -> None:
    assert kinds(link("runbook", "https://wiki.example/shop")) >= {"link_open"}
    assert "link_open" not in kinds(link("runbook", "javascript:alert(1)"))
    assert "link_open" not in kinds(link("runbook", "https://x.example/ a>b"))


def test_a_cell_stays_a_cell() -> None:
    page = "\n".join(table(("What", "Why"), [(escape("a|b"), escape("c\n|d|"))]))

    assert READER.render(page).count("<td>") == 2
