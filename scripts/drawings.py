"""The drawings of docs/design.md, made from the code: its settings, its messages, its matrix, and calls it carries.

Length: four drawings, and the few shapes that they share.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from holdfast.holds.account.snapshots import ParticipantSnapshot
from holdfast.holds.conference import planner
from holdfast.holds.ids import CallSid as SeenCall
from holdfast.holds.ids import ConferenceSid as SeenConference
from holdfast.holds.steps.account_steps import SetHold
from holdfast.settings import Settings
from holdfast.testing.world import World, twiml
from holdfast.voice.control.read_only_state import Message
from holdfast.voice.media.codec.g711 import ULAW
from holdfast.voice.media.mix.routing import NO_ROOM
from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.control_link import protocol
from holdfast.voice.model.commands import ChangeParticipant, ReceiveCall, WebRequest
from holdfast.voice.model.effects import (
    AnswerLeg,
    Effect,
    FetchDocument,
    HangUpLeg,
    MediaEffect,
    PlaceLeg,
    PlaySound,
    PostCallback,
    RouteAudio,
    Seat,
    StopSound,
    VerbBegan,
)
from holdfast.voice.model.facts import DocumentFetched, LegAnswered, LegEnded, LegRinging, SoundEnded
from holdfast.voice.model.ids import CallSid
from scripts.svg import LINE, QUIET, Arrow, Lifeline, Note, Picture, sequence

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "drawings"
SERVE = ROOT / "holdfast" / "cli" / "server" / "serve.py"
MUSIC = "https://app.example/music"
"""The document of hold music in the drawn hold."""

CONTROL = Lifeline(name="control", folder="voice/runtime, voice/control")
MEDIA = Lifeline(name="media process", folder="voice/media_process")
SIP = Lifeline(name="SIP shell", folder="voice/runtime/sip")
HOLDS = Lifeline(name="holds service", folder="holds")
API = Lifeline(name="Twilio's REST", folder="voice/api")
WEB = Lifeline(name="web server")
CLIENT = Lifeline(name="operator")
PHONE = Lifeline(name="phones")


# --- three processes --------------------------------------------------------------------------------------------------


def processes() -> Picture:
    """Draw the three processes of `holdfast serve`, what each owns, and what travels between them."""
    media, control = _children()
    port = {name: Settings.model_fields[name].default for name in ("http_port", "sip_port", "rtp_base", "rtp_rows")}
    last = port["rtp_base"] + 2 * port["rtp_rows"] - 1
    commands, requests, facts = (_kinds(union) for union in (protocol.Command, protocol.Request, protocol.Fact))
    legend = [
        ("Commands of a batch", _wrapped(", ".join(commands), 130)),
        ("Other requests", _wrapped(", ".join(kind for kind in requests if kind != "batch"), 130)),
        ("Facts", _wrapped(", ".join(facts), 130)),
    ]
    picture = Picture(
        "The three processes of holdfast serve", 1230, 350 + sum(10 + LINE * len(each) for _, each in legend)
    )
    picture.box(415, 14, 380, 66)
    picture.text(605, 40, "supervisor", bold=True, anchor="middle")
    picture.text(605, 62, f"starts {media}, then {control}; stops them in the opposite order", size=11, anchor="middle")
    picture.arrow(520, 80, 420, 118)
    picture.arrow(690, 80, 790, 118)
    _process(
        picture,
        (230, 320),
        f"{control} (asyncio)",
        [
            f"HTTP, port {port['http_port']}: Twilio's REST, TwiML,",
            "the JSON API of holds, console, metrics",
            f"SIP, port {port['sip_port']}: UDP, TCP, TLS",
            "the switch: one mailbox, one writer",
            "call, conference, queue: pure machines",
            "webhooks; the holds service",
            "the journal: one SQLite file",
        ],
    )
    _process(
        picture,
        (770, 290),
        f"{media} (numpy)",
        [
            f"all RTP sockets, ports {port['rtp_base']} to {last}",
            f"{port['rtp_rows']} rows: jitter buffer, DTMF, SRTP",
            "every 20 ms one pass over all rows",
            "clips, beeps, mixes, recordings",
            "RTCP and statistics",
        ],
    )
    _link(picture, (550, 190, 770), "batches of commands,", "in force at the next tick")
    _link(picture, (770, 270, 550), "facts,", "through a bounded queue")
    outside = (
        (150, "Twilio SDKs, console", "HTTP"),
        (210, "webhook receivers", "HTTP"),
        (270, "phones, trunks", "SIP"),
    )
    for y, there, words in outside:
        _outside(picture, (10, y), there)
        picture.arrow(160, y, 230, y, both=True)
        picture.text(195, y - 6, words, size=11, anchor="middle")
    _outside(picture, (1110, 210), "phones, trunks")
    picture.arrow(1060, 210, 1110, 210, both=True)
    picture.text(1085, 204, "RTP", size=11, anchor="middle")
    y = 348
    for heading, lines in legend:
        picture.text(20, y, heading, bold=True, anchor="start")
        picture.lines(200, y, lines, size=12)
        y += LINE * len(lines) + 10
    return picture


def _children() -> tuple[str, ...]:
    """Return the names of the supervisor's children in the order in which it starts them."""
    tree = ast.parse(SERVE.read_text("utf-8"))
    names: dict[str, str] = {}
    order: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=variable)], value=ast.Call(func=ast.Name(id="Child"), keywords=given)):
                names[variable] = next(ast.literal_eval(each.value) for each in given if each.arg == "name")
            case ast.Call(func=ast.Name(id="supervise"), args=[ast.List(elts=children)]):
                order = [each.id for each in children if isinstance(each, ast.Name)]
    return tuple(names[variable] for variable in order)


