"""The holds service works with the real engine: conference and two legs, heard by the phones."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from holdfast.cli.client import Client, ServerRefused
from holdfast.cli.server.http_server import http_server
from holdfast.holds import Account, AccountUnreachable, BadInput, Hold, Holds
from holdfast.holds.web.app import make_web
from holdfast.store.database import open_database
from holdfast.store.hold_store import SqlHolds
from holdfast.testing.audio.music import HOLD_MUSIC_MP3, SECOND_MUSIC_MP3
from holdfast.testing.clock import now_s
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import HOST, Server, free_port
from tests.loopback.shared_server import PASSWORD, answers, client
from tests.loopback.test_serve import alive, children, until

pytestmark = pytest.mark.anyio

MEETING, SUPPORT = "+15550100", "+15550101"
ROOM = '<Response><Dial><Conference waitUrl="" beep="false">room</Conference></Dial></Response>'


@pytest.fixture
def files() -> Iterator[FileServer]:
    with FileServer(HOLD_MUSIC_MP3, SECOND_MUSIC_MP3) as files:
        files.put("room.xml", ROOM)
        yield files


@dataclass(frozen=True, kw_only=True)
class Talk:
    """Alice and Bob talk; the JSON API holds them. `bob_call` is the child of Alice's, by legs."""

    server: Server
    api: Client
    alice: Phone
    bob: Phone
    alice_call: str
    bob_call: str

    async def post(self, path: str, **body: object) -> Any:
        return await asyncio.to_thread(self.api.post, path, body)

    async def get(self, path: str) -> Any:
        return await asyncio.to_thread(self.api.get, path)

    async def hold(self, call: str, **more: object) -> Any:
        return await self.post("/holds", call=call, **more)

    async def resume(self, hold: str) -> Any:
        return await self.post(f"/holds/{hold}/resume")

    async def hear(self, *, alice: str, bob: str) -> None:
        await asyncio.gather(self.alice.hears(alice, within_s=15.0), self.bob.hears(bob, within_s=15.0))


@asynccontextmanager
async def talking(
    server: Server, files: FileServer, *, number: str, support_url: str | None = None
) -> AsyncIterator[Talk]:
    """Let two phones talk: in a conference, or by a Dial whose document the holds service gave."""
    api = client(server)
    async with (
        Phone("alice", server=server.sip) as alice,
        Phone("bob", server=server.sip, user="bob", password=PASSWORD) as bob,
    ):
        url = support_url or f"{server.url}/twiml/dial?to={quote('client:bob')}"
        await answers(server, SUPPORT, url)
        await answers(server, MEETING, files.url("room.xml"))
        await bob.register()
        await (await alice.call(number)).answered()
        if number == MEETING:
            await (await bob.call(MEETING)).answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        listed = (await asyncio.to_thread(api.get, "/calls"))["calls"]
        alice_call = next(call["sid"] for call in listed if "alice" in call["from"] and call["parent"] is None)
        bob_call = next(call["sid"] for call in listed if call["sid"] != alice_call)
        yield Talk(server=server, api=api, alice=alice, bob=bob, alice_call=alice_call, bob_call=bob_call)


async def hears_other_music(phone: Phone, *not_this: str) -> None:
    """Wait until this phone hears something that is neither silence nor one of these: the built-in music."""

    def heard() -> bool:
        now = phone.ear.now(now_s())
        return bool(now) and now.isdisjoint({"silence", "no packets", *not_this})

    await until(heard)


async def history(talk: Talk, hold: str) -> list[str]:
    """Return the history of a hold, as a watcher that connects late receives it."""

    def read() -> list[str]:
        kinds: list[str] = []
        with talk.api.events("/events?after=0") as events:
            for event in events:
                if event["hold"] == hold:
                    kinds.append(event["kind"])
                    if event["status"] in ("resumed", "call-ended", "gone", "refused", "failed"):
                        return kinds
        raise AssertionError("the stream ended")

    async with asyncio.timeout(15.0):
        return await asyncio.to_thread(read)


