"""All rows of the media process: what control asks of them, and what a tick does with them.

Point of view: *send* is from us to the party, *receive* from the party to us. Units: `now` seconds of the machine's
monotonic clock.

Length: the rows' arrays are changed in one place, and this is it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media import dtmf, rtp
from holdfast.voice.media.clips import ClipBroken, ClipTooLong
from holdfast.voice.media.frames import Bytes, Numbers
from holdfast.voice.media.keying import Event, packet, plan
from holdfast.voice.media.latch import Latch, describe, hear, reopen
from holdfast.voice.media.reception import Reception
from holdfast.voice.media.routing import Hears
from holdfast.voice.media.srtp import KeyWrong, Srtp, SrtpKeys
from holdfast.voice.media.tick import Sound
from holdfast.voice.model.errors import AskedWrong
from holdfast.voice.runtime.mediaplane import captures as c
from holdfast.voice.runtime.mediaplane import messages as m
from holdfast.voice.runtime.mediaplane.addresses import CommandImpossible, usable
from holdfast.voice.runtime.mediaplane.errors import RowsFull
from holdfast.voice.runtime.mediaplane.outbox import Outbox
from holdfast.voice.runtime.mediaplane.packets import Arrived, PacketIO
from holdfast.voice.runtime.mediaplane.ports import Ports
from holdfast.voice.runtime.mediaplane.reports import Reports
from holdfast.voice.runtime.mediaplane.statistics import statistics

LAWS: Mapping[m.Codec, int] = {"PCMU": 0, "PCMA": 1, "G722": 0}
PAYLOAD_TYPES: Mapping[m.Codec, int] = {"PCMU": 0, "PCMA": 8, "G722": 9}
"""Source: RFC 3551 §6."""

ROUNDS = 8
"""Packets taken of one socket in one tick. What else waits there is taken in the next one."""

RELATCH_S = 2.0
SILENCE_S = 10.0
REPORT_TICKS = 250
CHECK_TICKS = 10
MOST_SOUND = 500
"""Bytes of sound in a packet: 60 ms and some. Larger ones are refused."""

_NONE = 255


@dataclass(slots=True, kw_only=True)
class Row:
    """A leg in use, as control described it."""

    leg: m.Leg
    port: int
    latch: Latch
    codec: m.Codec = "PCMU"
    dtmf_payload_type: int | None = None
    send: bool = False
    srtp: Srtp | None = None
    hears: m.Hears = None
    token: str | None = None
    clip_id: str | None = None
    press: dtmf.Press | None = None
    silences_told: int = 0


class Plane:
    """Rows by leg, and the arrays they index. Everything here happens between ticks, or is one."""

    def __init__(
        self,
        *,
        ports: Ports,
        clip_frames: int,
        outbox: Outbox,
        make_io: Callable[[Bytes], PacketIO],
        silence_s: float = SILENCE_S,
    ) -> None:
        rows = ports.rows
        self._silence_s = silence_s
        self._ports = ports
        self._facts = outbox
        self.sound = Sound(rows=rows, clip_frames=clip_frames)
        self._io: PacketIO = make_io(self.sound.headers.packets)
        self.reports = Reports(f"holdfast@{ports.ip}")
        self._reception = Reception(rows)
        self._arrived = Arrived.room_for(rows)
        self._rows: dict[int, Row] = {}
        self._row_of: dict[m.Leg, int] = {}
        self._payload_type: NDArray[np.uint8] = np.full(rows, _NONE, dtype=np.uint8)
        self._dtmf_type: NDArray[np.uint8] = np.full(rows, _NONE, dtype=np.uint8)
        self._may_speak: NDArray[np.bool_] = np.zeros(rows, dtype=np.bool_)
        self._sealed: NDArray[np.bool_] = np.zeros(rows, dtype=np.bool_)
        self._settled: NDArray[np.bool_] = np.zeros(rows, dtype=np.bool_)
        self._heard_at: NDArray[np.float64] = np.zeros(rows, dtype=np.float64)
        self._refused: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._received: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._recorders = c.Recorders(outbox.put)
        self._high = 0
        self._sending: Numbers = np.zeros(0, dtype=np.intp)
        self._unheard: set[int] = set()
        self._keying: dict[int, tuple[Sequence[Event | None], int]] = {}
        """Keys being pressed for a leg: what is sent in each tick, and how many ticks of it are over."""
        self._ticks = 0

    @property
    def in_use(self) -> int:
        """How many rows are."""
        return len(self._rows)

    # --- what control asks ------------------------------------------------------------------------------------

    def answer(self, request: m.Request, sound: bytes, now: float) -> m.Reply:
        """Do what is asked; what is impossible is said so."""
        number = request.number
        try:
            match request:
                case m.Batch():
                    for command in request.commands:
                        self._carry_out(command, now)
                    return m.Done(number=number)
                case m.OpenRow():
                    return self._open(number, request.leg, now)
                case m.PutClip():
                    self.sound.bank.put(
                        request.clip_id,
                        sound,
                        offset=request.offset,
                        total=request.total,
                        in_play=self.sound.players.in_play(),
                    )
                    return m.Done(number=number)
                case m.AskClip():
                    return m.ClipKnown(number=number, known=request.clip_id in self.sound.bank)
                case m.ListRows():
                    return m.RowList(number=number, rows=self.states())
                case _:
                    assert_never(request)
        except RowsFull as error:
            return m.NotDone(number=number, why="full", message=error.message)
        except (AskedWrong, ClipTooLong, ClipBroken) as error:
            return m.NotDone(number=number, why="wrong", message=error.message)

    def greeting(self) -> m.Attached:
        """What a control that comes is told. What the one before was about to give is forgotten, what it had recorded
        is over: whoever comes makes whole files of the parts that are there.
        """
        self.sound.bank.forget_parts()
        self._recorders.end_all()
        return m.Attached(pid=os.getpid(), capacity=self._ports.rows, rows=self.states())

    def states(self) -> tuple[m.RowState, ...]:
        """Every row in use."""
        return tuple(
            m.RowState(
                leg=row.leg,
                row=number,
                ip=self._ports.ip,
                port=row.port,
                remote=row.latch.sends_to,
                latched=row.latch.settled is not None,
                codec=row.codec,
                dtmf_payload_type=row.dtmf_payload_type,
                send=row.send,
                receive=bool(self._may_speak[number]),
                srtp=None if row.srtp is None else row.srtp.keys.profile,
                hears=row.hears,
                playing=row.token,
                clip_id=row.clip_id,
                packets_received=int(self._received[number]),
                packets_sent=int(self.sound.headers.sent[number]),
            )
            for number, row in self._rows.items()
        )

    def _open(self, number: int, leg: m.Leg, now: float) -> m.RowOpened:
        """A row for a leg; the one it has, if it has one. Raises: RowsFull."""
        at = self._row_of.get(leg)
        if at is None:
            pair = self._ports.take(now)
            at = pair.row
            self._io.open(at, pair.rtp)
            # A sequence that does not wrap at once leaves no doubt about SRTP's rollover counter (RFC 3711 §3.3.1).
            ssrc, sequence, timestamp = secrets.randbits(32), secrets.randbits(15), secrets.randbits(32)
            self.sound.open(at, ssrc=ssrc, sequence=sequence, timestamp=timestamp)
            self.reports.open(at, pair.rtcp, ssrc=ssrc)
            self._reception.open(at)
            self._rows[at] = Row(leg=leg, port=pair.port, latch=Latch())
            self._row_of[leg] = at
            self._payload_type[at] = self._dtmf_type[at] = _NONE
            self._may_speak[at] = self._settled[at] = self._sealed[at] = False
            self._refused[at] = self._received[at] = 0
            self._high = max(self._rows) + 1
            self._reroute()
        return m.RowOpened(number=number, row=at, ip=self._ports.ip, port=self._rows[at].port)

    def _carry_out(self, command: m.Command, now: float) -> None:
        """Closing, stopping and routing are never impossible: what they name may just have ended."""
        match command:
            case m.DescribeRow():
                try:
                    self._describe(command, now)
                except CommandImpossible as error:
                    self._facts.put(m.Refused(leg=command.leg, command="describe-row", token=None, message=str(error)))
            case m.Play(token=token):
                try:
                    self._play(command)
                except CommandImpossible as error:
                    self._facts.put(m.Refused(leg=command.leg, command="play", token=token, message=str(error)))
            case m.CloseRow():
                self._close(command.leg, now)
            case m.Stop():
                at = self._row_of.get(command.leg)
                if at is not None and self._rows[at].token == command.token:
                    self._silence(at)
            case m.Route():
                for leg, hears in command.hears:
                    if (at := self._row_of.get(leg)) is not None:
                        self._rows[at].hears = hears
                self._reroute()
            case m.Beep(legs=legs, tone=tone):
                self.sound.beeps.begin((at for leg in legs if (at := self._row_of.get(leg)) is not None), tone=tone)
            case c.OpenCapture() | c.ChangeCapture() | c.CloseCapture():
                self._recorders.carry_out(command, self._row_of)
            case _:
                assert_never(command)

    def _describe(self, command: m.DescribeRow, now: float) -> None:
        at = self._known(command.leg)
        row = self._rows[at]
        srtp = _srtp(command.srtp, before=row.srtp)
        speaks_again = command.receive and not self._may_speak[at]
        self._follow(at, describe(row.latch, named=usable(command.remote), may_speak_again=speaks_again))
        row.codec, row.dtmf_payload_type, row.send = command.codec, command.dtmf_payload_type, command.send
        row.srtp, self._sealed[at] = srtp, srtp is not None
        self.reports.seal(at, srtp)
        codec = command.codec
        self.sound.describe(at, law=LAWS[codec], may_speak=command.receive, g722=codec == "G722")
        self._payload_type[at] = PAYLOAD_TYPES[codec]
        self.sound.keys.listen(at, wanted=command.dtmf_payload_type is None and command.receive)
        self._dtmf_type[at] = _NONE if command.dtmf_payload_type is None else command.dtmf_payload_type
        self._may_speak[at] = command.receive
        if speaks_again:
            self._heard_at[at] = now
            row.silences_told = 0
        self._find_sending()

    def _close(self, leg: m.Leg, now: float) -> None:
        at = self._row_of.pop(leg, None)
        if at is None:
            return
        self._facts.put(self._statistics(at, final=True))
        row = self._rows.pop(at)
        self.reports.close(at, remote=row.latch.sends_to)
        self._io.close(at)
        self._ports.give_back(at, now)
        self._unheard.discard(at)
        self._keying.pop(at, None)
        self._may_speak[at] = self._settled[at] = False
        self.sound.close(at)
        self._high = max(self._rows, default=-1) + 1
        self._find_sending()
        self._reroute()

    def _play(self, command: m.Play) -> None:
        at = self._known(command.leg)
        clip = self.sound.bank.get(command.clip_id)
        if clip is None:
            raise CommandImpossible(f"there is no clip {command.clip_id}")
        self.sound.players.start(at, clip, rounds=command.loops)
        self._rows[at].token, self._rows[at].clip_id = command.token, command.clip_id
        self._unheard.add(at)
        self._keying.pop(at, None)
        if command.digits:
            self._keying[at] = plan(command.digits) * command.loops, 0

    def _known(self, leg: m.Leg) -> int:
        """The leg's row. Raises: CommandImpossible."""
        at = self._row_of.get(leg)
        if at is None:
            raise CommandImpossible(f"leg {leg} has no row")
        return at

    def _silence(self, at: int) -> None:
        self.sound.players.stop(at)
        self._rows[at].token = self._rows[at].clip_id = None
        self._unheard.discard(at)
        self._keying.pop(at, None)

    def _reroute(self) -> None:
        """Translate who hears whom into rows; legs that are not open are silent."""
        hears: dict[int, Hears] = {}
        for at, row in self._rows.items():
            heard = row.hears
            if heard is not None and heard:
                heard_rows = (self._row_of.get(leg) for leg in heard)
                hears[at] = tuple(other for other in heard_rows if other is not None)
            else:
                hears[at] = () if heard is not None else None
        self.sound.route(hears)
        if self._recorders.in_use:
            self._recorders.rows_changed(self._row_of)

    def _find_sending(self) -> None:
        sending = sorted(at for at, row in self._rows.items() if row.send and row.latch.sends_to is not None)
        self._sending = np.array(sending, dtype=np.intp)

    def _follow(self, at: int, latch: Latch) -> None:
        """Make the row's socket do what its latch says."""
        row = self._rows[at]
        if latch == row.latch:
            return
        if latch.settled is None:
            self._io.disconnect(at)
            self._settled[at] = False
        elif self._io.connect(at, latch.settled):
            self._settled[at] = True
            self._facts.put(m.FirstPacket(leg=row.leg, source=latch.settled))
        else:
            latch = reopen(row.latch)
        row.latch = latch
        self._io.aim(at, latch.sends_to)
        self._find_sending()

    # --- the tick ---------------------------------------------------------------------------------------------

    def receive(self, now: float) -> None:
        """Take in what has come, some packets of every row."""
        for round_number in range(ROUNDS):
            count = self._io.receive(self._arrived, round_number=round_number)
            if not count:
                return
            self._take(count, now)

    def _take(self, count: int, now: float) -> None:
        """One packet of each of some rows: who may speak, is it believed, is it sound or a key."""
        rows, data, lengths = self._arrived.rows[:count], self._arrived.data[:count], self._arrived.lengths[:count]
        for k in np.flatnonzero(self._sealed[rows]).tolist():
            self._unseal(int(rows[k]), data[k], lengths[k : k + 1])
        packets = rtp.read(data, lengths)
        is_event = packets.payload_type == self._dtmf_type[rows]
        believed = packets.good & self._may_speak[rows] & (packets.size <= MOST_SOUND)
        believed &= is_event | (packets.payload_type == self._payload_type[rows])
        for k in np.flatnonzero(~self._settled[rows]).tolist():
            believed[k] = believed[k] and self._settle(int(rows[k]), self._arrived.sources.get(k))
        self._refused[rows[~believed]] += 1
        heard = rows[believed]
        self._received[heard] += 1
        self._heard_at[heard] = now
        self._reception.count(
            heard,
            ssrc=packets.ssrc[believed],
            sequence=packets.sequence[believed],
            timestamp=packets.timestamp[believed],
            arrival=int(now * 8000),
        )
        self.sound.put(packets, data, rows, believed & ~is_event & (packets.size > 0))
        events = np.flatnonzero(believed & is_event)
        if events.size:
            self.sound.jitter.rest(rows[events])
        for k in events.tolist():
            row = self._rows[int(rows[k])]
            start, size = int(packets.start[k]), int(packets.size[k])
            row.press, digit = dtmf.hear(
                row.press,
                data[k, start : start + size].tobytes(),
                timestamp=int(packets.timestamp[k]),
                marker=bool(packets.marker[k]),
            )
            if digit is not None:
                self._facts.put(m.DigitPressed(leg=row.leg, digit=digit))

    def _unseal(self, at: int, data: Bytes, length: Numbers) -> None:
        """Open a sealed packet in its place; one that cannot be opened is no packet."""
        srtp = self._rows[at].srtp
        opened = None if srtp is None else srtp.open(data[: length[0]].tobytes())
        length[0] = 0
        if opened is not None:
            data[: len(opened)] = np.frombuffer(opened, dtype=np.uint8)
            length[0] = len(opened)

    def _settle(self, at: int, source: m.Address | None) -> bool:
        """A valid packet came to a row that listens to everybody: whether it is believed."""
        if source is not None:
            self._follow(at, hear(self._rows[at].latch, source))
        return bool(self._settled[at])

    def tick(self, now: float, *, skipped: int) -> None:
        """One pass: every leg's next packet is made and sent; what began and ended with it is told."""
        ended = self.sound.tick(self._high, skipped=skipped)
        if self._recorders.in_use:
            self._recorders.tick(self.sound.frames, self.sound.heard, self.sound.law, skipped=skipped)
        for at, digit in self.sound.pressed:
            self._facts.put(m.DigitPressed(leg=self._rows[at].leg, digit=digit))
        sent = self._send()
        self.sound.headers.advance(self._high, sent, skipped=skipped)
        if self._unheard:
            self._tell_started(sent, time.monotonic())
        for at in ended.tolist():
            row = self._rows[at]
            if row.token is not None:
                self._facts.put(m.SoundEnded(leg=row.leg, token=row.token))
            row.token = row.clip_id = None
            self._unheard.discard(at)
        self._ticks += 1
        if self._ticks % CHECK_TICKS == 0:
            self._check_silence(now)
        self._report(now)

    def _send(self) -> Numbers:
        """Send every packet that is to leave; the rows whose packet was taken."""
        events = self._press() if self._keying else {}
        apart = self._sealed[self._sending]
        if events:
            apart |= np.isin(self._sending, list(events))
        if not apart.any():
            return self._io.send(self._sending)
        sent = [self._io.send(self._sending[~apart])]
        for at in self._sending[apart].tolist():
            data = events[at] if at in events else self.sound.headers.packets[at].tobytes()
            srtp = self._rows[at].srtp
            if self._io.send_instead(at, data if srtp is None else srtp.seal(data)):
                sent.append(np.array([at], dtype=np.intp))
        return np.sort(np.concatenate(sent))

    def _press(self) -> dict[int, bytes]:
        """The events of this tick, by row. A leg without telephone events hears tones, which its player plays."""
        events: dict[int, bytes] = {}
        headers = self.sound.headers
        for at, (ticks, over) in list(self._keying.items()):
            self._keying[at] = ticks, over + 1
            if over + 1 >= len(ticks):
                del self._keying[at]
            event, kind = ticks[over], self._rows[at].dtmf_payload_type
            if event is not None and kind is not None and self._rows[at].hears is None:
                events[at] = packet(
                    event,
                    payload_type=kind,
                    sequence=int(headers.sequence[at]),
                    timestamp=int(headers.timestamp[at]),
                    ssrc=headers.ssrc(at),
                )
        return events

    def _tell_started(self, sent: NDArray[np.intp], handed_over: float) -> None:
        gone = set(sent.tolist())
        for at in sorted(self._unheard):
            row = self._rows[at]
            if at in gone and row.hears is None and row.token is not None:
                self._unheard.discard(at)
                self._facts.put(m.SoundStarted(leg=row.leg, token=row.token, monotonic_s=handed_over))

    def _check_silence(self, now: float) -> None:
        """Open the latch of rows whose party is silent; tell of those silent for long."""
        quiet_s = now - self._heard_at[: self._high]
        for at in np.flatnonzero(self._may_speak[: self._high] & (quiet_s >= RELATCH_S)).tolist():
            row = self._rows.get(at)
            if row is None:
                continue
            if row.latch.settled is not None:
                self._follow(at, reopen(row.latch))
            silences = int(quiet_s[at] / self._silence_s)
            if silences != row.silences_told:
                row.silences_told = silences
                if silences:
                    self._facts.put(m.RtpSilent(leg=row.leg, silent_s=round(float(quiet_s[at]), 2)))

    def _report(self, now: float) -> None:
        """Each row's turn to be reported comes once in five seconds: its RTCP, and its statistics half way between."""
        for at in range(self._ticks % REPORT_TICKS, self._high, REPORT_TICKS):
            row = self._rows.get(at)
            if row is not None:
                self._facts.put(self._statistics(at))
        for at in range((self._ticks + REPORT_TICKS // 2) % REPORT_TICKS, self._high, REPORT_TICKS):
            row = self._rows.get(at)
            if row is not None and (self.sound.headers.sent[at] or self._received[at]):
                self.reports.tell(
                    at,
                    remote=row.latch.sends_to,
                    timestamp=int(self.sound.headers.timestamp[at]),
                    packets=int(self.sound.headers.sent[at]),
                    standing=self._reception.standing(at),
                    now=now,
                )

    def _statistics(self, at: int, *, final: bool = False) -> m.Statistics:
        row, jitter = self._rows[at], self.sound.jitter
        return statistics(
            row.leg,
            row.codec,
            standing=self._reception.standing(at),
            view=self.reports.view(at),
            round_trip_ms=self.reports.round_trip_ms(at),
            sent=int(self.sound.headers.sent[at]),
            received=int(self._received[at]),
            late=int(jitter.late[at]),
            refused=int(self._refused[at]),
            concealed=int(self.sound.concealment.concealed[at]),
            depth=int(jitter.depth[at]),
            final=final,
        )

    def hear_reports(self, now: float) -> None:
        """RTCP waits in some sockets."""
        for at in self.reports.waiting():
            self.reports.hear(at, remote=self._rows[at].latch.sends_to, now=now)

    def close(self, now: float) -> None:
        """End every recording and every leg."""
        self._recorders.close()
        for leg in list(self._row_of):
            self._close(leg, now)


def _srtp(keys: m.Srtp | None, *, before: Srtp | None) -> Srtp | None:
    """What seals a row's packets from now on. Raises: CommandImpossible."""
    if keys is None:
        return None
    try:
        return Srtp(SrtpKeys(send=keys.send, receive=keys.receive, profile=keys.profile), before)
    except KeyWrong as error:
        raise CommandImpossible(error.message) from error