def _kinds(union: object) -> list[str]:
    """Return the words on the wire of a union of messages."""
    members = get_args(union)
    if not is_dataclass(members[0]):
        members = get_args(members[0])
    return [str(each.default) for member in members for each in fields(member) if each.name == "kind"]


def _process(picture: Picture, place: tuple[int, int], name: str, words: Sequence[str]) -> None:
    """Draw a process with what it owns. Shape: `place` is its left edge and its width."""
    left, width = place
    picture.box(left, 118, width, 190)
    picture.text(left + width / 2, 142, name, bold=True, anchor="middle")
    picture.lines(left + 14, 170, words, size=12)


def _link(picture: Picture, place: tuple[int, int, int], above: str, below: str) -> None:
    """Draw an arrow with words on both sides of it. Shape: `place` is its start, its height and its end."""
    start, y, end = place
    picture.arrow(start, y, end, y)
    picture.text((start + end) / 2, y - 7, above, size=11, anchor="middle")
    picture.text((start + end) / 2, y + 16, below, size=11, anchor="middle")


def _outside(picture: Picture, place: tuple[int, int], there: str) -> None:
    """Draw what is outside of us. Shape: `place` is its left edge and its middle."""
    left, middle = place
    picture.box(left, middle - 18, 150 if left < 200 else 110, 36, fill="#ffffff", ink=QUIET)
    picture.text(left + (75 if left < 200 else 55), middle + 4, there, size=11, anchor="middle")


