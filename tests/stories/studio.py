"""A world with ears: the stories' board, and behind it the media process's own arrays, fed by phones that never rest.

Each leg hums a tone of its own that nobody may hear (`SECRET`) while it is on hold, or muted, or with nobody, and
another one (`OPEN`) while it may be heard. Whatever is sent to a leg, and whatever is recorded, is looked at in every
tick. Between are the engine's own: `Sounding`, `Recorder`, `Plane`. What waits for the journal waits here too, until
`commit`.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Any, NamedTuple, cast

import numpy as np
from G722 import G722
from numpy.typing import NDArray

from holdfast.testing.world import World
from holdfast.voice.control.entities import RoomStatus
from holdfast.voice.control.read_only_state import Message
from holdfast.voice.media.codec.g711 import DECODE, ENCODE
from holdfast.voice.media.dtmf.event_receiver import DIGITS
from holdfast.voice.media.dtmf.tone_generator import tone
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers
from holdfast.voice.media.rtp.latch import Address, AdmittedSources
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.legs import recording_files
from holdfast.voice.media_process.server import MediaServer
from holdfast.voice.media_process.sockets.plain import ReceivedDatagrams
from holdfast.voice.media_process.sockets.rtp_ports import PortPair, Ports
from holdfast.voice.model.commands import ReceiveCall
from holdfast.voice.model.effects import (
    AnswerLeg,
    Effect,
    HangUpLeg,
    MediaEffect,
    PlaceLeg,
    PlaySound,
    RefuseLeg,
    RingLeg,
    StartCapture,
    StopCapture,
    StopSound,
)
from holdfast.voice.model.facts import LegAnswered, LegRinging, LegSpeaks, PhoneHeld, PhoneResumed
from holdfast.voice.model.ids import AccountSid, CallSid, RecordingSid
from holdfast.voice.model.payload_types import Codec
from holdfast.voice.runtime.audio_effects import AudioEffectExecutor
from holdfast.voice.runtime.media_client import MediaClient
from holdfast.voice.runtime.recordings.recorder import Recorder
from tests.engine_ports import make_mailbox

ROWS = 14
EVENTS = 101
LOUD = 2500.0
"""What a leg hums, 16-bit samples: all of them together are no louder than a line can be."""
PRESENT = 0.25 * LOUD
MUSIC = "music"
CODECS: tuple[Codec, ...] = ("PCMU", "PCMU", "PCMA", "G722", "G722")
HOLDS: tuple[tuple[bool, bool], ...] = ((False, True), (False, False))
"""Whether we send, and receive: `sendonly` or no address, whose microphone goes on, and `inactive`."""

# Even numbers of waves a frame, so that a tone goes on without a step however its frames are put together or made up;
# none near a beep.
_PLACES = iter([*range(4, 20, 2), *range(36, 78, 2)])
BIN = {(row, secret): next(_PLACES) for row in range(ROWS) for secret in (False, True)}
BETWEEN = [place for place in range(1, 80) if place not in BIN.values() and not 20 <= place < 36]
"""Where there is neither a hum nor a beep."""


VOICES = list(BIN)
PLACES = np.array(list(BIN.values()))


@cache
def hum(row: int, *, secret: bool) -> NDArray[np.int16]:
    """Return one frame of a row's hum."""
    wave = LOUD * np.sin(2 * np.pi * BIN[row, secret] * np.arange(SAMPLES) / SAMPLES)
    samples: NDArray[np.int16] = np.rint(wave).astype(np.int16)
    return samples


@cache
def companded_hum(row: int, companding: int, *, secret: bool) -> bytes:
    """Return one frame of a row's hum as G.711."""
    return bytes(ENCODE[companding][hum(row, secret=secret).astype(np.intp) + 32768])


