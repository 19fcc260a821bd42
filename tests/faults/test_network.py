"""The daemon while its own network fails: blind, and nobody is blamed."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.blame import Watched, write_config
from tests.support.network import PROGRAMS, Nameserver, Network, open_networks, serve_names
from tests.support.program import daemon
from tests.support.receiver import serve_receiver
from tests.support.shop import Shop, open_shop
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.needs(*PROGRAMS)

SHOP: Final = "10.66.0.2"
WITNESS: Final = "10.66.0.3"
RESOLVER: Final = "10.66.0.53"
TURN: Final = ("monitor blind", "monitor resolved")


@dataclass(frozen=True)
class Town(Watched):
    """The monitor's network, and outside of it the shop, a witness and the name server."""

    here: Network
    outside: Network
    shop: Shop
    names: Nameserver


@asynccontextmanager
async def watching(folder: Path, *hosts: str) -> AsyncIterator[Town]:
    """Watch the shop by these hosts, `localhost` is another; people are on loopback.

    The witness is an address.
    """
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        here, outside = await enter(open_networks(SHOP, WITNESS, RESOLVER, resolver=RESOLVER))
        shop = await enter(open_shop(outside.listen(SHOP)))
        near = await enter(open_shop(here.listen("127.0.0.1")))
        stack.callback((witness := outside.listen(WITNESS)).close)
        known = dict.fromkeys(hosts, SHOP)
        names = await enter(serve_names(outside, RESOLVER, known))
        receiver = await enter(serve_receiver(sock=here.listen("127.0.0.1")))
        write_config(
            folder,
            receiver,
            {
                f"by-{host}": f"http://{host}:{(near if host == 'localhost' else shop).port}/"
                for host in hosts
            },
            witnesses=[{"tcp": f"{WITNESS}:{witness.getsockname()[1]}"}],
        )
        running = await enter(daemon(folder, before=here.enter(folder), connector=here.connector()))
        town = Town(running, receiver, here, outside, shop, names)
        await town.begin()
        yield town


async def test_a_resolver_that_hangs_blames_nobody(tmp_path: Path) -> None:
    async with watching(tmp_path, "shop.test") as town:
        town.names.hangs = True
        await town.until_told("monitor blind")
        town.names.hangs = False
        await town.until_told(*TURN)
        await town.until_well()

        await town.nobody_was_blamed()


async def test_a_resolver_that_is_gone_blames_nobody(tmp_path: Path) -> None:
    async with watching(tmp_path, "shop.test", "api.test", "localhost") as town:
        address = (f"{RESOLVER}/24", "dev", "down0")
        await town.outside.run("ip", "address", "del", *address)
        await town.until_told("monitor blind")
        await town.outside.run("ip", "address", "add", *address)
        await town.until_told(*TURN)
        await town.until_well()

        await town.nobody_was_blamed()


@pytest.mark.parametrize("end", ["up0", "down0"])
async def test_an_interface_that_is_down_blames_nobody(end: str, tmp_path: Path) -> None:
    async with watching(tmp_path, "shop.test", SHOP) as town:
        side = town.here if end == "up0" else town.outside
        await side.run("ip", "link", "set", end, "down")
        await town.until_told("monitor blind")
        await side.run("ip", "link", "set", end, "up")
        await town.until_told(*TURN)
        await town.until_well()

        await town.nobody_was_blamed()


async def test_a_name_that_fails_alone_is_blamed_while_another_resolves(tmp_path: Path) -> None:
    async with watching(tmp_path, "shop.test", "api.test") as town:
        town.names.broken.add("api.test")
        await until(lambda: "outage opened" in town.told())

        assert set(await town.blamed()) == {"dns"}


async def test_a_name_that_no_longer_exists_is_blamed_also_where_it_is_the_only_one(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, "shop.test") as town:
        town.names.names.clear()
        await until(lambda: "outage opened" in town.told())

        assert set(await town.blamed()) == {"dns"}
