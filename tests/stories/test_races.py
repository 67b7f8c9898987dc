"""Things that happen at the same time, in every order: whatever comes first, each call has exactly one outcome.

A redirect that was accepted last is what a living call does; one that was refused has changed nothing; a call that
ended has one last status, told once; nobody is left in a bridge with somebody who is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.testing.world import World
from holdfast.voice.model.commands import DequeueMember, EndCall, WebRequest
from holdfast.voice.model.effects import AnswerReferral
from holdfast.voice.model.errors import AskedWrong, CallNotInProgress
from holdfast.voice.model.facts import PhoneRefers
from holdfast.voice.model.ids import CallSid
from tests.stories.leg_events import APP, EVENTS, pages, redirect

PAIR = ("redirect P", "redirect P again", "redirect C", "end P", "end C", "hang up P", "hang up C", "action answers")
PUT_THROUGH = (
    *("P asks", "C asks", "redirect P", "redirect C", "end P", "end C", "hang up P", "hang up C", "refer answers"),
    *("C asks again", "time passes"),
)
QUEUED = (
    "redirect P",
    "redirect C",
    "dequeue P",
    "end P",
    "hang up P",
    "hang up C",
    "action answers",
    "dialler comes",
    "time passes",
)
RINGING = ("C answers", "C refuses", "redirect P", "redirect C", "end C", "hang up P", "time is over", "action answers")


class Scene:
    """Two calls, and what has been asked of them."""

    def __init__(self, *, killed: bool, start: str) -> None:
        self.world = world = World(killed=killed)
        pages(
            world,
            dial=f'<Dial action="/action" timeout="20"><Client {LEG}>c</Client></Dial>',
            transfer=f'<Dial action="/action" referUrl="/refer"><Client {LEG}>c</Client></Dial>',
            refer=f'<Dial referUrl="/refer" action="/action"><Client {LEG}>d</Client></Dial>',
            wait='<Enqueue action="/action" waitUrl="/music">q</Enqueue>',
            take='<Dial action="/action" timeout="10"><Queue url="/whisper">q</Queue></Dial>',
            whisper="<Pause length='3'/>",
            music='<Play loop="0">/music.mp3</Play>',
            action='<Play loop="0">/action.mp3</Play>',
            **{word: f'<Play loop="0">/{word}.mp3</Play>' for word in ("one", "two", "three", "four")},
        )
        world.withheld_urls.add(f"{APP}/action")
        self.first = world.calls_in("p", f"{APP}/{start}", events=("completed",))
        children = world.children(self.first)
        self.second = children[0] if children else world.calls_in("c", f"{APP}/take", events=("completed",))
        self.won: dict[CallSid, str] = {}
        """The document of each call's last accepted redirect."""

    def do(self, deed: str) -> None:
        """One thing happens."""
        world, first, second = self.world, self.first, self.second
        deeds: dict[str, Callable[[], None]] = {
            "redirect P": lambda: self.redirect(first, "one"),
            "redirect P again": lambda: self.redirect(first, "two"),
            "redirect C": lambda: self.redirect(second, "three"),
            "end P": lambda: self.end(first),
            "end C": lambda: self.end(second),
            "hang up P": lambda: self.gone(first),
            "hang up C": lambda: self.gone(second),
            "action answers": lambda: world.release(f"{APP}/action"),
            "C answers": lambda: world.answers(second) if world.legs[second] == "called" else None,
            "C refuses": lambda: world.refuses(second, 486) if world.legs[second] == "called" else None,
            "time is over": lambda: world.passes(25),
            "time passes": lambda: world.passes(4),
            "dequeue P": self.dequeue,
            "P asks": lambda: self.asks(first),
            "C asks": lambda: self.asks(second),
            "C asks again": lambda: self.asks(second),
            "refer answers": lambda: world.release(f"{APP}/refer"),
            "dialler comes": lambda: self.comes("d"),
        }
        deeds[deed]()
        world.check()

    def redirect(self, call: CallSid, word: str) -> None:
        before = self.world.call(call)
        try:
            redirect(self.world, call, f"/{word}")
            self.won[call] = word
        except CallNotInProgress:
            assert self.world.call(call) == before, "a refused redirect changed something"

    def end(self, call: CallSid) -> None:
        before = self.world.call(call)
        try:
            self.world.post(EndCall(call=call))
        except CallNotInProgress:
            assert not before.live

    def gone(self, call: CallSid) -> None:
        if self.world.legs.get(call) in ("up", "calling"):
            self.world.hangs_up(call)

    def asks(self, call: CallSid) -> None:
        """The phone asks that its peer is put through; it always gets one answer."""
        if self.world.legs.get(call) == "up":
            before = len(self.world.effects)
            self.world.post(PhoneRefers(call=call, target="<sip:d@192.0.2.9>"))
            answered = [each for each in self.world.effects[before:] if isinstance(each, AnswerReferral)]
            assert [each.call for each in answered] == [call]
            if answered[0].sip_code == 202:
                assert self.world.legs[call] == "gone", "who was let go is hung up"

    def comes(self, name: str) -> None:
        self.world.calls_in(name, f"{APP}/take", events=("completed",))

    def dequeue(self) -> None:
        for queue in list(self.world.state.queues.values()):
            try:
                command = DequeueMember(queue=queue.sid, call=self.first, request=WebRequest(url=f"{APP}/four"))
                self.world.post(command)
                self.won[self.first] = "four"
            except AskedWrong:
                assert all(member.call != self.first for member in queue.members)

    def outcome(self) -> None:
        """What must be true in the end."""
        world = self.world
        world.passes(60)
        world.check()
        ends = Counter(told["CallSid"] for told in world.callbacks if told["CallStatus"] in ENDS)
        for call in world.state.calls.values():
            assert ends[call.sid] == (0 if call.live else 1), "a call's end is told exactly once"
            if not call.live:
                assert not call.scripts
                assert world.legs[call.sid] == "gone"
            elif call.sid in self.won:
                assert world.heard_by(call.sid) == f"{APP}/{self.won[call.sid]}.mp3", "the last accepted redirect wins"
            elif call.controlled_by is None:
                assert call.script("main") is not None, "a living call that is nobody's child has a document"
        for room in world.state.rooms.values():
            assert len(room.participants) in (0, 2), "nobody is alone in a bridge"
        for queue in world.state.queues.values():
            waiting = [member.call for member in queue.members] + [dialler.call for dialler in queue.diallers]
            assert all(world.call(call).live for call in waiting)


