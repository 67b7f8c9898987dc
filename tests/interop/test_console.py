"""The console in a real browser, with two phones on the line: what a person sees and does, and who hears it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from tests.interop.browser import Page, browser
from tests.loopback.shared_server import client

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

NUMBER = "+15550100"
ROOM = "<img src=x onerror=window.robbed=1>"
TALK = f'<Response><Dial><Conference waitUrl="" beep="false">{escape(ROOM)}</Conference></Dial></Response>'
CALLER = "[...document.querySelectorAll('.party')].find(p => p.querySelector('.name').textContent === '{}')"


def says(name: str, selector: str, words: str) -> str:
    """Whether a caller's part of a name shows these words."""
    return f"{CALLER.format(name)}?.querySelector('{selector}').textContent.includes('{words}')"


@asynccontextmanager
async def console(folder: Path) -> AsyncIterator[tuple[Server, Page, Phone, Phone]]:
    """Alice and Bob talk in a conference, and the console shows it."""
    with FileServer() as files:
        async with (
            Server(numbers={NUMBER: files.put("talk.xml", TALK)}) as server,
            browser(folder) as page,
            Phone("alice", server=server.sip) as alice,
            Phone("bob", server=server.sip) as bob,
        ):
            await page.open(server.console_link())
            await page.until("document.getElementById('link-text').textContent === 'live'")
            assert not await page.value("document.getElementById('no-calls').hidden")
            for phone in (alice, bob):
                await (await phone.call(NUMBER)).answered()
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            for name, other in (("alice", "bob"), ("bob", "alice")):
                await page.until(says(name, ".heard", f"hears {other}"))
            yield server, page, alice, bob


async def test_a_person_holds_and_resumes_by_mouse_and_by_keys(tmp_path: Path) -> None:
    async with console(tmp_path) as (_, page, alice, bob):
        alices = await page.value(f"{CALLER.format('alice')}.dataset.call")
        await page.click(f"[data-call={alices}] .hold")
        await asyncio.gather(alice.hears("unknown", within_s=15), bob.hears("silence", within_s=15))
        await page.until(says("alice", ".heard", "hears music"))
        await page.until(says("alice", ".detail", "by console"))
        await page.until("document.title === '(1 held) Holdfast'")
        await page.until("document.getElementById('announcement').textContent === 'alice is on hold'")
        await page.click(f"[data-call={alices}] .resume")
        await asyncio.gather(alice.hears("bob", within_s=15), bob.hears("alice", within_s=15))

        await page.until(says("alice", ".heard", "hears bob"))
        await page.value(f"{CALLER.format('alice')}.focus()")
        names = await page.value("[...document.querySelectorAll('.party .name')].map(e => e.textContent)")
        await page.press("ArrowDown" if names == ["alice", "bob"] else "k")
        assert await page.value("document.activeElement.querySelector('.name').textContent") == "bob"
        await page.press("h")
        await asyncio.gather(alice.hears("silence", within_s=15), bob.hears("unknown", within_s=15))
        await page.until(says("bob", ".heard", "hears music"))
        await page.press("r")
        await asyncio.gather(alice.hears("bob", within_s=15), bob.hears("alice", within_s=15))


async def test_the_page_shows_changes_of_others_and_runs_no_text_as_code(tmp_path: Path) -> None:
    async with console(tmp_path) as (server, page, alice, bob):
        assert await page.value("document.querySelector('.conversation h2').textContent") == f"Conference {ROOM}"
        assert await page.value("typeof window.robbed") == "undefined"
        # What the page hears by itself is stopped: only an event can tell it now.
        await page.value("(() => { for (let timer = 0; timer < 1000; timer++) clearInterval(timer); return true; })()")
        api = client(server)
        alices = await page.value(f"{CALLER.format('alice')}.dataset.call")
        hold = await asyncio.to_thread(api.post, "/holds", {"call": alices, "by": "the night shift"})
        await page.until(says("alice", ".detail", "by the night shift"))
        await asyncio.to_thread(api.post, f"/holds/{hold['id']}/resume", None)
        await page.until(says("alice", ".heard", "hears bob"))

        await page.open(server.url)  # this tab stays signed in
        assert alice.call_now is not None
        await alice.call_now.hang_up()
        await page.until(f"{CALLER.format('bob')} && !{CALLER.format('alice')}")
        assert bob.call_now is not None
        await bob.call_now.hang_up()
        await page.until("!document.getElementById('no-calls').hidden")