def voices_in(frames: NDArray[np.float64]) -> list[set[tuple[int, bool]]]:
    """Return whose hums are in each frame: row, and whether it is the secret one.

    All hums are equally loud. G.722 that has just begun, or lost a frame, smears what it carries: of a frame in which
    much lies between the hums nothing can be told, but by the next ones.
    """
    if not len(frames):
        return []
    strength = np.abs(np.fft.rfft(frames)) * 2 / SAMPLES
    hums = strength[:, PLACES]
    most = hums.max(axis=1)
    present = hums > np.maximum(PRESENT, 0.4 * most)[:, None]
    present &= (strength[:, BETWEEN].max(axis=1) <= most / 2)[:, None]
    found: list[set[tuple[int, bool]]] = [set() for _ in frames]
    for frame, place in np.argwhere(present).tolist():
        found[frame].add(VOICES[place])
    return found


class Leak(AssertionError):
    """Somebody was heard who should not have been."""


class Wire:
    """Packets in memory, behind the contract of `PacketIO`."""

    def __init__(self, packets: Bytes) -> None:
        self._lines = packets
        self._waiting: dict[int, deque[bytes]] = {}
        self._connected: set[int] = set()
        self.sent: dict[int, bytes] = {}

    def open(self, row: int, sock: Any) -> None:
        sock.close()
        self._waiting[row] = deque()
        self._connected.discard(row)

    def close(self, row: int) -> None:
        del self._waiting[row]

    def set_destination(self, row: int, address: Address | None) -> None:
        pass

    def connect(self, row: int, address: Address) -> bool:
        self._connected.add(row)
        return True

    def disconnect(self, row: int) -> None:
        self._connected.discard(row)

    def admit(self, row: int, admitted: AdmittedSources) -> None:
        pass

    def watch(self, row: int, address: Address | None) -> None:
        pass

    @property
    def has_watched(self) -> bool:
        return False

    def unauthenticated(self, row: int) -> tuple[int, Address | None]:
        return 0, None

    def receive_watched(self, datagrams: ReceivedDatagrams) -> int:
        return 0

    def deliver(self, row: int, data: bytes) -> None:
        if row in self._waiting:
            self._waiting[row].append(data)

    def receive(self, datagrams: ReceivedDatagrams, *, round_number: int) -> int:
        datagrams.sources.clear()
        rows = [row for row, waiting in self._waiting.items() if waiting]
        for place, row in enumerate(rows):
            data = self._waiting[row].popleft()
            datagrams.data[place, : len(data)] = np.frombuffer(data, dtype=np.uint8)
            datagrams.lengths[place] = len(data)
            if row not in self._connected:
                datagrams.sources[place] = remote(row)
        datagrams.rows[: len(rows)] = rows
        return len(rows)

    def send(self, rows: Numbers, sizes: Numbers) -> Numbers:
        self.sent = {
            row: self._lines[row, :size].tobytes() for row, size in zip(rows.tolist(), sizes.tolist(), strict=True)
        }
        return rows


def remote(row: int) -> Address:
    """Where the phone of a row is."""
    return f"192.0.2.{row + 1}", 4000


class NoSocket:
    """What a row has in place of a socket here: a pipe into which no one writes."""

    def __init__(self) -> None:
        self._ends = os.pipe()

    def fileno(self) -> int:
        """The end that is read."""
        return self._ends[0]

    def setsockopt(self, *_: object) -> None:
        """Set nothing."""

    def sendto(self, data: bytes, to: Address) -> int:
        """Send nothing, and say that it went."""
        return len(data)

    def close(self) -> None:
        """Close both ends."""
        for end in self._ends:
            os.close(end)


class NoPorts(Ports):
    """Rows without ports."""

    def acquire(self, now: float) -> PortPair:
        row = self._next_row(now)
        assert row is not None, "more legs than rows"
        return PortPair(
            row=row,
            port=self.base + 2 * row,
            rtp=cast(Any, NoSocket()),
            rtcp=cast(Any, NoSocket()),
        )


class Direct(MediaClient):
    """Control's side of the media process, without a process."""

    def __init__(self, plane: MediaServer) -> None:
        super().__init__(Path("none"))
        self._plane = plane
        self.away = False
        """Whether what is told is lost."""

    def _send_batch(self, commands: tuple[m.Command, ...]) -> None:
        if self.away:
            return
        for command in commands:
            assert self._plane.handle(command, b"", 0.0) is None
        assert self._plane.handle(m.Apply(number=1), b"", 0.0) == m.Done(number=1)