def _wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of at most that many characters."""
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


# --- the matrix of frames ---------------------------------------------------------------------------------------------

PARTIES = ("alice", "bob", "carol")
CLIP = "hold music"
LAWS = ("µ-law", "A-law")
MOMENTS: tuple[tuple[str, int, frozenset[int]], ...] = (
    ("alice and bob talk", 2, frozenset()),
    ("bob is on hold", 2, frozenset({1})),
    ("bob is resumed", 2, frozenset()),
    ("carol joins", 3, frozenset()),
    ("bob is on hold", 3, frozenset({1})),
)
"""How many parties are in the conference at some moments of a call, and which of them are on hold."""


def sources() -> tuple[list[str], list[list[int]]]:
    """Return the names of the rows of `F`, and what the mixing engine makes `SRC` at each moment.

    Shape: one list per moment, one row of `F` per party.
    """
    rows, frames = len(PARTIES), 3
    engine = MixEngine(rows=rows, clip_frames=frames)
    names = (
        [f"{party} says" for party in PARTIES]
        + [f"mix {row}" for row in range(rows)]
        + ["silence in µ-law", "silence in A-law"]
    )
    names += [f"{CLIP} in {name}, frame {frame}" for name in ("µ-law", "A-law") for frame in range(frames)]
    assert len(names) == len(engine.frames)
    assert names.index("silence in µ-law") == engine.layout.silence(ULAW)
    assert names.index(f"mix {0}") == engine.layout.mixes
    for row in range(rows):
        engine.open(row, ssrc=row, sequence=0, timestamp=0)
        engine.describe(row, companding=ULAW, receive=True)
    engine.clips.put(CLIP, bytes(range(1, 161)) * frames, offset=0, total=160 * frames)
    clip = engine.clips.get(CLIP)
    assert clip is not None
    found: list[list[int]] = []
    for _, size, held in MOMENTS:
        for row in range(rows):
            if row in held:
                engine.players.start(row, clip, loops=100)
            engine.seats.room[row] = 0 if row < size else NO_ROOM
            engine.seats.heard[row] = engine.seats.listens[row] = row not in held
        engine.reroute()
        engine.tick(rows, skipped=0)
        routing = engine.routing(rows)
        source = routing.source.copy()
        source[routing.player_rows] = engine.players.frame_row[routing.player_rows]
        assert all(np.array_equal(engine.frames[place], engine.tx[row]) for row, place in enumerate(source.tolist()))
        found.append(source.tolist())
    assert found[2] == found[0], "a resume is the old number"
    return names, found


def matrix() -> Picture:
    """Draw the matrix of frames, and which of its rows each leg is sent before, during and after a hold."""
    names, moments = sources()
    top, row_height, left, gap = 118, 26, 300, 176
    picture = Picture("F and SRC: hold is one number", left + gap * len(moments), top + row_height * len(names) + 66)
    picture.text(
        20,
        30,
        "F: one row of 160 bytes for each thing that can be heard in a tick of 20 ms.",
        bold=True,
        anchor="start",
    )
    picture.text(20, 52, "SRC[leg]: the number of the row of F that the leg is sent.", bold=True, anchor="start")
    inks = ("#0b6e99", "#b44d12", "#3f7d20")
    for place, name in enumerate(names):
        y = top + row_height * place
        picture.box(40, y, 220, row_height - 4, fill="#f5f7fa" if place < 2 * len(PARTIES) else "#e4e7eb")
        picture.text(32, y + 16, str(place), size=11, ink=QUIET, anchor="end")
        picture.text(50, y + 16, name, size=12, anchor="start")
    for number, ((what, *_), source) in enumerate(zip(MOMENTS, moments, strict=True)):
        x = left + gap * number
        picture.text(x, 84, f"{number + 1}. {what}", size=12, anchor="start")
        picture.text(x, 104, f"SRC = {source}", size=12, ink=QUIET, anchor="start")
        for leg, place in enumerate(source):
            y = top + row_height * place
            shift = 40 * sum(1 for before in source[:leg] if before == place)
            picture.shapes.append(
                f'<rect x="{x + shift:g}" y="{y:g}" width="36" height="{row_height - 4}" rx="4" fill="{inks[leg]}"/>'
            )
            picture.text(
                x + shift + 18, y + 16, PARTIES[leg][0].upper(), size=12, bold=True, ink="#ffffff", anchor="middle"
            )
    foot = ", ".join(f"{party[0].upper()} = what {party} is sent" for party in PARTIES)
    rule = "Hold: the held leg is sent its player's frame of the clip, and is in no sum. Resume: the old numbers."
    picture.text(20, top + row_height * len(names) + 24, foot + ".", size=12, anchor="start")
    picture.text(20, top + row_height * len(names) + 46, rule, size=12, anchor="start")
    return picture


# --- sequences: calls that the engine carries in a world of the stories -----------------------------------------------


@dataclass(slots=True)
class RecordedWorld(World):
    """A world that remembers every message and every effect in order."""

    steps: list[tuple[Message, list[Effect]]] = field(default_factory=list)

    def post(self, message: Message) -> None:
        """Give the engine a message. Raises: AskedWrong."""
        self.steps.append((message, []))
        World.post(self, message)

    def _carry_out(self, effect: Effect) -> None:
        self.steps[-1][1].append(effect)
        World._carry_out(self, effect)


def hold() -> Picture:
    """Draw one hold of a participant of a conference, and the resume after it."""
    world = RecordedWorld(pages={f"{APP}/room": ROOM, MUSIC: twiml('<Play loop="0">/music.mp3</Play>')})
    alice, bob = world.calls_in("alice", f"{APP}/room"), world.calls_in("bob", f"{APP}/room")
    room = world.state.room_of(bob)
    assert room is not None
    scene = Scene(world, {alice: "alice", bob: "bob"})
    events: list[Arrow | Note] = []
    snapshot = ParticipantSnapshot(call=SeenCall(bob), conference=SeenConference(room.sid), hold=False)
    for verb, words, moment in (
        ("hold", "POST /holds: call CA…, music", "bob is on hold"),
        ("resume", "POST /holds/HO…/resume", "bob is back"),
    ):
        step = planner.hold(snapshot, MUSIC) if verb == "hold" else planner.resume(replace(snapshot, hold=True))
        assert isinstance(step, SetHold)
        events.append(Arrow(source=CLIENT.name, target=HOLDS.name, words=words))
        form = f"Hold={str(step.hold).lower()}" + (f", HoldUrl={_path(step.music)}" if step.music else "")
        events.append(Arrow(source=HOLDS.name, target=API.name, words=f"POST …/Participants/CA…: {form}"))
        music = None if step.music is None else WebRequest(url=step.music, method="GET")
        before = len(world.steps)
        world.post(ChangeParticipant(room=room.sid, call=bob, hold=step.hold, hold_request=music))
        told = scene.events(before, replies=_replies(hold=step.hold))
        events += [Arrow(source=API.name, target=CONTROL.name, words=f"ChangeParticipant(hold={step.hold})"), *told]
        events.append(Note(words=f"{moment}: alice hears {scene.ear(alice)}, bob hears {scene.ear(bob)}"))
    lifelines = (CLIENT, HOLDS, API, CONTROL, MEDIA, WEB)
    return sequence("One hold and its resume, in a conference", lifelines, events)


def call_in() -> Picture:
    """Draw one call in: it is answered by a document, plays a sound, dials another phone, and ends."""
    page = twiml("<Play>/welcome.mp3</Play><Dial><Client>bob</Client></Dial>")
    world = RecordedWorld(pages={f"{APP}/voice": page})
    alice = world.calls_in("alice", f"{APP}/voice", events=("completed",))
    scene = Scene(world, {alice: "alice"})
    world.sound_ends(alice)
    (bob,) = world.children(alice)
    scene.names[bob] = "bob"
    world.rings(bob)
    world.answers(bob)
    together = len(world.steps)
    talk = f"alice hears {scene.ear(alice)}, bob hears {scene.ear(bob)}"
    world.hangs_up(alice)
    events = [*scene.events(0, until=together), Note(words=talk), *scene.events(together)]
    return sequence("One call in", (PHONE, SIP, CONTROL, MEDIA, WEB), events)


def _replies(*, hold: bool) -> tuple[Arrow, ...]:
    """Return the way back of a change, which begins after the commit."""
    words = f"the participant, hold: {str(hold).lower()}"
    return (
        Arrow(source=CONTROL.name, target=API.name, words="done"),
        Arrow(source=API.name, target=HOLDS.name, words=words),
        Arrow(source=HOLDS.name, target=CLIENT.name, words=f"the hold, {'held' if hold else 'resumed'}"),
    )


APP = "https://app.example"
ROOM = twiml('<Dial><Conference statusCallback="/events" statusCallbackEvent="hold">room</Conference></Dial>')

SIP_OF: Mapping[type[Message] | type[Effect], str] = {
    ReceiveCall: "INVITE",
    LegRinging: "180 Ringing",
    LegAnswered: "200 OK",
    LegEnded: "BYE",
    PlaceLeg: "INVITE",
    AnswerLeg: "200 OK",
    HangUpLeg: "BYE",
}
"""The SIP message that a fact comes from, or that an effect sends."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A world whose calls have the names of their parties."""

    world: RecordedWorld
    names: dict[CallSid, str]

    def ear(self, call: CallSid) -> str:
        """Return what the party of a call hears, in words."""
        heard = self.world.heard_by(call)
        return " and ".join(self.names[each] for each in heard) if isinstance(heard, frozenset) else _path(str(heard))

    def events(self, first: int, *, until: int | None = None, replies: Sequence[Arrow] = ()) -> list[Arrow | Note]:
        """Return the world's steps as arrows: audio effects before each commit, `replies` and the rest after it."""
        found: list[Arrow | Note] = []
        for number, (message, effects) in enumerate(self.world.steps[first:until]):
            found += self._message(message)
            audio = [each for each in effects if isinstance(each, MediaEffect)]
            others = [arrow for each in effects if not isinstance(each, MediaEffect) for arrow in self._effect(each)]
            others = [*(replies if number == 0 else ()), *others]
            found += [arrow for each in audio for arrow in self._effect(each)]
            if others:
                found += [Arrow(source=CONTROL.name, target=CONTROL.name, words="commit to the journal"), *others]
        return found

    def _message(self, message: Message) -> Iterator[Arrow]:
        """Yield the arrows of a message to control."""
        name = type(message).__name__
        match message:
            case ReceiveCall(call=call) | LegRinging(call=call) | LegAnswered(call=call) | LegEnded(call=call):
                who = self.names.get(call, "the phone")
                yield Arrow(source=PHONE.name, target=SIP.name, words=f"{SIP_OF[type(message)]}, {who}")
                yield Arrow(source=SIP.name, target=CONTROL.name, words=name)
            case DocumentFetched(url=url):
                yield Arrow(source=WEB.name, target=CONTROL.name, words=f"{name} {_path(url)}")
            case SoundEnded():
                yield Arrow(source=MEDIA.name, target=CONTROL.name, words=name)
            case _:
                pass

    def _effect(self, effect: Effect) -> Iterator[Arrow]:
        """Yield the arrows of an effect of control."""
        name = type(effect).__name__
        match effect:
            case RouteAudio(seats=seats, left=left):
                changed = [f"{self.names[seat.call]} {_place(seat)}" for seat in seats]
                words = "; ".join([*changed, *(f"{self.names[call]} left" for call in left)])
                yield Arrow(source=CONTROL.name, target=MEDIA.name, words=f"{name}: {words}")
            case PlaySound(source=source):
                yield Arrow(source=CONTROL.name, target=MEDIA.name, words=f"{name} {_path(source)}")
            case StopSound():
                yield Arrow(source=CONTROL.name, target=MEDIA.name, words=name)
            case FetchDocument(request=request):
                yield Arrow(
                    source=CONTROL.name, target=WEB.name, words=f"{name}: {request.method} {_path(request.url)}"
                )
            case PostCallback(request=request):
                form = dict(request.form)
                event = form.get("StatusCallbackEvent", form.get("CallStatus", ""))
                yield Arrow(source=CONTROL.name, target=WEB.name, words=f"{name}: {event}")
            case VerbBegan(verb=verb):
                yield Arrow(source=CONTROL.name, target=CONTROL.name, words=f"<{verb}> begins")
            case PlaceLeg(call=call) | AnswerLeg(call=call) | HangUpLeg(call=call):
                yield Arrow(source=CONTROL.name, target=SIP.name, words=name)
                who = self.names.get(call, "the phone")
                yield Arrow(source=SIP.name, target=PHONE.name, words=f"{SIP_OF[type(effect)]}, {who}")
            case _:
                pass


def _place(seat: Seat) -> str:
    """Return what a seat in the audio of a room means for its party, in words."""
    if seat.held:
        return "is held"
    return "talks" if seat.listens and not seat.muted else "hears the room" if seat.listens else "hears its player"


def _path(source: str) -> str:
    """Return an address without the application's own host."""
    return source.removeprefix("clip:").removeprefix(APP)


DRAWINGS: Mapping[str, Callable[[], Picture]] = {
    "processes": processes,
    "frames": matrix,
    "hold": hold,
    "call": call_in,
}


def drawings() -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of each drawing."""
    for name, draw in DRAWINGS.items():
        yield FOLDER / f"{name}.svg", draw().svg()
