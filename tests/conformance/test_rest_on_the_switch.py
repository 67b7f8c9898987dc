"""The REST API on the real switch and its machines: commands take effect, or are refused as the reference says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from fastapi import FastAPI

from holdfast.voice.api.app import make_api
from holdfast.voice.model.commands import (
    Instruction,
    ReceiveCall,
    Target,
)
from holdfast.voice.model.effects import (
    Effect,
    FetchDocument,
    HangUpLeg,
    MediaEffect,
    PlaceLeg,
    PlaySound,
    PostCallback,
    RouteAudio,
    Seat,
)
from holdfast.voice.model.facts import DocumentFetched, LegAnswered, LegEnded, LegRinging
from holdfast.voice.model.ids import CallSid, RoomSid
from holdfast.voice.runtime.notification_log import Notifications
from holdfast.voice.runtime.quality_reports import Quality
from holdfast.voice.runtime.switch import Switch
from tests.conformance import facts
from tests.conformance.engine import (
    ACCOUNT,
    ALSO_OURS,
    NOON,
    OURS,
    TOKEN,
    Engine,
    KeptWebEffects,
    MemoryStore,
    new_messages,
    open_directory,
)
from tests.conformance.rest_client import MemoryJournal, RestApi
from tests.engine_ports import KeptEffects, make_mailbox

MUSIC = "http://127.0.0.1:9/music.mp3"


class Live:
    """A switch that executes nothing, with a REST API."""

    def __init__(self, switch: Switch, api: RestApi, sounds: list[MediaEffect], effects: list[Effect]) -> None:
        self.switch = switch
        self.api = api
        self.sounds = sounds
        self.effects = effects
        self._serial = 0

    async def caller(self, twiml: str) -> CallSid:
        """Let a phone call in and run this document."""
        self._serial += 1
        sid = CallSid(f"CA{self._serial:032x}")
        command = ReceiveCall(
            call=sid, account=ACCOUNT, from_="+15550100009", to=OURS, instruction=Instruction(twiml=twiml)
        )
        await self.switch.execute(command)
        return sid

    async def in_conference(self, name: str = "desk") -> CallSid:
        """Add a caller to a conference."""
        return await self.caller(f"<Response><Dial><Conference>{name}</Conference></Dial></Response>")

    async def conference(self, name: str = "desk") -> str:
        """Return the SID of the active conference of that name."""
        rows = (await self.api.get("/Conferences.json", f"FriendlyName={name}")).json["conferences"]
        sid: str = rows[0]["sid"]
        return sid

    def told_of(self, kind: type[Effect]) -> int:
        """Return the number of effects of a kind."""
        return sum(isinstance(effect, kind) for effect in self.effects)


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    """A switch that runs, with a REST API."""
    kept = KeptEffects()
    clock = Engine()
    journal = MemoryJournal()
    switch = Switch(journal=journal, mailbox=make_mailbox(clock.now), effects=kept)
    store = MemoryStore()
    directory = await open_directory(store)
    notifications = Notifications(clock=clock.now, seed="seed")
    web = KeptWebEffects(notifications)
    rest = make_api(
        switch=switch,
        directory=directory,
        notifications=notifications,
        messages=await new_messages(web, store),
        journal=journal,
        account_sid=ACCOUNT,
        auth_token=TOKEN,
    )
    app = FastAPI()
    app.mount("/2010-04-01", rest)
    api = RestApi(
        quality=Quality(), engine=clock, directory=directory, notifications=notifications, store=store, web=web, app=app
    )
    running = asyncio.create_task(switch.run(), name="switch")
    yield Live(switch, api, kept.audio, kept.others)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_call_goes_from_queued_to_completed(live: Live) -> None:
    api, switch = live.api, live.switch
    form = {"To": "client:bob", "From": OURS, "Twiml": f"<Response><Play>{MUSIC}</Play></Response>"}
    made = (await api.post("/Calls.json", form)).json
    path, sid = f"/Calls/{made['sid']}.json", CallSid(made["sid"])
    assert (made["status"], live.told_of(PlaceLeg)) == ("queued", 1)
    assert (await api.post(path, {"Url": MUSIC})).code == 21220, "no document runs yet that could be replaced"
    switch.post(LegRinging(call=sid))
    assert (await api.get(path)).json["status"] == "ringing"
    switch.post(LegAnswered(call=sid))
    answered = (await api.get(path)).json
    assert facts.faults(answered, facts.CALL) == []
    assert (answered["status"], answered["start_time"]) == ("in-progress", "Fri, 15 Jan 2027 08:00:00 +0000")
    api.engine.clock = NOON + 65.5
    assert (await api.post(path, {"Status": "completed"})).json["status"] == "in-progress"
    over = (await api.get(path)).json
    assert facts.faults(over, facts.CALL) == []
    assert (over["status"], over["duration"], live.told_of(HangUpLeg)) == ("completed", "65", 1)
    assert (await api.post(path, {"Status": "completed"})).code == 21220
    assert (await api.delete(path)).status == 204
    assert (await api.get(path)).status == 404


async def test_a_call_that_rings_is_canceled_and_one_that_is_answered_is_not(live: Live) -> None:
    form = {"To": "client:bob", "From": OURS, "Twiml": "<Response/>"}
    sid = (await live.api.post("/Calls.json", form)).json["sid"]
    await live.api.post(f"/Calls/{sid}.json", {"Status": "canceled"})
    assert (await live.api.get(f"/Calls/{sid}.json")).json["status"] == "canceled"
    answered = await live.in_conference()
    await live.api.post(f"/Calls/{answered}.json", {"Status": "canceled"})
    assert (await live.api.get(f"/Calls/{answered}.json")).json["status"] == "in-progress"


async def test_a_live_call_is_redirected_and_keeps_its_record(live: Live) -> None:
    sid = await live.caller(f"<Response><Play loop='0'>{MUSIC}</Play></Response>")
    reply = await live.api.post(f"/Calls/{sid}.json", {"Url": "http://127.0.0.1:9/next", "Method": "GET"})
    assert reply.json["status"] == "in-progress"
    (fetch,) = [effect for effect in live.effects if isinstance(effect, FetchDocument)]
    assert (fetch.request.url, fetch.request.method) == ("http://127.0.0.1:9/next", "GET")
    assert (await live.api.delete(f"/Calls/{sid}.json")).code == 20009
    live.switch.post(
        DocumentFetched(token=fetch.token, url=fetch.request.url, content_type="text/xml", body="<Response/>")
    )
    assert (await live.api.get(f"/Calls/{sid}.json")).json["status"] == "completed"


async def test_hold_changes_the_audio_routes_before_the_answer_is_sent(live: Live) -> None:
    _, customer = await live.in_conference(), await live.in_conference()
    room = await live.conference()
    shown = (await live.api.get(f"/Conferences/{room}.json")).json
    assert facts.faults(shown, facts.CONFERENCE) == []
    assert shown["status"] == "in-progress"
    path = f"/Conferences/{room}/Participants/{customer}.json"
    live.sounds.clear()
    held = (await live.api.post(path, {"Hold": "true"})).json
    assert facts.faults(held, facts.PARTICIPANT) == []
    assert (held["hold"], held["muted"]) == (True, False)
    routed = [effect for effect in live.sounds if isinstance(effect, RouteAudio)]
    assert routed == [RouteAudio(room=RoomSid(room), seats=(Seat(call=customer, held=True, listens=False),))]
    assert any(isinstance(effect, PlaySound) for effect in live.sounds)
    rows = (await live.api.get(f"/Conferences/{room}/Participants.json", "Hold=true")).json["participants"]
    assert [row["call_sid"] for row in rows] == [customer]
    live.sounds.clear()
    assert (await live.api.post(path, {"Hold": "false"})).json["hold"] is False
    routed = [effect for effect in live.sounds if isinstance(effect, RouteAudio)]
    assert routed == [RouteAudio(room=RoomSid(room), seats=(Seat(call=customer),))]


async def test_coaching_is_refused_when_the_coached_party_is_held_or_has_left(live: Live) -> None:
    agent, customer, coach = [await live.in_conference() for _ in range(3)]
    room = await live.conference()
    path = f"/Conferences/{room}/Participants/"
    await live.api.post(f"{path}{customer}.json", {"Hold": "true"})
    assert (await live.api.post(f"{path}{coach}.json", {"CallSidToCoach": customer})).code == 16027
    other = f"CA{'f' * 32}"
    assert (await live.api.post(f"{path}{coach}.json", {"CallSidToCoach": other})).code == 16028
    coached = (await live.api.post(f"{path}{coach}.json", {"CallSidToCoach": agent})).json
    assert (coached["coaching"], coached["call_sid_to_coach"]) == (True, agent)


async def test_a_called_party_joins_the_conference_when_it_answers(live: Live) -> None:
    agent = await live.in_conference("the lobby")
    room = await live.conference("the%20lobby")
    form = {"To": "client:bob", "From": OURS, "Label": "bob", "Muted": "true"}
    made = (await live.api.post("/Conferences/the lobby/Participants.json", form)).json
    assert facts.faults(made, facts.PARTICIPANT) == []
    assert (made["conference_sid"], made["status"], made["label"]) == (room, "queued", "bob")
    sid = CallSid(made["call_sid"])
    live.switch.post(LegRinging(call=sid))
    path = f"/Conferences/{room}/Participants/bob.json"
    assert (await live.api.get(path)).json["status"] == "ringing"
    live.switch.post(LegAnswered(call=sid))
    joined = (await live.api.get(path)).json
    assert (joined["status"], joined["call_sid"], joined["muted"]) == ("connected", sid, True)
    assert (await live.api.get(f"/Conferences/{room}.json")).json["status"] == "in-progress"
    assert (await live.api.delete(path)).status == 204
    assert (await live.api.get(path)).status == 404
    assert (await live.api.get(f"/Calls/{sid}.json")).json["status"] == "completed"
    assert (await live.api.get(f"/Calls/{agent}.json")).json["status"] == "in-progress"


async def test_an_application_is_called_into_a_conference(live: Live) -> None:
    application = (await live.api.post("/Applications.json", {"VoiceUrl": MUSIC})).json["sid"]
    form = {"To": f"app:{application}?Ticket=9%208&To=x", "From": OURS}
    made = await live.api.post("/Conferences/new/Participants.json", form)
    assert (made.status, made.json["status"]) == (201, "queued")
    call = made.json["call_sid"]
    (placed,) = [effect for effect in live.effects if isinstance(effect, PlaceLeg)]
    assert placed.target == Target(to=f"app:{application}", parameters=(("Ticket", "9 8"),))
    assert (await live.api.get(f"/Calls/{call}.json")).json["to"] == f"app:{application}"
    for nobody in ("AP" + "0" * 32, "nonsense", ""):
        refused = await live.api.post("/Conferences/new/Participants.json", {"To": f"app:{nobody}", "From": OURS})
        assert refused.code == 21211


async def test_a_called_party_starts_a_new_conference(live: Live) -> None:
    form = {
        "To": "client:bob",
        "From": OURS,
        "ConferenceStatusCallback": MUSIC,
        "ConferenceStatusCallbackEvent": "join",
    }
    made = (await live.api.post("/Conferences/new/Participants.json", form)).json
    room = made["conference_sid"]
    assert (await live.api.get(f"/Conferences/{room}.json")).json["status"] == "init"
    live.switch.post(LegAnswered(call=CallSid(made["call_sid"])))
    rows = (await live.api.get(f"/Conferences/{room}/Participants.json")).json["participants"]
    assert [(row["call_sid"], row["status"]) for row in rows] == [(made["call_sid"], "connected")]
    await live.switch.settled()
    posted = [effect.request for effect in live.effects if isinstance(effect, PostCallback)]
    assert [dict(request.form)["StatusCallbackEvent"] for request in posted] == ["participant-join"]


async def test_an_ended_conference_has_no_participants_and_a_reason(live: Live) -> None:
    for _ in range(2):
        await live.in_conference()
    room = await live.conference()
    assert (await live.api.post(f"/Conferences/{room}.json", {"AnnounceUrl": MUSIC})).status == 200
    ended = (await live.api.post(f"/Conferences/{room}.json", {"Status": "completed"})).json
    assert facts.faults(ended, facts.CONFERENCE) == []
    assert ended["reason_conference_ended"] == "conference-ended-via-api"
    assert (await live.api.get(f"/Conferences/{room}/Participants.json")).json["participants"] == []
    assert (await live.api.post(f"/Conferences/{room}.json", {"Status": "completed"})).status == 200
    assert (await live.api.post(f"/Conferences/{room}.json", {"AnnounceUrl": MUSIC})).code == 16022


async def test_the_two_legs_of_a_dial_are_calls_and_no_conference(live: Live) -> None:
    parent = await live.caller(f"<Response><Dial><Client>bob</Client></Dial><Redirect>{MUSIC}</Redirect></Response>")
    (child,) = (await live.api.get("/Calls.json", f"ParentCallSid={parent}")).json["calls"]
    assert facts.faults(child, facts.CALL) == []
    assert (child["direction"], child["parent_call_sid"]) == ("outbound-dial", parent)
    live.switch.post(LegAnswered(call=CallSid(child["sid"])))
    assert (await live.api.get("/Conferences.json")).json["conferences"] == []
    bridges = [sid for sid, room in live.switch.state.rooms.items() if room.kind == "bridge"]
    for sid in bridges:
        assert (await live.api.get(f"/Conferences/{sid}.json")).status == 405
    assert len(bridges) == 1


async def test_a_queue_lives_as_the_reference_says(live: Live) -> None:
    api = live.api
    made = (await api.post("/Queues.json", {"FriendlyName": "support", "MaxSize": "2"})).json
    assert facts.faults(made, facts.QUEUE) == []
    assert (await api.post("/Queues.json", {"FriendlyName": "support"})).code == 22003
    first, second = [await live.caller("<Response><Enqueue>support</Enqueue></Response>") for _ in range(2)]
    api.engine.clock = NOON + 10
    path = f"/Queues/{made['sid']}"
    shown = (await api.get(f"{path}.json")).json
    assert (shown["current_size"], shown["average_wait_time"]) == (2, 10)
    assert (await api.delete(f"{path}.json")).code == 20409
    taken = (await api.post(f"{path}/Members/Front.json", {"Url": MUSIC})).json
    assert facts.faults(taken, facts.MEMBER) == []
    assert (taken["call_sid"], taken["wait_time"]) == (first, 10)
    rows = (await api.get(f"{path}/Members.json")).json["queue_members"]
    assert [(row["call_sid"], row["position"]) for row in rows] == [(second, 1)]
    live.switch.post(LegEnded(call=second))
    assert (await api.get(f"{path}/Members/Front.json")).status == 404
    assert (await api.delete(f"{path}.json")).status == 204
    assert (await api.get(f"{path}.json")).status == 404
    assert (await api.get("/Queues.json")).json["queues"] == []


async def test_numbers_of_the_account_may_call_each_other(live: Live) -> None:
    made = await live.api.post("/Calls.json", {"To": ALSO_OURS, "From": OURS, "Twiml": "<Response/>"})
    assert (made.status, made.json["to"]) == (201, ALSO_OURS)