class Clips:
    """A library with one sound, which is every sound."""

    def __init__(self, media: Direct) -> None:
        self._media = media

    def carry_out(self, effect: PlaySound | StopSound) -> None:
        if isinstance(effect, StopSound):
            self._media.send(effect)
        elif effect.while_loading is None:
            self._media.send(m.PlayClip(token=effect.token, clip_id=MUSIC, loops=0))

    def forget(self, call: CallSid) -> None:
        pass


class Memory(recording_files.Writer):
    """What is written down, kept in memory."""

    def __init__(self) -> None:
        self.written: dict[str, bytearray] = {}
        self.channels: dict[str, int] = {}
        self.done: SimpleQueue[tuple[str, str]] = SimpleQueue()

    def open(self, name: str, path: Path, *, channels: int) -> None:
        self.written[name], self.channels[name] = bytearray(), channels

    def write(self, name: str, block: bytes) -> None:
        self.written[name] += block

    def close(self, name: str) -> None:
        self.done.put((name, ""))

    def end(self, *, timeout_s: float = 2.0) -> None:
        pass


class Moment(NamedTuple):
    """By row: who was to be heard by nobody in a tick, who by not all, who heard the tone of a key; whose each was."""

    unheard: frozenset[int]
    coaching: frozenset[int]
    toned: frozenset[int]
    rows: Mapping[CallSid, int]


@dataclass(slots=True, kw_only=True)
class Handset:
    """The phone of a leg."""

    row: int
    codec: Codec
    events: bool
    described: bool = False
    sends: bool = True
    """Whether we are to send to it."""
    speaks: bool = True
    packets: int = 0
    presses: int = 0
    coder: G722 = field(default_factory=lambda: G722(8000, 64_000))
    said: deque[tuple[bytes, bool]] = field(default_factory=lambda: deque(maxlen=25))
    """Payloads of the latest half second, and whether nobody is to hear them."""


