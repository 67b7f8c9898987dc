"""A server whose store is locked, damaged or removed still takes calls, holds them, resumes them and ends them.

The lock is that of a second connection to the file. What is awaited here happens while it lasts.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

import pytest

from holdfast.cli.client import ServerRefused
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from tests.loopback.shared_server import PASSWORD
from tests.loopback.test_holds import MEETING, ROOM, Talk, talking
from tests.loopback.test_serve import children, readiness, until

pytestmark = pytest.mark.anyio


@contextmanager
def locked(server: Server) -> Iterator[None]:
    with closing(sqlite3.connect(server.store, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def conversation() -> AsyncIterator[Talk]:
    """Let Alice and Bob talk in a conference, at a server of their own."""
    with FileServer() as files:
        files.put("room.xml", ROOM)
        async with (
            Server(lines={"bob": PASSWORD}) as server,
            talking(server, files, number=MEETING) as talk,
        ):
            yield talk
            assert "Traceback" not in server.log()


async def test_calls_continue_while_the_store_is_locked_and_all_of_it_is_written_afterwards() -> None:
    async with conversation() as talk, Phone("carol", server=talk.server.sip) as carol:
        server = talk.server
        with locked(server):
            second = await carol.call(MEETING)
            await second.answered()
            await carol.hears("alice", "bob")
            hold = await talk.hold(talk.alice_call)
            assert hold["status"] == "held", "it is late, and not in trouble yet"
            await carol.hears("bob")
            await until(lambda: readiness(server) != "ready")
            assert "another program keeps it locked" in readiness(server)
            with pytest.raises(ServerRefused, match="the store failed") as refused:
                await talk.hold(talk.bob_call)
            assert refused.value.http_status == 503
            assert (await talk.resume(hold["id"]))["status"] == "resumed"
            await asyncio.gather(carol.hears("alice", "bob"), talk.alice.hears("bob", "carol"))
            assert (await talk.get(f"/holds/{hold['id']}"))["status"] == "resumed"
            assert talk.bob.call_now is not None
            await talk.bob.call_now.hang_up()
            await asyncio.gather(carol.hears("alice"), talk.alice.hears("carol"))
            await asyncio.to_thread(server.sdk().calls(talk.alice_call).update, status="completed")
            await until(lambda: talk.alice.call_now is None)
        await until(lambda: readiness(server) == "ready")
        assert "and are written later, in order" in server.log()
        assert "the store accepts writes again" in server.log()

        def kept() -> bool:
            with closing(sqlite3.connect(server.store)) as store:
                kinds = store.execute("SELECT kind FROM hold_events ORDER BY id").fetchall()
                over = store.execute("SELECT count(*) FROM snapshots WHERE over_at IS NOT NULL").fetchone()
            return kinds == [("asked",), ("holding",), ("held",), ("resuming",), ("resumed",)] and over == (2,)

        await until(kept)
        assert (await talk.hold(await carols_call(talk)))["status"] == "held"


async def carols_call(talk: Talk) -> str:
    [call] = [call for call in (await talk.get("/calls"))["calls"] if "carol" in call["from"]]
    return str(call["sid"])


async def test_a_row_that_was_damaged_does_not_keep_control_from_starting() -> None:
    async with conversation() as talk:
        server = talk.server
        hold = await talk.hold(talk.alice_call)
        with closing(sqlite3.connect(server.store)) as store, store:
            changed = store.execute("UPDATE snapshots SET data = substr(data, 2) WHERE sid = ?", (talk.bob_call,))
            assert changed.rowcount == 1
            store.execute("UPDATE holds SET record = 'x'")
        before = children(server.pid)["control"]
        os.kill(before, signal.SIGKILL)
        await until(lambda: children(server.pid).get("control", before) != before)
        await until(lambda: up(server))
        assert readiness(server) == "ready"
        for lost in (f"call {talk.bob_call}", f"the hold {hold['id']}"):
            assert f"the store could not read {lost}" in server.log()
        assert "2 rows were set aside, whole; look at them by: sqlite3 " in server.log()


def up(server: Server) -> bool:
    try:
        return readiness(server) == "ready"
    except OSError:
        return False


async def test_a_file_that_was_removed_is_noticed_and_calls_continue() -> None:
    async with conversation() as talk:
        server = talk.server
        hold = await talk.hold(talk.alice_call)
        server.store.unlink()
        await until(lambda: readiness(server) != "ready")
        assert "was removed or moved away while it was open" in readiness(server)
        assert "Stop Holdfast, put the file you want in its place" in server.log()
        with pytest.raises(ServerRefused, match="was removed"):
            await talk.hold(talk.bob_call)
        assert (await talk.resume(hold["id"]))["status"] == "resumed"
        await talk.hear(alice="bob", bob="alice")
