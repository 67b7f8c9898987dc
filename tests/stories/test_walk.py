"""Random walks over calls, conferences, queues and redirects: what must hold after every step, whatever happened.

Each walk is told twice with the same dice, straight and killed and rebuilt: both must have the same effects.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.testing.world import ACCOUNT, World, twiml
from holdfast.voice.control.entities import RoomStatus
from holdfast.voice.model.commands import (
    Admission,
    AnnounceToRoom,
    ChangeCall,
    ChangeParticipant,
    ChangeQueue,
    CreateCall,
    DequeueMember,
    EndCall,
    EndRoom,
    Instruction,
    RecordCall,
    RecordingOptions,
    RedirectCall,
    RemoveParticipant,
    ReserveParticipant,
    Target,
    WebRequest,
)
from holdfast.voice.model.effects import PlaySound, StartTimer
from holdfast.voice.model.errors import AskedWrong
from holdfast.voice.model.facts import HolderSounds, LegRinging, LegSpeaks, PhoneHeld, PhoneResumed
from holdfast.voice.model.ids import CallSid, RecordingSid, RoomSid, derive

APP = "https://app.example"
PAGES = {
    "/room": '<Dial action="/park"><Conference record="record-from-start" statusCallback="/ev" '
    'statusCallbackEvent="start end join leave mute hold speaker">r</Conference></Dial>',
    "/dial": '<Dial action="/park" record="record-from-answer-dual"><Client>agent</Client></Dial>',
    "/keyed": '<Dial action="/park" record="record-from-ringing"><Number sendDigits="ww">+15550123</Number></Dial>',
    "/late bridge": '<Dial answerOnBridge="true"><Client url="/song">agent</Client></Dial>',
    "/message": '<Record action="/park" playBeep="false"/>',
    "/race": '<Dial action="/park" timeout="9"><Client>a</Client><Client>b</Client></Dial>',
    "/wait": '<Enqueue waitUrl="/song" action="/park">q</Enqueue>',
    "/take": '<Dial action="/park" timeout="7"><Queue>q</Queue></Dial>',
    "/screened": '<Dial action="/park" hangupOnStar="true"><Client url="/song">agent</Client></Dial>',
    "/turns": '<Dial action="/park" sequential="true"><Client>a</Client><Client url="/end">b</Client></Dial>',
    "/whispering": '<Dial action="/park" timeout="7"><Queue url="/song">q</Queue></Dial>',
    "/leaves": '<Enqueue waitUrl="/leave" action="/park">q</Enqueue>',
    "/leave": "<Play>/song.mp3</Play><Leave/>",
    "/boss": '<Dial action="/park"><Conference endConferenceOnExit="true" waitUrl="/song">r</Conference></Dial>',
    "/late": '<Dial><Conference startConferenceOnEnter="false" waitUrl="/gone">r</Conference></Dial>',
    "/menu": '<Gather numDigits="2" action="/wait"><Play>/song.mp3</Play></Gather><Redirect>/park</Redirect>',
    "/song": "<Play>/song.mp3</Play><Pause/>",
    "/park": '<Pause length="20"/><Redirect>/park</Redirect>',
    "/bad": "<Response><Nonsense>",
    "/end": "<Hangup/>",
}
DEEDS = [
    "in",
    "out",
    "ring",
    "answer",
    "refuse",
    "hangup",
    "redirect",
    "end",
    "hold",
    "unhold",
    "mute",
    "phone",
    "phone",
    "early",
    "hold at answer",
    "speaks",
    "tape",
    "time",
    "time",
    "sound",
    "fail",
    "digit",
    "slow",
    "slow",
    "limit",
    "kick",
    "announce",
    "coach",
    "end room",
    "dequeue",
    "resize",
    "call in",
]
STARTS = (
    "/room",
    "/dial",
    "/race",
    "/wait",
    "/take",
    "/park",
    "/screened",
    "/turns",
    "/whispering",
    "/leaves",
    "/boss",
    "/late",
    "/menu",
    "/keyed",
    "/late bridge",
    "/message",
)


def world_of(*, killed: bool) -> World:
    world = World(killed=killed)
    prepare(world)
    return world


def prepare(world: World) -> None:
    """Give a world the documents of the walks."""
    world.pages = {APP + path: twiml(inside) for path, inside in PAGES.items() if path != "/bad"}
    world.pages[f"{APP}/bad"] = PAGES["/bad"]


def live(world: World) -> list[CallSid]:
    return [call.sid for call in world.state.calls.values() if call.live]


def act(world: World, dice: Random, number: int, *, trunks: bool = False) -> None:
    """One thing that can happen, chosen by the dice. With `trunks` a phone that holds may be heard."""
    calls = live(world)
    deed = dice.choice(DEEDS)
    if deed == "in" or not calls:
        if len(calls) < 7:
            world.calls_in(f"caller{number}", APP + dice.choice(STARTS))
        return
    call = dice.choice(calls)
    leg = world.legs[call]
    match deed:
        case "out":
            world.place(f"callee{number}", APP + dice.choice(STARTS))
        case "ring" if leg == "called":
            world.rings(call)
        case "early" if leg == "called":
            world.post(LegRinging(call=call, early_media=True))
        case "answer" if leg == "called":
            world.answers(call)
        case "hold at answer" if leg == "called":
            world.post(PhoneHeld(call=call))
            world.answers(call)
        case "speaks":
            # Also of one who is listened to no more: such news may be on its way.
            world.post(LegSpeaks(call=call, speaks=dice.random() < 0.7))
        case "tape":
            terms = RecordingOptions(source="StartCallRecordingAPI", dual=dice.random() < 0.5)
            world.post(RecordCall(call=call, recording=RecordingSid(derive("RE", f"tape{number}")), options=terms))
        case "refuse" if leg == "called":
            world.refuses(call, dice.choice((486, 404, 480)))
        case "hangup" if leg in ("up", "calling"):
            world.hangs_up(call)
        case "redirect":
            request = WebRequest(url=APP + dice.choice((*STARTS, "/bad", "/end", "/gone")))
            world.post(RedirectCall(call=call, instruction=Instruction(request=request)))
        case "end":
            world.post(EndCall(call=call, status=dice.choice(("completed", "canceled"))))
        case "hold" | "unhold" | "mute":
            room = world.state.room_of(call)
            if room is not None and room.kind == "conference":
                hold = {"hold": True, "unhold": False}.get(deed)
                muted = dice.random() < 0.5 if deed == "mute" else None
                music = dice.choice((None, WebRequest(url=f"{APP}/song", method="GET"), WebRequest(url=f"{APP}/gone")))
                world.post(ChangeParticipant(room=room.sid, call=call, hold=hold, muted=muted, hold_request=music))
        case "kick" | "announce" | "coach" | "end room":
            meet(world, dice, deed, call)
        case "dequeue" | "resize":
            queue(world, dice, deed)
        case "call in":
            call_in(world, f"guest{number}")
        case "limit":
            world.post(ChangeCall(call=call, time_limit_s=dice.choice((1, 30, 14400))))
        case "slow":
            # Answers of a web server are held back, or come at last.
            url = APP + dice.choice(tuple(PAGES))
            world.release(url) if url in world.withheld_urls else world.withheld_urls.add(url)
        case "phone" if leg == "up":
            may_be_heard = trunks and dice.random() < 0.5
            # Its sound is also reported of one that may not be heard, or holds no more: the news may be on its way.
            sounds = HolderSounds(call=call, sounds=dice.random() < 0.7)
            world.post(dice.choice((PhoneHeld(call=call, may_be_heard=may_be_heard), PhoneResumed(call=call), sounds)))
        case "sound" | "fail" if world.playing.get(call, ("", "", 0))[1].startswith("leg:"):
            pass  # What another phone sends is no sound of the library's: it neither ends by itself nor fails.
        case "sound" if call in world.playing:
            world.sound_ends(call)
        case "fail" if call in world.playing:
            world.sound_fails(call)
        case "digit":
            world.presses(call, "*")
        case _:
            world.passes(dice.choice((0.5, 2.5, 8.0, 31.0)))


def meet(world: World, dice: Random, deed: str, call: CallSid) -> None:
    """Something is asked of a conference or of one in it."""
    room = world.state.room_of(call)
    if room is None or room.kind != "conference":
        return
    news = WebRequest(url=APP + dice.choice(("/song", "/gone", "/bad", "/end")))
    match deed:
        case "kick":
            world.post(RemoveParticipant(room=room.sid, call=call))
        case "announce" if dice.random() < 0.5:
            world.post(AnnounceToRoom(room=room.sid, request=news))
        case "announce":
            world.post(ChangeParticipant(room=room.sid, call=call, announce=news, beep_on_exit=dice.random() < 0.5))
        case "coach":
            whom = dice.choice(room.participants).call
            world.post(ChangeParticipant(room=room.sid, call=call, coaching=dice.random() < 0.7, coach=whom))
        case _:
            world.post(EndRoom(room=room.sid))


def queue(world: World, dice: Random, deed: str) -> None:
    """Something is asked of a queue."""
    for one in list(world.state.queues.values()):
        if deed == "dequeue":
            world.post(DequeueMember(queue=one.sid, call=None, request=WebRequest(url=f"{APP}/park")))
        else:
            world.post(ChangeQueue(queue=one.sid, max_size=dice.choice((0, 1, 5))))


def call_in(world: World, name: str) -> None:
    """REST calls somebody into the conference."""
    sid = CallSid(derive("CA", name))
    admission = Admission(name="r", label=name[-1], end_on_exit=name[-1] == "3", early_media=name[-1] != "2")
    text = twiml(f'<Dial><Conference participantLabel="{name[-1]}">r</Conference></Dial>')
    world.post(
        CreateCall(
            call=sid,
            account=ACCOUNT,
            target=Target(to=f"client:{name}"),
            from_="+15550199",
            instruction=Instruction(twiml=text),
            reserve=ReserveParticipant(
                call=sid, account=ACCOUNT, admission=admission, new_room=RoomSid(derive("CF", name))
            ),
        )
    )


def check(world: World) -> None:
    world.check()
    board = world.state
    for room in board.rooms.values():
        inside = [one.call for one in room.participants]
        assert len(inside) == len(set(inside))
        assert all(board.calls[call].live for call in inside), "somebody gone is still in a room"
        if room.status is not RoomStatus.COMPLETED:
            assert (room.announcement is not None) == any(one.announced for one in room.participants)
            for one in room.participants:
                if one.held and one.status == "connected":
                    heard = [ear for ear, others in world.routes().items() if others and one.call in others]
                    assert not heard, "a held party is heard"
                    assert world.route(one.call) is None, "a held party hears the room"
    for queue in board.queues.values():
        assert not (queue.members and queue.diallers)
        waiting = [member.call for member in queue.members] + [dialler.call for dialler in queue.diallers]
        waiting += [call for pair in queue.introductions for call in (pair.member.call, pair.dialler.call)]
        assert all(board.calls[call].live for call in waiting), "somebody gone still waits"
        assert len(set(waiting)) == len(waiting), "a call waits twice"
    seats = Counter(one.call for room in board.rooms.values() for one in room.participants)
    assert not seats or max(seats.values()) == 1, "a call is in two rooms"
    for call in board.calls.values():
        if not call.live:
            assert not call.scripts
            assert world.legs[call.sid] == "gone", "a call is over and its leg is not"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_state_stays_consistent_in_every_walk(seed: int) -> None:
    straight, rebuilt = world_of(killed=False), world_of(killed=True)
    ours, theirs = Random(seed), Random(seed)
    for number in range(40):
        for world, dice in ((straight, ours), (rebuilt, theirs)):
            with suppress(AskedWrong):
                act(world, dice, number, trunks=True)
            check(world)
        assert straight.effects == rebuilt.effects
    while calls := live(straight):
        straight.post(EndCall(call=calls[0]))
    check(straight)
    assert not live(straight)
    assert not straight.playing
    finals = Counter(
        told["CallSid"] for told in straight.callbacks if told.kind == "call" and told["CallStatus"] == "completed"
    )
    assert not finals or max(finals.values()) == 1
    for room in straight.state.rooms.values():
        assert room.status is RoomStatus.COMPLETED
    started = [effect.token for effect in straight.effects if isinstance(effect, StartTimer | PlaySound)]
    # What a caller hears while a phone rings has one token: our ringing, or what that phone sends.
    sounds = [effect for effect in straight.effects if isinstance(effect, PlaySound)]
    ringing = {sound.token for sound in sounds if sound.source.startswith("leg:")}
    # A time limit is stopped and begun anew when it is changed.
    started = [token for token in started if not token.endswith("/limit") and token not in ringing]
    assert len(started) == len(set(started)), "a token names two things"