async def test_a_conference_held_resumed_and_held_with_other_music(server: Server, files: FileServer) -> None:
    async with talking(server, files, number=MEETING) as talk:
        first = await talk.hold(talk.alice_call, by="bob", reason="a question", music=files.url(HOLD_MUSIC_MP3.name))
        assert (first["status"], first["way"], first["by"]) == ("held", "conference", "bob")
        await talk.hear(alice="hold music", bob="silence")
        assert (await talk.hold(talk.alice_call))["id"] == first["id"]
        assert (await talk.resume(first["id"]))["status"] == "resumed"
        await talk.hear(alice="bob", bob="alice")
        assert (await talk.resume(first["id"]))["status"] == "resumed"

        second = await talk.hold(talk.alice_call, music=files.url(SECOND_MUSIC_MP3.name))
        await talk.hear(alice="second music", bob="silence")
        both = await talk.hold(talk.bob_call, music=files.url(HOLD_MUSIC_MP3.name))
        await talk.hear(alice="second music", bob="hold music")
        await talk.resume(second["id"])
        await talk.hear(alice="silence", bob="hold music")
        await talk.resume(both["call"])
        await talk.hear(alice="bob", bob="alice")
        assert await history(talk, first["id"]) == ["asked", "holding", "held", "resuming", "resumed"]

        last = await talk.hold(talk.alice_call)
        assert talk.alice.call_now is not None
        await talk.alice.call_now.hang_up()
        assert (await talk.resume(last["id"]))["status"] == "call-ended"
        with pytest.raises(ServerRefused) as refused:
            await talk.hold(talk.alice_call)
        assert refused.value.http_status == 409
        await talk.bob.hears("silence")


async def test_one_leg_and_both_legs_are_held_with_other_music(server: Server, files: FileServer) -> None:
    async with talking(server, files, number=SUPPORT) as talk:
        parent = await talk.hold(talk.alice_call, music=files.url(HOLD_MUSIC_MP3.name))
        assert (parent["status"], parent["way"]) == ("held", "legs")
        await talk.hear(alice="hold music", bob="silence")
        child = await talk.hold(talk.bob_call, music=files.url(SECOND_MUSIC_MP3.name))
        await talk.hear(alice="hold music", bob="second music")
        assert (await talk.resume(parent["id"]))["status"] == "resumed"
        await talk.hear(alice="silence", bob="second music")
        assert (await talk.resume(child["id"]))["status"] == "resumed"
        await talk.hear(alice="bob", bob="alice")

        again = await talk.hold(talk.bob_call, music=files.url(HOLD_MUSIC_MP3.name))
        await talk.hear(alice="silence", bob="hold music")
        assert (await talk.hold(talk.bob_call))["id"] == again["id"]
        assert talk.alice.call_now is not None
        await talk.alice.call_now.hang_up()
        assert talk.bob.call_now is not None
        await talk.bob.call_now.over(within_s=15.0)
        assert (await history(talk, again["id"]))[-1] == "call-ended"
        assert (await talk.get("/calls")) == {"calls": []}


async def test_the_held_leg_hangs_up_and_the_other_is_not_left_in_silence(server: Server, files: FileServer) -> None:
    async with talking(server, files, number=SUPPORT) as talk:
        hold = await talk.hold(talk.bob_call)
        await hears_other_music(talk.bob, "alice")
        assert talk.bob.call_now is not None
        await talk.bob.call_now.hang_up()
        assert talk.alice.call_now is not None
        await talk.alice.call_now.over(within_s=15.0)
        assert (await history(talk, hold["id"]))[-1] == "call-ended"


@pytest.mark.parametrize("number", [MEETING, SUPPORT], ids=["conference", "legs"])
async def test_music_that_is_gone_leaves_the_party_held_with_other_music(
    server: Server, files: FileServer, number: str
) -> None:
    async with talking(server, files, number=number) as talk:
        hold = await talk.hold(talk.alice_call, music=files.url("gone.mp3"))
        assert hold["status"] == "held"
        await asyncio.gather(hears_other_music(talk.alice, "bob"), talk.bob.hears("silence"))
        assert (await talk.get(f"/holds/{hold['id']}"))["status"] == "held"
        await talk.resume(hold["id"])
        await talk.hear(alice="bob", bob="alice")


