"""A world without sockets or clocks in which calls become stories: fake time, fake phones, web pages as text.

Everything between them is the engine's own: the state, the machines, the verbs. With `killed=True` all state passes
through the journal's text after each message and every running generator is discarded, as after a crash.
Length: all that a story may do and look at, in one place.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from holdfast.voice.control.conference.audio import hears
from holdfast.voice.control.entities import Call, RoomStatus
from holdfast.voice.control.read_only_state import Message
from holdfast.voice.control.serialization import entries_of, restored, snapshots
from holdfast.voice.control.state import EngineState
from holdfast.voice.model.commands import (
    Callback,
    CreateCall,
    Instruction,
    ReceiveCall,
    Target,
    WebRequest,
)
from holdfast.voice.model.effects import (
    AnswerLeg,
    AnswerReferral,
    Beep,
    CaptureChannels,
    ChangeCapture,
    DetectSpeech,
    DropUnheard,
    Effect,
    EraseCapture,
    FetchDocument,
    HangUpLeg,
    HearsChanged,
    LogNotification,
    LogRefusal,
    PlaceLeg,
    PlaySound,
    PostCallback,
    ReferLeg,
    RefuseLeg,
    RingLeg,
    RouteAudio,
    Seat,
    StartCapture,
    StartTimer,
    StopCapture,
    StopFetch,
    StopSound,
    StopTimer,
    VerbBegan,
)
from holdfast.voice.model.facts import (
    CaptureBegan,
    CaptureEnded,
    CaptureQuiet,
    DigitPressed,
    DocumentFetched,
    DocumentFetchFailed,
    LegAnswered,
    LegEnded,
    LegRefused,
    LegRinging,
    LegSpeaks,
    SoundEnded,
    SoundFailed,
    TimerFired,
)
from holdfast.voice.model.ids import AccountSid, CallSid, RecordingSid, RoomSid, Token, call_of, derive
from holdfast.voice.model.ports import JournalEntry, Snapshot

ACCOUNT = AccountSid("AC" + "0" * 32)
START = 1_700_000_000.0
Page = str | Callable[[dict[str, str]], str] | None
"""What a web server answers: TwiML, a function of the form, `audio` for an audio file, or None for an error 404."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequestSeen:
    """A request that a web server received."""

    url: str
    method: str
    form: dict[str, str]
    kind: str = "document"

    def __getitem__(self, name: str) -> str:
        return self.form[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeepHeard:
    """A beep, and the calls that heard it."""

    tone: str
    listeners: tuple[CallSid, ...]


@dataclass(slots=True, kw_only=True)
class RecordedTape:
    """A recording that is being made."""

    voices: CaptureChannels
    quiet_s: float
    began: float
    mode: str = "on"


@dataclass(slots=True)
class World:
    """The engine's state with fake phones and fake web servers around it."""

    killed: bool = False
    pages: dict[str, Page] = field(default_factory=dict)
    now: float = START
    state: EngineState = field(default_factory=EngineState)
    effects: list[Effect] = field(default_factory=list)
    web: list[WebRequestSeen] = field(default_factory=list)
    """Every request to a web server, in the order sent: those of `document_requests` and of `callbacks`."""
    document_requests: list[WebRequestSeen] = field(default_factory=list)
    callbacks: list[WebRequestSeen] = field(default_factory=list)
    notifications: list[LogNotification] = field(default_factory=list)
    refusals: list[LogRefusal] = field(default_factory=list)
    """The messages that a table did not list: in a story there are none."""
    entries: list[JournalEntry] = field(default_factory=list)
    """The journal's lines, oldest first."""
    stored: dict[tuple[str, str], Snapshot] = field(default_factory=dict)
    """The newest snapshot of each noun and each participant."""
    playing: dict[CallSid, tuple[Token, str, int]] = field(default_factory=dict)
    seats: dict[CallSid, tuple[RoomSid, Seat]] = field(default_factory=dict)
    """The place of each participant in the audio of its room."""
    beeps: list[BeepHeard] = field(default_factory=list)
    listening: set[CallSid] = field(default_factory=set)
    """The calls for which voice activity is reported."""
    legs: dict[CallSid, str] = field(default_factory=dict)
    withheld_urls: set[str] = field(default_factory=set)
    """The addresses whose answers, or audio, are withheld until `release`."""
    captures: dict[RecordingSid, RecordedTape] = field(default_factory=dict)
    """The recordings that are being made."""
    quiet: bool = False
    """Whether no party speaks, so that recordings are absent."""
    withheld: dict[Token, WebRequestSeen] = field(default_factory=dict)
    loading: dict[CallSid, tuple[Token, str, int]] = field(default_factory=dict)
    """The audio that is not loaded yet, by the call that is to hear it."""
    _timers: list[tuple[float, int, Token]] = field(default_factory=list)
    _stopped: set[int] = field(default_factory=set)
    _named: dict[Token, int] = field(default_factory=dict)
    _count: int = 0
    _inbox: list[Message] = field(default_factory=list)

    # --- what a story does --------------------------------------------------------------------------------

    def calls_in(
        self,
        name: str,
        url: str = "",
        *,
        twiml: str | None = None,
        to: str = "+15550100",
        events: Sequence[str] = (),
        fallback: str = "",
    ) -> CallSid:
        """Let a phone call a number whose document is at `url`, or is `twiml`."""
        sid = CallSid(derive("CA", name))
        self.legs[sid] = "calling"
        self.post(
            ReceiveCall(
                call=sid,
                account=ACCOUNT,
                from_=f"client:{name}",
                to=to,
                instruction=_instruction(url, twiml, fallback),
                callback=_callback(events),
            )
        )
        return sid

    def place(self, name: str, url: str = "", *, twiml: str | None = None, events: Sequence[str] = ()) -> CallSid:
        """Create a call by REST."""
        sid = CallSid(derive("CA", name))
        self.post(
            CreateCall(
                call=sid,
                account=ACCOUNT,
                target=Target(to=f"client:{name}"),
                from_="+15550199",
                instruction=_instruction(url, twiml, ""),
                callback=_callback(events),
            )
        )
        return sid

    def rings(self, call: CallSid) -> None:
        """Let the called phone ring."""
        self.post(LegRinging(call=call))

    def answers(self, call: CallSid, sip: tuple[tuple[str, str], ...] = ()) -> None:
        """Let the called phone answer, with these details in its SIP answer."""
        self.legs[call] = "up"
        self.post(LegAnswered(call=call, sip_params=sip))

    def refuses(self, call: CallSid, sip_code: int) -> None:
        """Let the called phone, or the way to it, refuse."""
        self.legs[call] = "gone"
        self.post(LegRefused(call=call, sip_code=sip_code))

    def hangs_up(self, call: CallSid) -> None:
        """Let the phone hang up."""
        cause = "hangup" if self.legs.get(call) == "up" else "canceled"
        self.legs[call] = "gone"
        self.post(LegEnded(call=call, cause=cause))  # type: ignore[arg-type]  # one of the literals above

    def presses(self, call: CallSid, digits: str) -> None:
        """Let the phone send DTMF digits."""
        for digit in digits:
            self.post(DigitPressed(call=call, digit=digit))

    def passes(self, seconds: float) -> None:
        """Let time pass, and fire the timers that become due within it."""
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            at, number, token = heapq.heappop(self._timers)
            if number in self._stopped:
                self._stopped.discard(number)
                continue
            self.now = max(self.now, at)
            self._named.pop(token, None)
            self.post(TimerFired(token=token))
        self.now = until

    def sound_ends(self, call: CallSid) -> None:
        """Let the audio that this call's player plays end."""
        token, _, _ = self.playing.pop(call)
        self.post(SoundEnded(token=token))

    def sound_fails(self, call: CallSid, code: int = 11200) -> None:
        """Let the audio that this call should hear fail."""
        token, source, _ = (self.loading if call in self.loading else self.playing).pop(call)
        self.post(SoundFailed(token=token, code=code, message=f"{source} failed"))

    def speaks(self, call: CallSid, *, begins: bool = True) -> None:
        """Let the party of a call begin to speak, or stop; it is reported only if voice activity is listened for."""
        if call in self.listening:
            self.post(LegSpeaks(call=call, speaks=begins))

    def falls_silent(self, call: CallSid) -> None:
        """Let a recording of this call have silence for as long as its limit."""
        for recording, tape in list(self.captures.items()):
            if tape.quiet_s and any(call == of for of, _ in self.voices(recording)):
                self.post(CaptureQuiet(recording=recording))

    def disk_fills(self) -> None:
        """End every recording with a write error."""
        for recording, tape in list(self.captures.items()):
            del self.captures[recording]
            took = self.now - tape.began
            self.post(CaptureEnded(recording=recording, duration_s=took, error="no space left on device"))

    def release(self, url: str) -> None:
        """Let the withheld web server answer."""
        self.withheld_urls.discard(url)
        for token, asked in list(self.withheld.items()):
            if asked.url == url:
                del self.withheld[token]
                self.post(self._answer(token, asked))
        for call, sound in list(self.loading.items()):
            if sound[1] == url:
                self.playing[call] = self.loading.pop(call)

    def post(self, message: Message) -> None:
        """Post a message to the engine's state, and carry out all that follows from it. Raises: AskedWrong."""
        self._apply(message)
        while self._inbox:
            self._apply(self._inbox.pop(0))

    def _apply(self, message: Message) -> None:
        step = self.state.apply(message, self.now)
        self.entries += entries_of(step, self.now)
        for snapshot in snapshots(step):
            self.stored[snapshot.noun, snapshot.sid] = snapshot
            if not snapshot.data:
                del self.stored[snapshot.noun, snapshot.sid]
        if self.killed:
            self.crash()
        for effect in step.effects:
            self.effects.append(effect)
            self._carry_out(effect)

    def crash(self) -> None:
        """Discard all state, and restore it from the snapshots of all steps."""
        reborn = EngineState(default_country=self.state.default_country)
        reborn.restore(restored(self.stored.values()))
        assert reborn.calls == self.state.calls
        assert reborn.rooms == self.state.rooms
        assert reborn.queues == self.state.queues
        assert reborn.recordings == self.state.recordings
        self.state = reborn

    # --- what a story looks at --------------------------------------------------------------------------------

    def call(self, sid: CallSid) -> Call:
        """Return the call as it is now."""
        return self.state.calls[sid]

    def children(self, parent: CallSid) -> list[CallSid]:
        """Return the legs that a call has dialled, oldest first."""
        return [call.sid for call in self.state.calls.values() if call.parent == parent]

    def route(self, call: CallSid) -> tuple[CallSid, ...] | None:
        """Return the calls that a call hears by the seats it was given; None for its own player."""
        room, seat = self.seats.get(call, (None, None))
        if seat is None or seat.held or not seat.listens:
            return None
        return tuple(
            other
            for other, (of, theirs) in self.seats.items()
            if of == room and other != call and not theirs.held and not theirs.muted and theirs.coach in (None, call)
        )

    def routes(self) -> dict[CallSid, tuple[CallSid, ...] | None]:
        """Return what each participant hears by the seats it was given."""
        return {call: self.route(call) for call in self.seats}

    def voices(self, recording: RecordingSid) -> list[tuple[CallSid, str]]:
        """Return whose audio is captured now, and on which side; a room's is that of all who may be heard there."""
        sources = [source for channel in self.captures[recording].voices for source in channel]
        said = [(call, seat) for call, (room, seat) in self.seats.items() if (room, "says") in sources]
        room_says = [(call, "says") for call, seat in said if not (seat.held or seat.muted or seat.coach)]
        return [*((CallSid(of), side) for of, side in sources if of in self.state.calls), *room_says]

    def heard_by(self, call: CallSid) -> object:
        """Return what a call hears: other calls, the source of its audio, or `silence`; `nothing` once it is over."""
        if not self.state.calls[call].live:
            return "nothing"
        route = self.route(call)
        if route is not None:
            return frozenset(route) if route else "silence"
        if call in self.seats and self.seats[call][1].rings:
            return "silence"
        return self.playing[call][1] if call in self.playing else "silence"

    def events(self) -> list[str]:
        """Return the conference events posted so far, in order."""
        return [told["StatusCallbackEvent"] for told in self.callbacks if told.kind == "conference"]

    def urls(self) -> list[str]:
        """Return the addresses of the documents requested so far, in order; superseded requests included."""
        return [asked.url for asked in self.document_requests]

    def check(self) -> None:
        """Assert what must always hold: routes follow the rooms, no ended call is heard, no message was refused."""
        assert self.refusals == []
        for room in self.state.rooms.values():
            if room.status is RoomStatus.COMPLETED:
                continue
            for call, heard in hears(room).items():
                assert self.seats[call][0] == room.sid
                assert self.route(call) == heard, (call, self.route(call), heard)
        for call, heard in self.routes().items():
            for other in heard or ():
                assert self.state.calls[other].live, f"{call} hears {other}, which is over"
        for call in self.playing:
            assert self.state.calls[call].live, f"a sound plays to {call}, which is over"

    # --- the shell ----------------------------------------------------------------------------------------

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case RouteAudio(room=room, seats=seats, left=left):
                for call in left:
                    if self.seats[call][0] == room:
                        del self.seats[call]
                self.seats.update({seat.call: (room, seat) for seat in seats})
            case Beep(room=room, tone=tone, without=without):
                inside = [call for call, (of, seat) in self.seats.items() if of == room and not seat.held]
                if listeners := tuple(call for call in inside if call not in without):
                    self.beeps.append(BeepHeard(tone=tone, listeners=listeners))
            case DetectSpeech(calls=calls, enabled=wanted):
                self.listening = self.listening | set(calls) if wanted else self.listening - set(calls)
            case PlaySound(token=token, source=source, rounds=rounds, while_loading=None):
                ears = self.loading if source in self.withheld_urls else self.playing
                self.loading.pop(call_of(token), None)
                ears[call_of(token)] = (token, source, rounds)
            case PlaySound(token=token, source=source, rounds=rounds, while_loading=awaited):
                if self.loading.get(call_of(token), ("",))[0] == awaited:
                    self.playing[call_of(token)] = (token, source, rounds)
            case StopSound(token=token):
                if self.loading.get(call_of(token), ("",))[0] == token:
                    del self.loading[call_of(token)]
                if self.playing.get(call_of(token), ("",))[0] == token:
                    del self.playing[call_of(token)]
            case StartTimer(token=token, after_s=after_s):
                self._count += 1
                self._named[token] = self._count
                heapq.heappush(self._timers, (self.now + after_s, self._count, token))
            case StopTimer(token=token):
                if token in self._named:
                    self._stopped.add(self._named.pop(token))
            case FetchDocument(token=token, request=request):
                asked = WebRequestSeen(url=request.url, method=request.method, form=dict(request.form))
                self.document_requests.append(asked)
                self.web.append(asked)
                if request.url in self.withheld_urls:
                    self.withheld[token] = asked
                else:
                    self._inbox.append(self._answer(token, asked))
            case StopFetch(token=token):
                self.withheld.pop(token, None)
            case PostCallback(kind=kind, request=request):
                told = WebRequestSeen(url=request.url, method=request.method, form=dict(request.form), kind=kind)
                self.web.append(told)
                (self.document_requests if kind == "superseded" else self.callbacks).append(told)
            case LogNotification():
                self.notifications.append(effect)
            case PlaceLeg(call=call):
                self.legs[call] = "called"
            case StartCapture(recording=recording):
                self.captures[recording] = RecordedTape(
                    voices=effect.channels, quiet_s=effect.silence_s, began=self.now
                )
                self._inbox.append(CaptureBegan(recording=recording, url=f"https://engine.example/{recording}"))
            case ChangeCapture(recording=recording) if recording in self.captures:
                self.captures[recording].mode = effect.mode
            case StopCapture(recording=recording) if recording in self.captures:
                took = self.now - self.captures.pop(recording).began
                self._inbox.append(CaptureEnded(recording=recording, duration_s=0 if self.quiet else took))
            case AnswerLeg(call=call):
                self.legs[call] = "up"
            case HangUpLeg(call=call) | RefuseLeg(call=call):
                self.legs[call] = "gone"
            case LogRefusal():
                self.refusals.append(effect)
            case ChangeCapture() | StopCapture() | EraseCapture() | DropUnheard() | VerbBegan() | HearsChanged():
                pass
            case RingLeg() | ReferLeg() | AnswerReferral():
                pass
            case _:
                assert_never(effect)

    def _answer(self, token: Token, asked: WebRequestSeen) -> Message:
        page = self.pages.get(asked.url)
        if callable(page):
            page = page(asked.form)
        if page is None:
            message = f"{asked.url} answered 404"
            return DocumentFetchFailed(token=token, url=asked.url, code=11200, message=message)
        if page == "audio":
            return DocumentFetched(token=token, url=asked.url, content_type="audio/mpeg", clip=asked.url)
        return DocumentFetched(token=token, url=asked.url, content_type="text/xml", body=page)


def _instruction(url: str, text: str | None, fallback: str) -> Instruction:
    return Instruction(
        request=WebRequest(url=url) if url else None,
        twiml=text,
        base_url="https://app.example/",
        fallback=WebRequest(url=fallback) if fallback else None,
    )


def _callback(events: Sequence[str]) -> Callback | None:
    return Callback(url="https://app.example/status", events=tuple(events)) if events else None


def twiml(inside: str) -> str:
    """Return a document around these verbs."""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>'
