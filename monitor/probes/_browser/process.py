"""One process of Chromium and the driver that speaks with it: begun, asked for pages, ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Final

from monitor.logs import Log
from monitor.probes._http.explain import clean
from monitor.runner.program import inherit_environment

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, CDPSession, Page, Playwright

    from monitor.probes._browser.options import BrowserOptions

_TO_START: Final = 20.0
_TO_OPEN: Final = 10.0
_TO_CLOSE: Final = 2.0
_TO_ANSWER: Final = 1.0
_PAUSE: Final = 0.05
_PAUSES: Final = 20
_ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--max-old-space-size=512",
)
_log = Log()
_drivers: set[int] = set()


class Unready(Exception):
    """No page could be opened, which is no fault of what was to be looked at; the text says why."""


class Gone(Unready):
    """The browser had ended, which is noticed when something is asked of it."""


class Process:
    """A browser and its driver, a process of Playwright that ends it where we are gone."""

    def __init__(
        self, playwright: Playwright, browser: Browser, session: CDPSession, group: int
    ) -> None:
        self.group = group
        self.pages = 0
        self.open_pages = 0
        self._playwright = playwright
        self._browser = browser
        self._session = session
        self._driver = _parent_of(group)
        self._folders = _find_folders(group)
        self._killed = self._given_up = False
        _drivers.add(self._driver)

    @classmethod
    async def start(cls, program: str, mark: tuple[str, str]) -> Process:
        """Start both; raises Unready. `mark` is a variable by which the guard finds it.

        Two must not be started at once: whose driver is whose could not be told where one fails.
        """
        from playwright.async_api import async_playwright

        playwright: Playwright | None = None
        before = find_drivers()
        try:
            async with asyncio.timeout(_TO_START):
                playwright = await async_playwright().start()
                browser = await playwright.chromium.launch(
                    executable_path=program,
                    args=_ARGUMENTS,
                    env={
                        **inherit_environment(),
                        **{name: os.environ[name] for name in ("TMPDIR",) if name in os.environ},
                        "GSETTINGS_BACKEND": "memory",  # nothing is written at home
                        mark[0]: mark[1],
                    },
                    artifacts_dir=gettempdir(),  # nothing is recorded: no folder for it either
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                    timeout=_TO_START * 1000,
                )
                session = await browser.new_browser_cdp_session()
                told = await session.send("SystemInfo.getProcessInfo")
            pid = next(one["id"] for one in told["processInfo"] if one["type"] == "browser")
            return cls(playwright, browser, session, os.getpgid(pid))
        except BaseException as error:
            await _stop(playwright, find_drivers() - before - _drivers)
            if isinstance(error, TimeoutError):
                within = f"{_TO_START:.0f} s"
                raise Unready(f"the browser could not be started within {within}") from error
            if isinstance(error, Exception):  # Playwright's are of any type
                raise Unready(f"the browser could not be started: {_say(error)}") from error
            raise

    @property
    def alive(self) -> bool:
        """Whether the browser is still there."""
        return not self._given_up and self._browser.is_connected()

    async def open(self, options: BrowserOptions) -> tuple[BrowserContext, Page]:
        """Open a page with nothing from before; raises Unready. Each has to be closed."""
        from playwright.async_api import Error

        width, height = options.size
        agent = next(
            (
                value.reveal()
                for name, value in options.headers.items()
                if name.lower() == "user-agent"
            ),
            None,
        )
        self.pages += 1
        self.open_pages += 1
        context: BrowserContext | None = None
        try:
            async with asyncio.timeout(_TO_OPEN):
                context = await self._browser.new_context(
                    viewport={"width": width, "height": height},
                    ignore_https_errors=not options.verify,
                    accept_downloads=False,
                    service_workers="block",
                    user_agent=agent,
                )
                return context, await context.new_page()
        except BaseException as error:
            self.open_pages -= 1
            if isinstance(error, TimeoutError):
                self.kill()
                within = f"{_TO_OPEN:.0f} s"
                message = f"the browser opened no page within {within}, so it was ended"
                raise Unready(message) from error
            if context is not None:
                with suppress(Error):
                    await asyncio.shield(context.close())
            if isinstance(error, Error):
                self._given_up = True
                raise Gone(f"the browser opened no page: {_say(error)}") from error
            raise

    async def close(self, context: BrowserContext) -> None:
        """Close a page with all that belongs to it; a browser that cannot is ended."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(_TO_CLOSE):
                await context.close()
        except TimeoutError:
            self.kill()
        except Error:
            pass  # the browser is gone, and with it the page
        finally:
            self.open_pages -= 1

    async def answers(self) -> bool:
        """Say whether the browser itself still does something, whatever its pages do."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(_TO_ANSWER):
                await self._session.send("Browser.getVersion")
        except (TimeoutError, Error):
            return False

        return True

    def kill(self) -> None:
        """End the browser at once, with all its processes."""
        self._given_up = True
        if self._browser.is_connected() and not self._killed:
            _log.warning("browser_killed", group=self.group)
            self._killed = True
            with suppress(ProcessLookupError):
                os.killpg(self.group, signal.SIGKILL)

    async def end(self) -> None:
        """End both, which may be gone; what does not end by itself is killed."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(_TO_CLOSE):
                await self._browser.close()
        except TimeoutError:
            self.kill()
        except Error:
            pass
        await _stop(self._playwright, {self._driver})
        _drivers.discard(self._driver)
        for folder in self._folders:  # left only where something was killed
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _stop(playwright: Playwright | None, drivers: set[int]) -> None:
    """Stop the driver, which ends its browser; one that does not listen is killed."""
    if playwright is not None:
        with suppress(Exception):
            async with asyncio.timeout(_TO_CLOSE):
                await playwright.stop()
    for _ in range(_PAUSES):
        if drivers & find_drivers():  # it tidies up
            await asyncio.sleep(_PAUSE)
    for pid in drivers & find_drivers():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def find_drivers() -> set[int]:
    """Give the processes of Playwright's driver that this one has begun."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or _parent_of(int(entry.name)) != os.getpid():
            continue
        with suppress(OSError):
            if "/playwright/driver/" in str((entry / "exe").readlink()):
                found.add(int(entry.name))

    return found


def _find_folders(pid: int) -> tuple[Path, ...]:
    """Give the private folders of a browser: its profile, and where its socket is."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ()

    named = b"--user-data-dir="
    profile = next(
        (os.fsdecode(one[len(named) :]) for one in arguments if one.startswith(named)), ""
    )
    if "/playwright_" not in profile:
        return ()

    folders = [Path(profile)]
    with suppress(OSError):
        socket = (folders[0] / "SingletonSocket").readlink()
        folders += [socket.parent] if "Chrom" in socket.parent.name else []

    return tuple(folders)


def _parent_of(pid: int) -> int:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0

    return int(state.rpartition(")")[2].split()[1])


def _say(error: Exception) -> str:
    """Give the first line of what Playwright says, without the name of its method."""
    line = str(error).strip().partition("\n")[0]
    method, colon, rest = line.partition(": ")

    return clean(rest if colon and "." in method and " " not in method else line)
