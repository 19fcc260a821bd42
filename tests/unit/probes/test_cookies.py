"""Cookies of one probe go where RFC 6265 lets them go, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from yarl import URL

from monitor.probes._http.cookies import Jar

SHOP = URL("https://www.shop.test/cart/pay")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PAST = "Mon, 02 Mar 2026 11:59:59 GMT"
FUTURE = "Mon, 02 Mar 2026 12:00:01 GMT"


def sent(line: str, to: str, *, by: URL = SHOP) -> str:
    jar = Jar()
    jar.take([line], by, NOON)

    return jar.header_for(URL(to))


@pytest.mark.parametrize(
    ("line", "to", "cookie"),
    [
        pytest.param("a=1", "www.shop.test/cart/x", "a=1", id="the same host and folder"),
        pytest.param("a=1", "www.shop.test/cart", "a=1", id="the folder itself"),
        pytest.param("a=1", "www.shop.test/cartoon", "", id="a name that begins the same"),
        pytest.param("a=1", "www.shop.test/", "", id="above the folder"),
        pytest.param("a=1; Path=/", "www.shop.test/", "a=1", id="a path that is given"),
        pytest.param("a=1; Path=no", "www.shop.test/cart/", "a=1", id="a path that is none"),
        pytest.param("a=1; Path=/", "shop.test/", "", id="the host above"),
        pytest.param("a=1; Path=/", "x.www.shop.test/", "", id="a host below"),
        pytest.param("a=1; Path=/; Domain=shop.test", "api.shop.test/", "a=1", id="a domain"),
        pytest.param("a=1; Path=/; Domain=.SHOP.test", "shop.test/", "a=1", id="with a dot"),
        pytest.param("a=1; Path=/; Domain=shop.test", "myshop.test/", "", id="another name"),
        pytest.param("a=1; Path=/; Domain=evil.test", "evil.test/", "", id="a foreign domain"),
        pytest.param("a=1; Path=/; Domain=test", "bank.test/", "", id="a whole top level"),
        pytest.param("a=1; Path=/; Secure", "http://www.shop.test/", "", id="secure, over http"),
        pytest.param("a=1; Path=/; secure", "www.shop.test/", "a=1", id="secure, over TLS"),
        pytest.param("a=1; Path=/; Max-Age=0", "www.shop.test/", "", id="ended by its age"),
        pytest.param("a=1; Path=/; Max-Age=60", "www.shop.test/", "a=1", id="young"),
        pytest.param("a=1; Path=/; Max-Age=x", "www.shop.test/", "a=1", id="no age at all"),
        pytest.param(f"a=1; Path=/; Expires={PAST}", "www.shop.test/", "", id="expired"),
        pytest.param(f"a=1; Path=/; Expires={FUTURE}", "www.shop.test/", "a=1", id="not yet"),
        pytest.param("a=1; Path=/; Expires=soon", "www.shop.test/", "a=1", id="no date at all"),
        pytest.param('a="b c"; Path=/', "www.shop.test/", 'a="b c"', id="quotes are a part"),
        pytest.param("a=b=c; Path=/", "www.shop.test/", "a=b=c", id="a value with ="),
        pytest.param("=1; Path=/", "www.shop.test/", "", id="without a name"),
        pytest.param(";;;", "www.shop.test/", "", id="nothing"),
        pytest.param("a=\x1b[1m; Path=/", "www.shop.test/", "", id="control characters"),
        pytest.param("a=1\r\nX: y; Path=/", "www.shop.test/", "", id="a line break"),
        pytest.param(f"a={'v' * 5000}; Path=/", "www.shop.test/", "", id="a huge one"),
    ],
)
def test_where_a_cookie_goes(line: str, to: str, cookie: str) -> None:
    assert sent(line, to if "://" in to else f"https://{to}") == cookie


def test_a_cookie_of_an_address_is_for_that_address() -> None:
    by = URL("http://127.0.0.1:81/")

    assert sent("a=1", "http://127.0.0.1:82/", by=by) == "a=1", "cookies know no ports"
    assert sent("a=1; Domain=127.0.0.1", "http://127.0.0.1/", by=by) == "a=1"
    assert sent("a=1; Domain=0.0.1", "http://127.0.0.1/", by=by) == ""


def test_a_later_cookie_replaces_or_ends_an_earlier_one() -> None:
    jar = Jar()
    jar.take(["a=1; Path=/", "b=2; Path=/"], SHOP, NOON)
    jar.take(["a=3; Path=/"], SHOP, NOON)
    assert jar.header_for(SHOP) == "a=3; b=2"

    jar.take(["a=; Path=/; Max-Age=-1"], SHOP, NOON)
    assert jar.header_for(SHOP) == "b=2"


def test_the_longest_path_comes_first() -> None:
    jar = Jar()
    jar.take(["a=1; Path=/", "b=2; Path=/cart", "c=3; Path=/"], SHOP, NOON)

    assert jar.header_for(SHOP) == "b=2; a=1; c=3"


def test_a_flood_of_cookies_is_bounded() -> None:
    jar = Jar()
    jar.take([f"c{number}=1; Path=/" for number in range(10_000)], SHOP, NOON)

    assert len(jar.header_for(SHOP).split("; ")) == 180
