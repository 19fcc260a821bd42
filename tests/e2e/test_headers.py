"""Header policies and their drift, as a person asks for them and accepts them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.support.program import daemon, run
from tests.support.servers import unused_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop

ANY = {"PORT": "1"}
GOOD = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}


def configure(folder: Path, shop: Shop, headers: str) -> None:
    (folder / "monitor.yml").write_text(
        "web: {listen: '127.0.0.1:${PORT}'}\n"
        "defaults: {every: 200ms, retry_every: 100ms, timeout: 150ms, failure_threshold: 2}\n"
        f"endpoints:\n  shop: {{url: {shop.url}/, headers: {headers}}}\n"
    )


def drift_of(status: dict[str, Any]) -> dict[str, Any]:
    """Give what the status says of the pinned headers."""
    (found,) = (one for one in status["checks"] if one["check"] == "shop.headers.drift")

    return dict(found)


async def test_drift_is_told_and_accepted_through_the_daemon(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop, "{policies: [nosniff], pin: true}")
    shop.headers = dict(GOOD)
    async with daemon(tmp_path) as running:
        early = await run("headers", "accept", "shopp", cwd=tmp_path, environ=ANY)
        async with asyncio.timeout(15):
            while True:
                nothing = await run("headers", "accept", "shop", cwd=tmp_path, environ=ANY)
                if "no headers are accepted yet" not in nothing.err:
                    break
        shop.headers["X-Frame-Options"] = "SAMEORIGIN"
        drifted = await running.until(lambda status: drift_of(status)["state"] == "fail")
        accepted = await run("headers", "accept", "shop", cwd=tmp_path, environ=ANY)
        await running.until(lambda status: drift_of(status)["state"] == "pass")
        tokenless, why = await running.post("/api/v1/headers", json={"endpoint": "shop"})

    (reason,) = drift_of(drifted)["reasons"]
    assert (early.code, "did you mean shop?" in early.err) == (2, True)
    assert nothing.out == "shop: accepted nothing: they are those that were accepted before\n"
    assert reason["message"] == (
        "header x-frame-options weakened: accepted was DENY, now SAMEORIGIN"
    )
    assert reason["result"] == "drift-weakened"
    assert [one["severity"] for one in drifted["incidents"]] == ["low"]
    assert accepted.out == "shop: accepted x-frame-options\n"
    assert (tokenless, "token" in why) == (403, True)


async def test_rounds_of_a_cron_job_learn_find_and_accept(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop, "{policies: [nosniff], pin: true}")
    shop.headers = dict(GOOD)
    once = ("--cycles", "1")
    first = await run(*once, cwd=tmp_path, environ=ANY)
    unknown = await run("headers", "accept", "shop", cwd=tmp_path, environ=ANY)
    second = await run(*once, cwd=tmp_path, environ=ANY)
    del shop.headers["X-Frame-Options"]
    third = await run(*once, cwd=tmp_path, environ=ANY)
    accepted = await run("headers", "accept", "shop", cwd=tmp_path, environ=ANY)
    fourth = await run(*once, cwd=tmp_path, environ=ANY)

    assert [one.code for one in (first, second, third, fourth)] == [0, 0, 1, 0]
    assert "no headers are accepted yet" in unknown.err
    assert "header x-frame-options vanished, accepted was DENY" in third.out
    assert accepted.out == "shop: accepted x-frame-options\n"
    assert "written to the store, for the next run" in accepted.err


async def test_headers_that_are_not_pinned_cannot_be_accepted(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop, "{policies: [nosniff]}")
    await run("--cycles", "1", cwd=tmp_path, environ=ANY)

    ended = await run("headers", "accept", "shop", cwd=tmp_path, environ=ANY)

    assert ended.code == 2
    assert "write pin: true under headers" in ended.err


async def test_a_probe_explains_each_policy_of_a_bundle(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop, "{policies: [observatory, {csp: {level: present}}], pin: true}")
    shop.headers = GOOD | {"Content-Security-Policy": "default-src *"}

    told = await run("probe", "shop", cwd=tmp_path, environ=ANY)
    found = (await run("probe", "shop", "--output", "json", cwd=tmp_path, environ=ANY)).json()

    policies = {one["policy"]: (one["result"], one["verdict"]) for one in found["policies"]}
    assert len(policies) == 10
    assert policies["csp"] == ("csp-implemented-with-unsafe-inline", "pass")
    assert policies["https-redirect"] == ("redirection-missing", "fail")
    assert policies["cors-no-credentialed-reflection"] == (
        "cross-origin-resource-sharing-not-implemented",
        "pass",
    )
    assert "https-redirect: plain HTTP is answered, not redirected, expected" in told.out
    assert "held against what a run accepted" in told.out


async def test_a_closed_port_80_is_no_failure_of_the_redirect(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(
        "endpoints:\n  plain:\n"
        f"    url: http://127.0.0.1:{unused_port()}/\n"
        "    health: false\n    headers: {policies: [https-redirect]}\n"
    )

    ended = await run("probe", "plain", cwd=tmp_path)

    assert ended.code == 0, ended.out
    assert "nobody listens for plain HTTP" in ended.out