@dataclass(slots=True)
class Studio(World):
    """A world in which everything is heard."""

    dice: Random = field(default_factory=lambda: Random(1))
    holds: tuple[tuple[bool, bool], ...] = HOLDS
    """The forms in which phones hold."""
    codecs: tuple[Codec, ...] = CODECS
    """What phones speak, one of these each."""
    ticks: int = 0
    handsets: dict[CallSid, Handset] = field(default_factory=dict)
    began: dict[str, int] = field(default_factory=dict)
    """The tick in which each recording began."""
    heard: set[tuple[CallSid, CallSid]] = field(default_factory=set)
    """Who was heard by whom, ever."""
    moments: list[Moment] = field(default_factory=list)
    _late: deque[Effect] = field(default_factory=deque)
    _air: list[tuple[int, bytes]] = field(default_factory=list)
    facts: FactQueue = field(default_factory=lambda: FactQueue(limit=10_000))
    writer: Memory = field(init=False)
    wire: Wire = field(init=False)
    plane: MediaServer = field(init=False)
    media: Direct = field(init=False)
    recorder: Recorder = field(init=False)
    sounding: AudioEffectExecutor = field(init=False)

    def __post_init__(self) -> None:
        self.writer = Memory()
        wires: list[Wire] = []

        def make_wire(packets: Bytes) -> Wire:
            wires.append(Wire(packets))
            return wires[0]

        ports = NoPorts(ip="127.0.0.1", base=20_000, rows=ROWS, rest_s=0.0)
        self.plane = MediaServer(ports=ports, clip_frames=50, facts=self.facts, make_io=make_wire)
        self.plane._recorders._writer = self.writer
        self.wire = wires[0]
        self.media = Direct(self.plane)
        silence = b"\xff" * SAMPLES
        self.plane.handle(m.PutClip(number=1, clip_id=MUSIC, total=SAMPLES, offset=0), silence, 0.0)
        self.recorder = Recorder(
            media=self.media,
            folder=Path("none"),
            url="",
            account=AccountSid(""),
            events=make_mailbox(),
            tasks=cast("asyncio.TaskGroup", None),
        )
        self.sounding = AudioEffectExecutor(
            media=self.media, rows=lambda: self.handsets.keys(), sounds=Clips(self.media), captures=self.recorder
        )

    # --- what happens -------------------------------------------------------------------------------------------

    def post(self, message: Message) -> None:
        self._land()
        match message:
            case ReceiveCall(call=call):
                self._open(call)
            case LegAnswered(call=call):
                self._describe(call)
            case LegRinging(call=call, early_media=True):
                self._describe(call)
            case PhoneHeld(call=call):
                sends, receives = self.dice.choice(self.holds)
                self._describe(call, sends=sends, receives=receives)
            case PhoneResumed(call=call):
                self._describe(call)
            case _:
                pass
        World.post(self, message)

    def presses(self, call: CallSid, digits: str) -> None:
        """The phone sends some keys, in its own way: the media process hears the row's own key, control `digits`."""
        handset = self.handsets.get(call)
        if handset is not None and handset.described:
            for _ in range(self.dice.choice((1, 4))):
                self._press(call, handset)
        World.presses(self, call, digits)

    def media_comes_back(self) -> None:
        """The media process went on; it can be told again, and is."""
        self.media.away = False
        self.plane.greeting()
        with self.media.batch():
            for call, handset in self.handsets.items():
                if handset.described:
                    self._describe(call, sends=handset.sends, receives=handset.speaks)
            self.sounding.resend(self.state.rooms.values())

    def commit(self) -> None:
        """The journal has it all: what waited for that is carried out."""
        while self._late:
            self._perform(self._late.popleft())
        for call in [call for call in self.handsets if self.legs.get(call) == "gone"]:
            self.media.send(m.CloseRow(leg=call))
            del self.handsets[call]

    def listen(self, ticks: int) -> None:
        """Let so many ticks pass. Raises: Leak."""
        for _ in range(ticks):
            for call, handset in self.handsets.items():
                self._say(call, handset)
            self.plane.receive(self.ticks * 0.02)
            self.plane.tick(skipped=0)
            self._look()
            self.ticks += 1

    def end(self) -> None:
        """Close everything, and look at what was recorded. Raises: Leak."""
        self.commit()
        self.plane.close(0.0)
        for name in self.began:
            self._look_at_recording(RecordingSid(name))

    def keys_wait_for(self, call: CallSid) -> bool:
        """Whether keys wait to be pressed for this leg."""
        row = self.handsets[call].row
        return row in self.plane._sender._digits or row in self.plane._mix_engine.tone_generator._waiting

    def recorded(self, sid: RecordingSid) -> list[list[set[tuple[int, bool]]]]:
        """Whose hums are in each frame of each channel of a recording that is over."""
        samples = np.frombuffer(bytes(self.writer.written[sid]), dtype="<i2")
        frames = samples.reshape(-1, SAMPLES, self.writer.channels[sid]).astype(float)
        return [voices_in(channel) for channel in frames.transpose(2, 0, 1)]

    def _carry_out(self, effect: Effect) -> None:
        World._carry_out(self, effect)
        if isinstance(effect, MediaEffect):
            self.sounding.carry_out(effect)
        elif isinstance(effect, PlaceLeg | RingLeg | AnswerLeg | HangUpLeg | RefuseLeg | StartCapture | StopCapture):
            self._late.append(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case PlaceLeg(call=call):
                if self.legs[call] != "gone":
                    self._open(call)
            case AnswerLeg(call=call) | RingLeg(call=call, early_media=True):
                held = self.state.calls[call].phone_held
                self._describe(call, sends=not held)
            case StartCapture(recording=recording):
                self.recorder.carry_out(effect)
                self.began.setdefault(recording, self.ticks)
            case StopCapture():
                self.recorder.carry_out(effect)
            case _:
                pass

    # --- phones -------------------------------------------------------------------------------------------------

    def _open(self, call: CallSid) -> None:
        if len(self.handsets) == ROWS:
            self.commit()
        opened = self.plane.handle(m.OpenRow(number=1, leg=call), b"", self.ticks * 0.02)
        assert isinstance(opened, m.RowOpened)
        self.handsets[call] = Handset(
            row=opened.row, codec=self.dice.choice(self.codecs), events=self.dice.random() < 0.6
        )

    def _describe(self, call: CallSid, *, sends: bool = True, receives: bool = True) -> None:
        if call not in self.handsets and self.legs.get(call) == "called":
            # It rings before the journal has it that it was called: not so in the world.
            self.commit()
        handset = self.handsets.get(call)
        if handset is None:
            return
        handset.described, handset.sends, handset.speaks = True, sends, receives
        self.media.send(
            m.DescribeRow(
                leg=call,
                remote=remote(handset.row),
                codec=handset.codec,
                dtmf_payload_type=EVENTS if handset.events else None,
                send=sends,
                receive=receives,
            )
        )

    def _packet(self, handset: Handset, payload_type: int, payload: bytes, *, at: int) -> bytes:
        head = (0x80, payload_type, handset.packets % 2**16, SAMPLES * at % 2**32, handset.row + 1)
        handset.packets += 1
        return (
            bytes(head[:2])
            + head[2].to_bytes(2, "big")
            + head[3].to_bytes(4, "big")
            + head[4].to_bytes(4, "big")
            + payload
        )

    def _say(self, call: CallSid, handset: Handset) -> None:
        """A frame of its hum leaves a phone, and comes, comes late, or is lost."""
        secret = self.unheard(call)
        if handset.codec == "G722":
            payload, kind = bytes(handset.coder.encode(hum(handset.row, secret=secret))), 9
        else:
            companding = ("PCMU", "PCMA").index(handset.codec)
            payload, kind = companded_hum(handset.row, companding, secret=secret), (0, 8)[companding]
        handset.said.append((payload, secret))
        data = self._packet(handset, kind, payload, at=self.ticks)
        match self.dice.random():
            case lost if lost < 0.08:
                pass
            case late if late < 0.16:
                self._air.append((handset.row, data))
            case _:
                self.wire.deliver(handset.row, data)
        if self.dice.random() < 0.5:
            self._land()

    def _land(self) -> None:
        """What is late has come."""
        for row, data in self._air:
            self.wire.deliver(row, data)
        self._air.clear()

    def _press(self, call: CallSid, handset: Handset) -> None:
        digit = DIGITS[handset.row]
        handset.presses += 1
        if not handset.events:
            self.media.send(m.RelayDigit(leg=call, digit=digit))
            return
        if not handset.speaks:
            return
        event = bytes([handset.row, 0x8A]) + (800).to_bytes(2, "big")
        data = self._packet(handset, EVENTS | 0x80, event, at=self.ticks + 10 * handset.presses)
        self.wire.deliver(handset.row, data)
        # Once it is taken in it is told like all that happens between two ticks.
        self.plane.receive(self.ticks * 0.02)

    # --- what may be heard ----------------------------------------------------------------------------------------

    def unheard(self, sid: CallSid) -> bool:
        """Whether nobody may hear this party now: it is on hold in any way, holds, is muted, or is with nobody."""
        call, room = self.state.calls[sid], self.state.room_of(sid)
        if not call.live or call.phone_held:
            return True
        if room is None:
            # What a phone sends before it answers is heard by whoever called it.
            return not (call.status in ("queued", "ringing") and call.controlled_by is not None)
        one = room.participant(sid)
        assert one is not None
        begun = room.kind == "bridge" or room.status is RoomStatus.IN_PROGRESS
        # What the phone of a party that is called in sends before it answers is heard by the room, if that was asked.
        audible = begun if one.status == "connected" else one.early_media
        return one.held or one.muted or not audible

    def may_hear(self, ear: CallSid, other: CallSid) -> bool:
        """Whether this ear may hear that party now."""
        if self.unheard(other) or not self.handsets[ear].sends:
            return False
        room = self.state.room_of(other)
        if room is None:
            return self.state.calls[other].controlled_by == ear
        mine, theirs = room.participant(ear), room.participant(other)
        if mine is None or theirs is None or mine.held or mine.status != "connected" or ear == other:
            return False
        return not theirs.coaching or theirs.coach == ear

    def _look(self) -> None:
        by_row = {handset.row: call for call, handset in self.handsets.items()}
        toned = set()
        rows = np.array([handset.row for handset in self.handsets.values()], dtype=np.intp)
        sound, companding = self.plane._mix_engine.tx[rows], self.plane._mix_engine.companding[rows]
        voices = voices_in(DECODE[companding[:, None], sound].astype(float))
        for place, (ear, handset) in enumerate(self.handsets.items()):
            tones = TONES[companding[place]].get(sound[place].tobytes(), "")
            if tones:
                toned.add(handset.row)
            else:
                self._look_at(ear, voices[place], by_row)
            for digit in self._pressed_for(handset, tones):
                other = by_row.get(DIGITS.index(digit))
                if other is None or not self.may_hear(ear, other):
                    raise Leak(f"{ear} is pressed the key {digit} of {other}")
            packet = self.wire.sent.get(handset.row)
            if packet is not None and handset.codec == "G722" and packet[1] & 127 == 9:
                payload = packet[12:]
                for other, theirs in self.handsets.items():
                    secret = (payload, True) in theirs.said
                    if secret or ((payload, False) in theirs.said and not self.may_hear(ear, other)):
                        raise Leak(f"{ear} is sent the very frames of {other}")
        while (fact := self.facts.pop()) is not None:
            if isinstance(fact, LegSpeaks) and fact.speaks and self.unheard(fact.call):
                raise Leak(f"{fact.call} is told to speak")
        self.moments.append(
            Moment(
                unheard=frozenset(row for row, call in by_row.items() if self.unheard(call)),
                coaching=frozenset(row for row, call in by_row.items() if self._coaches(call)),
                toned=frozenset(toned),
                rows={call: row for row, call in by_row.items()},
            )
        )

    def _coaches(self, call: CallSid) -> bool:
        room = self.state.room_of(call)
        one = None if room is None else room.participant(call)
        return one is not None and one.coaching

    def _look_at(self, ear: CallSid, voices: set[tuple[int, bool]], by_row: Mapping[int, CallSid]) -> None:
        for row, secret in voices:
            other = by_row.get(row)
            if secret:
                raise Leak(f"tick {self.ticks}: {ear} hears what {other} said while nobody was to hear it")
            if other is None or not self.may_hear(ear, other):
                raise Leak(f"tick {self.ticks}: {ear} hears {other}")
            self.heard.add((ear, other))

    def _pressed_for(self, handset: Handset, tones: str) -> Iterator[str]:
        """Yield the keys that a leg is pressed in this tick, by event or by tone."""
        packet = self.wire.sent.get(handset.row)
        if packet is not None and packet[1] & 127 == EVENTS:
            yield DIGITS[packet[12]]
        yield from tones

    def _look_at_recording(self, sid: RecordingSid) -> None:
        """Each frame of a recording, beside the moment it is from."""
        if sid not in self.writer.channels:
            return
        recording = self.state.recordings[sid]
        for moment, channels in zip(
            self.moments[self.began[sid] :], zip(*self.recorded(sid), strict=True), strict=False
        ):
            own = None if recording.call is None else moment.rows.get(recording.call)
            if own in moment.toned:
                continue
            for channel, voices in enumerate(channels):
                for row, secret in voices:
                    if row == own and channel == 0:
                        continue
                    if secret or row in moment.unheard or (recording.room and row in moment.coaching):
                        raise Leak(f"{sid} of {recording.call or recording.room} has row {row}, secret={secret}")


def _tones(companding: int) -> dict[bytes, str]:
    """Return each frame of a digit's tone, with the digits of which it is a frame."""
    tones: dict[bytes, str] = {}
    for digit in DIGITS:
        samples = np.rint(32767 * tone(digit)).astype(np.intp)
        for frame in {frame.tobytes() for frame in ENCODE[companding][samples + 32768].reshape(-1, SAMPLES)}:
            tones[frame] = tones.get(frame, "") + digit
    return tones


TONES = [_tones(companding) for companding in (0, 1)]