LEG = f'statusCallback="/leg" statusCallbackEvent="{" ".join(EVENTS)}"'
ENDS = ("completed", "busy", "failed", "no-answer", "canceled")


def tell(start: str, first: tuple[str, ...], deeds: list[str]) -> None:
    """The same story straight and killed and rebuilt: the same effects, and one outcome for each call."""
    straight, rebuilt = Scene(killed=False, start=start), Scene(killed=True, start=start)
    for deed in (*first, *deeds):
        straight.do(deed)
        rebuilt.do(deed)
        assert straight.world.effects == rebuilt.world.effects, deed
    straight.outcome()


def orders(deeds: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """Some of these, in any order."""
    return st.permutations(deeds).flatmap(lambda all_of_them: st.integers(1, len(deeds)).map(lambda n: all_of_them[:n]))


@settings(max_examples=150, deadline=None)
@given(deeds=orders(PAIR))
def test_two_connected_parties(deeds: list[str]) -> None:
    tell("dial", ("C answers",), deeds)


@settings(max_examples=100, deadline=None)
@given(deeds=orders(PUT_THROUGH))
def test_two_connected_parties_and_a_transfer(deeds: list[str]) -> None:
    tell("transfer", ("C answers",), deeds)


@settings(max_examples=150, deadline=None)
@given(deeds=orders(RINGING))
def test_a_ringing_call(deeds: list[str]) -> None:
    tell("dial", (), deeds)


@settings(max_examples=150, deadline=None)
@given(deeds=orders(QUEUED))
def test_peers_of_a_queue(deeds: list[str]) -> None:
    tell("wait", (), deeds)
