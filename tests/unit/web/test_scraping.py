"""Many scrapes at once cost as much as one, and probes go on while a page is made."""

from __future__ import annotations

import asyncio
import gzip
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.web.scraping import MOST_PAGES, Form, Scrapes, takes_gzip

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = 20
NO_WORK = timedelta()


class Writer:
    """Writes pages that say which one they are."""

    def __init__(self) -> None:
        self.begun = 0
        self.at_once = 0
        self.broken = False

    def __call__(self, *, as_openmetrics: bool) -> Iterator[bytes]:
        self.begun += 1
        number = self.begun
        assert not self.at_once, "one page at a time"
        self.at_once += 1
        try:
            for part in range(PARTS):
                if self.broken and part == PARTS // 2:
                    raise ZeroDivisionError
                yield f"page {number} {as_openmetrics} part {part}\n".encode()
        finally:
            self.at_once -= 1


async def test_fifty_who_ask_at_once_share_one_page() -> None:
    writer = Writer()
    scrapes = Scrapes(writer, work=NO_WORK)

    pages = await asyncio.gather(*(scrapes.page(Form()) for _ in range(50)))

    assert writer.begun == 1
    assert len({id(page) for page in pages}) == 1
    assert len(pages[0].parts) == PARTS


async def test_who_asks_while_a_page_is_made_gets_it_and_who_asks_later_a_newer_one() -> None:
    writer = Writer()
    scrapes = Scrapes(writer, work=NO_WORK)
    first = asyncio.create_task(scrapes.page(Form()))
    while not writer.begun:
        await asyncio.sleep(0)

    second = await scrapes.page(Form())
    third = await scrapes.page(Form())

    assert second is await first
    assert third.parts[0].startswith(b"page 2 ")


async def test_probes_have_their_turn_while_a_page_is_made() -> None:
    def write(*, as_openmetrics: bool) -> Iterator[bytes]:
        for _ in range(PARTS):
            began = time.thread_time()
            while time.thread_time() - began < 0.002:
                pass
            yield b"part"

    making = asyncio.create_task(Scrapes(write, work=timedelta(milliseconds=1)).page(Form()))
    turns = 0
    while not making.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns > PARTS / 4


async def test_a_page_is_made_in_few_turns_where_turns_take_long() -> None:
    making = asyncio.create_task(Scrapes(Writer(), work=NO_WORK).page(Form()))
    turns = 0
    while not making.done():
        time.sleep(0.02)  # as probes of a monitor with too much to do
        await asyncio.sleep(0)
        turns += 1

    assert turns < PARTS / 2


async def test_pages_of_different_forms_are_made_one_after_the_other() -> None:
    scrapes = Scrapes(Writer(), work=NO_WORK)
    forms = [
        Form(as_openmetrics=as_openmetrics, gzip=packed)
        for as_openmetrics in (False, True)
        for packed in (False, True)
    ]

    pages = await asyncio.gather(*map(scrapes.page, forms))

    texts = [
        gzip.decompress(b"".join(page.parts)) if form.gzip else b"".join(page.parts)
        for form, page in zip(forms, pages, strict=True)
    ]
    assert [text.split()[2] for text in texts] == [b"False", b"False", b"True", b"True"]
    assert {text.count(b"\n") for text in texts} == {PARTS}


async def test_pages_that_are_read_slowly_do_not_fill_the_memory_and_shut_nobody_out() -> None:
    writer = Writer()
    scrapes = Scrapes(writer, work=NO_WORK)
    read_slowly = [await scrapes.page(Form()) for _ in range(MOST_PAGES)]

    others = [await scrapes.page(Form()) for _ in range(10)]

    assert writer.begun == MOST_PAGES
    assert {id(page) for page in others} == {id(read_slowly[-1])}


async def test_a_page_that_was_read_is_forgotten() -> None:
    scrapes = Scrapes(Writer(), work=NO_WORK)

    firsts = [(await scrapes.page(Form())).parts[0] for _ in range(MOST_PAGES + 3)]

    assert [first.split()[1] for first in firsts] == [b"1", b"2", b"3", b"4", b"5"]


async def test_who_goes_away_leaves_the_page_to_the_others() -> None:
    writer = Writer()
    scrapes = Scrapes(writer, work=NO_WORK)
    first, second = (asyncio.create_task(scrapes.page(Form())) for _ in range(2))
    while not writer.begun:
        await asyncio.sleep(0)

    first.cancel()

    assert len((await second).parts) == PARTS
    assert writer.begun == 1


async def test_a_page_that_breaks_breaks_no_other() -> None:
    writer = Writer()
    scrapes = Scrapes(writer, work=NO_WORK)
    writer.broken = True
    ended = await asyncio.gather(*(scrapes.page(Form()) for _ in range(3)), return_exceptions=True)
    writer.broken = False

    page = await scrapes.page(Form())

    assert {type(error) for error in ended} == {ZeroDivisionError}
    assert len(page.parts) == PARTS


async def test_at_the_end_no_page_is_left_in_the_making() -> None:
    writer = Writer()
    scrapes = Scrapes(writer, work=NO_WORK)
    asked = asyncio.create_task(scrapes.page(Form()))
    while not writer.begun:
        await asyncio.sleep(0)

    await scrapes.close()

    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not writer.at_once


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("deflate, GZIP ;q=0.5, br", True),
        ("gzip;q=1.000", True),
        ("", False),
        ("br, deflate", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("x-gzip-not", False),
    ],
)
def test_a_page_is_packed_for_whom_wants_it(accepted: str, packed: bool) -> None:
    assert takes_gzip(accepted) is packed
