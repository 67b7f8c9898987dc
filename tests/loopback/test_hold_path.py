"""The files that a hold enters, in the control process and in the media process of a live server.

docs/design.md §8 has the list of those that decide, and the limits with the reason of each change. Two phones talk in
a conference; what the server enters while they only talk is taken off.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import holdfast
from holdfast.testing.audio.music import HOLD_MUSIC_MP3
from holdfast.testing.file_server import FileServer
from holdfast.testing.server import Server
from tests.loopback.shared_server import PASSWORD
from tests.loopback.test_holds import MEETING, ROOM, hears_other_music, talking
from tests.loopback.test_serve import children, until

pytestmark = pytest.mark.timeout(120)

PACKAGE = Path(holdfast.__file__).parent
TRACER = Path(__file__).parent / "entered_files"
IDLE_S = 6.0
"""Longer than the five seconds between two reports of the media process about its legs."""
DESIGN = (PACKAGE.parent / "docs" / "design.md").read_text("utf-8")
DECISION_PATH = re.findall(
    r"^\| `([\w/.]+)` \|", DESIGN.partition("decision path -->")[2].partition("<!-- end")[0], re.MULTILINE
)
MOST_DECIDING = 12
LIMITS = {
    "POST …/Participants/{CallSid}": 40,
    "POST …/Participants/{CallSid} with HoldUrl": 40,
    "POST /holds": 55,
    "POST /holds with music": 55,
}


class Trace:
    """Trace the control process and the media process of a server."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._folder = folder
        self._pids = children(server.pid)
        assert set(self._pids) == {"control", "media"}

    async def of(self, doing: Callable[[], Awaitable[object]]) -> list[str]:
        """Return the files that are entered while this runs, in the order of their first entry."""
        await self._signal(signal.SIGUSR1, "begun")
        await doing()
        await self._signal(signal.SIGUSR2, "entered")
        found: list[tuple[float, str]] = []
        for process, pid in self._pids.items():
            file = self._folder / f"{pid}.entered"
            for line in file.read_text().splitlines():
                at, _, name = line.partition(" ")
                found.append((float(at), f"{process} {Path(name).relative_to(PACKAGE)}"))
            file.unlink()
            (self._folder / f"{pid}.begun").unlink()
        return [name for _, name in sorted(found)]

    async def _signal(self, number: signal.Signals, answer: str) -> None:
        for pid in self._pids.values():
            os.kill(pid, number)
        await until(lambda: all((self._folder / f"{pid}.{answer}").exists() for pid in self._pids.values()))


@pytest.mark.anyio
async def test_a_hold_enters_few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TRACER), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHON_ENTERED_FILES", str(tmp_path))
    with FileServer(HOLD_MUSIC_MP3) as files:
        files.put("room.xml", ROOM)
        async with (
            Server(lines={"alice": PASSWORD, "bob": PASSWORD}) as server,
            talking(server, files, number=MEETING) as talk,
        ):
            music = files.url(HOLD_MUSIC_MP3.name)
            account = server.sdk().api.v2010.accounts(server.account_sid)
            (conference,) = await asyncio.to_thread(account.conferences.list, status="in-progress")
            participant = account.conferences(conference.sid).participants(talk.bob_call)

            async def hold_by_participant() -> None:
                await asyncio.to_thread(participant.update, hold=True)
                await hears_other_music(talk.bob, "alice")

            async def hold_with_url() -> None:
                await asyncio.to_thread(participant.update, hold=True, hold_url=music, hold_method="GET")
                await talk.hear(alice="silence", bob="hold music")

            async def hold_by_post() -> None:
                held.append((await talk.hold(talk.bob_call))["id"])
                await hears_other_music(talk.bob, "alice")

            async def hold_by_post_with_music() -> None:
                held.append((await talk.hold(talk.bob_call, music=music))["id"])
                await talk.hear(alice="silence", bob="hold music")

            async def resume_by_participant() -> None:
                await asyncio.to_thread(participant.update, hold=False)
                await talk.hear(alice="bob", bob="alice")

            async def resume_by_post() -> None:
                await talk.resume(held.pop())
                await talk.hear(alice="bob", bob="alice")

            held: list[str] = []
            trace = Trace(server, tmp_path)
            idle: set[str] = set()
            walks: dict[str, list[str]] = {}
            # The second of each is traced: then sounds and documents are cached, and connections are open.
            for name, hold, resume in (
                ("POST …/Participants/{CallSid}", hold_by_participant, resume_by_participant),
                ("POST …/Participants/{CallSid} with HoldUrl", hold_with_url, resume_by_participant),
                ("POST /holds", hold_by_post, resume_by_post),
                ("POST /holds with music", hold_by_post_with_music, resume_by_post),
            ):
                await hold()
                await resume()
                idle = idle or set(await trace.of(lambda: asyncio.sleep(IDLE_S)))
                walks[name] = [file for file in await trace.of(hold) if file not in idle]
                await resume()
    print("\nentered while idle", *sorted(idle), sep="\n  ")
    for name, walk in walks.items():
        print(f"\n{name}: {len(walk)} files", *walk, sep="\n  ")
        assert any(file.startswith("media ") for file in walk)
    entered = {file.partition(" ")[2] for file in (*idle, *walks["POST /holds"])}
    assert [file for file in DECISION_PATH if file not in entered] == []
    assert {name: len(walk) for name, walk in walks.items() if len(walk) > LIMITS[name]} == {}


def test_few_files_decide_about_a_hold() -> None:
    assert 0 < len(DECISION_PATH) <= MOST_DECIDING
    assert [file for file in DECISION_PATH if not (PACKAGE / file).is_file()] == []
