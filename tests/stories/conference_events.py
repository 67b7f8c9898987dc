"""How stories come into a conference: pages that enter it, pairs that talk in it, people called into it."""

from __future__ import annotations

from holdfast.testing.world import ACCOUNT, World, twiml
from holdfast.voice.control.entities import Room
from holdfast.voice.model.commands import Admission, Callback, CreateCall, Instruction, ReserveParticipant, Target
from holdfast.voice.model.ids import CallSid, RoomSid
from tests.stories.leg_events import APP, EVENTS, Told, pages

EVERY = 'statusCallback="/events" statusCallbackEvent="start end join leave mute hold modify speaker announcement"'
PLAIN = "Muted=false Hold=false Coaching=false EndConferenceOnExit=false StartConferenceOnEnter=true"


def room_page(world: World, name: str, attributes: str = "", *, dial: str = 'action="/after"') -> str:
    """A document at `/name` that enters the conference with these attributes."""
    pages(
        world,
        **{
            name: f"<Dial {dial}><Conference {attributes}>room</Conference></Dial>",
            "after": '<Play loop="0">/after.mp3</Play>',
            "music": '<Play loop="0">/music.mp3</Play>',
        },
    )
    return f"{APP}/{name}"


def room_of(world: World, call: CallSid) -> Room:
    room = world.state.room_of(call)
    assert room is not None
    return room


def two(world: World, first: str = EVERY, second: str = "") -> Told:
    """A and B are in a conference that has begun."""
    told = Told(world, A=world.calls_in("a", room_page(world, "first", first)))
    told.name(B=world.calls_in("b", room_page(world, "second", second)))
    told.news()
    return told


def called_in(
    world: World,
    name: str,
    *,
    attributes: str = "",
    room: str = "room",
    early_media: bool = False,
    coach: CallSid | None = None,
) -> CallSid:
    """The Participants resource calls a party whose only document is to join."""
    sid = CallSid("CA" + name.encode().hex().zfill(32))
    world.post(
        CreateCall(
            call=sid,
            account=ACCOUNT,
            target=Target(to=f"client:{name}"),
            from_="+15550199",
            instruction=Instruction(twiml=twiml(f"<Dial><Conference {attributes}>{room}</Conference></Dial>")),
            callback=Callback(url=f"{APP}/call", events=EVENTS),
            timeout_s=20,
            reserve=ReserveParticipant(
                call=sid,
                account=ACCOUNT,
                admission=Admission(
                    name=room,
                    end_on_exit="endConferenceOnExit" in attributes,
                    early_media=early_media,
                    coach=coach,
                    callback=Callback(url=f"{APP}/events", events=("start", "end", "join", "leave")),
                ),
                new_room=RoomSid("CF" + name.encode().hex().zfill(32)),
            ),
        )
    )
    return sid