async def test_control_killed_in_the_middle_of_a_hold_ends_the_hold_and_keeps_its_record(files: FileServer) -> None:
    async with Server(lines={"bob": PASSWORD}) as server, talking(server, files, number=MEETING) as talk:
        hold = await talk.hold(talk.alice_call, by="bob")
        control = children(talk.server.pid)["control"]
        os.kill(control, signal.SIGKILL)
        await until(lambda: children(talk.server.pid).get("control", control) != control)
        await until(lambda: talk.server.log().count("Holdfast is ready") == 2)
        ended = await talk.resume(hold["id"])
        assert (ended["status"], ended["by"]) == ("call-ended", "bob")
        assert await talk.get("/calls") == {"calls": []}


async def kept(store: Path) -> list[Hold]:
    """Return the holds in a store whose server has ended, oldest first."""
    async with open_database(store) as database:
        return list(reversed(await (await SqlHolds.open(database)).holds()))


@pytest.mark.parametrize("number", [MEETING, SUPPORT], ids=["conference", "legs"])
async def test_a_clean_stop_ends_holds_with_the_time_of_the_stop(
    files: FileServer, number: str, tmp_path: Path
) -> None:
    store = tmp_path / "serve.db"
    settings = {"store": f"sqlite:///{store}"}
    async with (
        Server(lines={"bob": PASSWORD}, settings=settings) as server,
        talking(server, files, number=number) as talk,
    ):
        before = await talk.hold(talk.alice_call)
        await talk.resume(before["id"])
        held = [await talk.hold(call) for call in (talk.alice_call, talk.bob_call)]
        await talk.bob.unregister()
        asked_to_stop = time.time()
        os.kill(server.pid, signal.SIGTERM)
        await until(lambda: not alive(server.pid))
        stopped = time.time()
    first, *both = await kept(store)
    assert (first.id, first.status) == (before["id"], "resumed")
    assert [hold.id for hold in both] == [hold["id"] for hold in held]
    for hold in both:
        assert hold.status == "call-ended"
        assert hold.ended_at is not None
        assert asked_to_stop - 1 <= hold.ended_at <= stopped + 1
    async with open_database(store) as database:
        assert await (await SqlHolds.open(database)).pairs() == []


async def test_holds_of_a_program_of_its_own_stay_with_it_when_the_server_stops(
    files: FileServer, tmp_path: Path
) -> None:
    """Its account may be another one, or return: it reports the outcome once it can read it."""
    own = tmp_path / "own.db"
    async with Server(lines={"bob": PASSWORD}) as server, talking(server, files, number=MEETING) as talk:
        account = Account.engine(url=server.url, sid=server.account_sid, token=server.auth_token)
        async with open_database(own) as database:
            beside = Holds(account, store=await SqlHolds.open(database))
            hold = await beside.hold(talk.alice_call, by="a program beside it")
            await talk.bob.unregister()
            os.kill(server.pid, signal.SIGTERM)
            await until(lambda: not alive(server.pid))
            with pytest.raises(AccountUnreachable):
                await beside.check()
            assert (await beside.get(hold.id)).status == "held"
    assert [hold.status for hold in await kept(own)] == ["held"]


class Service:
    """A service runs beside the engine, as an application has it: it can be stopped and started."""

    def __init__(self, server: Server, *, port: int, store: Path) -> None:
        self._server = server
        self._port = port
        self._store = store

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Holds]:
        """Run the service."""
        sid, token = self._server.account_sid, self._server.auth_token
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(open_database(self._store))
            account = Account.engine(url=self._server.url, sid=sid, token=token)
            holds = Holds(account, store=await SqlHolds.open(database), public_url=f"http://{HOST}:{self._port}")
            await stack.enter_async_context(holds)
            web = http_server(make_web(holds))
            listener = stack.enter_context(socket.create_server((HOST, self._port)))
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            tasks.create_task(web.serve(sockets=[listener]), name="http")
            stack.callback(setattr, web, "should_exit", True)
            await web.ready.wait()
            yield holds


