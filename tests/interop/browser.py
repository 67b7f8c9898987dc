"""A browser without a window, driven by its own debugging protocol: what a person sees, clicks and types.

Source: Chrome DevTools Protocol, domains Page, Runtime and Input.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from tests.interop.programs import program

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=900,900",
)
WITHIN_S = 30.0


class Page:
    """One open page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)

    async def _ask(self, method: str, **params: object) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async for message in self._socket:
            told = json.loads(message.data)
            if told.get("id") == number:
                assert "error" not in told, told["error"]
                return told["result"]
        raise AssertionError("the browser closed the connection")

    async def open(self, url: str) -> None:
        """Go to an address."""
        await self._ask("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression is worth in the page."""
        told = await self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, expression: str, *, within_s: float = WITHIN_S) -> None:
        """Wait until an expression is true."""
        try:
            async with asyncio.timeout(within_s):
                while not await self.value(expression):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            text = await self.value("document.body.innerText")
            raise AssertionError(f"never came true: {expression}\nThe page says:\n{text}") from None

    async def picture(self, file: Path) -> None:
        """Take a picture of what is seen, as a PNG."""
        file.write_bytes(base64.b64decode((await self._ask("Page.captureScreenshot", format="png"))["data"]))

    async def click(self, selector: str) -> None:
        """Press the mouse on the first element that a selector finds: what lies over it gets the click."""
        box = await self.value(
            f"(e => {{ e.scrollIntoView(); const b = e.getBoundingClientRect();"
            f" return [b.x + b.width / 2, b.y + b.height / 2]; }})(document.querySelector({json.dumps(selector)}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self._ask("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def press(self, key: str) -> None:
        """Press a key: a letter, or a name such as ArrowDown or Tab."""
        text = {"text": key} if len(key) == 1 else {}
        await self._ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        await self._ask("Input.dispatchKeyEvent", type="keyUp", key=key)


@asynccontextmanager
async def browser(folder: Path, *switches: str) -> AsyncIterator[Page]:
    """A browser with a profile of its own in this folder, and its one page; `switches` are Chromium's own."""
    process = await asyncio.create_subprocess_exec(
        *(program("chromium"), *SWITCHES, *switches, f"--user-data-dir={folder}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            port = await _port(folder / "DevToolsActivePort")
            list_of_pages = f"http://127.0.0.1:{port}/json/list"
            async with aiohttp.ClientSession() as session, session.get(list_of_pages) as answer:
                address = next(each["webSocketDebuggerUrl"] for each in await answer.json() if each["type"] == "page")
        async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        await process.wait()


async def _port(told: Path) -> int:
    """Where the browser listens, once it says so."""
    while not (told.exists() and told.read_text().strip()):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return int(told.read_text().split()[0])