@pytest.mark.parametrize("number", [MEETING, SUPPORT], ids=["conference", "legs"])
async def test_a_restarted_service_continues_its_holds(
    server: Server, files: FileServer, number: str, tmp_path: Path
) -> None:
    port = free_port(socket.SOCK_STREAM)
    url = files.put("dial.xml", dial_document(f"http://{HOST}:{port}/twiml/continue"))
    async with talking(server, files, number=number, support_url=url) as talk:
        service = Service(talk.server, port=port, store=tmp_path / "holds.db")
        async with service.running() as holds:
            if number == SUPPORT:
                await holds.adopt(talk.alice_call)
            held = await holds.hold(talk.bob_call, by="alice", music=files.url(HOLD_MUSIC_MP3.name))
            await talk.hear(alice="silence", bob="hold music")
        async with service.running() as holds:
            (found,) = await holds.list(active_only=True)
            assert found == held
            assert (await holds.hold(talk.bob_call)).id == held.id
            assert (await holds.resume(held)).status == "resumed"
            await talk.hear(alice="bob", bob="alice")
            again = await holds.hold(talk.alice_call)
            await asyncio.gather(hears_other_music(talk.alice, "bob"), talk.bob.hears("silence"))
        async with service.running() as holds:
            assert (await holds.resume(again.id)).status == "resumed"
            await talk.hear(alice="bob", bob="alice")
            assert talk.bob.call_now is not None
            await talk.bob.call_now.hang_up()


HOLDS_AND_ENDS = """
import asyncio, sys
from holdfast import Account, Holds

async def main() -> None:
    hold = await Holds(Account.engine(url=sys.argv[1], sid=sys.argv[2], token=sys.argv[3])).hold(sys.argv[4], by="bob")
    print(hold.status)

asyncio.run(main())
"""


async def test_another_program_resumes_a_held_call_by_its_sid(server: Server, files: FileServer) -> None:
    account = (server.url, server.account_sid, server.auth_token)
    async with talking(server, files, number=MEETING) as talk:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", HOLDS_AND_ENDS, *account, talk.alice_call), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(program.communicate(), 30)
        assert output.decode().split() == ["held"]
        await talk.bob.hears("silence")
        there = Holds(Account.engine(url=account[0], sid=account[1], token=account[2]))
        assert (await there.resume(talk.alice_call)).status == "resumed"
        await talk.hear(alice="bob", bob="alice")
        with pytest.raises(BadInput, match="not on hold"):
            await there.resume(talk.bob_call)


async def test_another_service_resumes_and_holds_a_leg(server: Server, files: FileServer, tmp_path: Path) -> None:
    ports = [free_port(socket.SOCK_STREAM) for _ in range(2)]
    url = files.put("dial.xml", dial_document(f"http://{HOST}:{ports[0]}/twiml/continue"))
    async with (
        talking(server, files, number=SUPPORT, support_url=url) as talk,
        Service(server, port=ports[0], store=tmp_path / "one.db").running() as one,
        Service(server, port=ports[1], store=tmp_path / "two.db").running() as two,
    ):
        await one.adopt(talk.alice_call)
        held = await one.hold(talk.bob_call, music=files.url(HOLD_MUSIC_MP3.name))
        await talk.hear(alice="silence", bob="hold music")
        assert (await two.resume(talk.bob_call)).status == "resumed"
        await talk.hear(alice="bob", bob="alice")
        for _ in range(3):
            await one.check()
        assert (await one.get(held.id)).status == "resumed"
        again = await two.hold(talk.alice_call, music=files.url(SECOND_MUSIC_MP3.name))
        await talk.hear(alice="second music", bob="silence")
        assert (await two.resume(again)).status == "resumed"
        await talk.hear(alice="bob", bob="alice")
        assert talk.bob.call_now is not None
        await talk.bob.call_now.hang_up()


def dial_document(action: str) -> str:
    """Return a Dial of an application whose continuation is ours."""
    return f'<Response><Dial action="{action}"><Client>bob</Client></Dial></Response>'
