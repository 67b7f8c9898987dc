"""The legs of the media process: what control asks of them, and the tick.

Units: `now` seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable
from typing import assert_never

from holdfast.voice.media.frames import Bytes, Numbers
from holdfast.voice.media.mix.clips import ClipBroken, ClipTooLong
from holdfast.voice.media.mix.routing import Hears
from holdfast.voice.media.rtp.latch import Latch, describe
from holdfast.voice.media.rtp.srtp import KeyWrong, SrtpKeys, SrtpSession
from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link import recording_messages as rm
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.errors import RowsFull
from holdfast.voice.media_process.legs import recording_files as c
from holdfast.voice.media_process.legs.addresses import CommandImpossible, usable
from holdfast.voice.media_process.legs.dtmf_relay import DtmfRelay
from holdfast.voice.media_process.legs.latching import Latching
from holdfast.voice.media_process.legs.periodic_reports import SILENCE_S, PeriodicReports
from holdfast.voice.media_process.legs.rows import LAWS, LegRows, Row
from holdfast.voice.media_process.legs.rtcp_sockets import RtcpSockets
from holdfast.voice.media_process.legs.rtp_receive import RtpReceiver
from holdfast.voice.media_process.legs.rtp_send import RtpSender
from holdfast.voice.media_process.sockets.plain import PacketIO
from holdfast.voice.media_process.sockets.ports import Ports
from holdfast.voice.model.errors import AskedWrong

LOOK_S = 0.5
"""How often it is looked whether a row is free: of one that has rested nothing else tells."""


class MediaServer:
    """Everything here happens between ticks, or is one."""

    def __init__(
        self,
        *,
        ports: Ports,
        clip_frames: int,
        outbox: FactQueue,
        make_io: Callable[[Bytes], PacketIO],
        silence_s: float = SILENCE_S,
    ) -> None:
        self._ports = ports
        self._facts = outbox
        self._rows = rows = LegRows(ports.rows)
        self._sound = MixEngine(rows=ports.rows, clip_frames=clip_frames)
        self._io: PacketIO = make_io(self._sound.headers.packets)
        self.reports = RtcpSockets(f"holdfast@{ports.ip}")
        self._latching = Latching(rows, self._io, outbox)
        self._outgoing = RtpSender(rows, io=self._io, headers=self._sound.headers)
        self._passing = DtmfRelay(rows, outgoing=self._outgoing, tones=self._sound.key_tones)
        self._intake = RtpReceiver(
            rows,
            io=self._io,
            sound=self._sound,
            latching=self._latching,
            passing=self._passing,
            facts=outbox,
        )
        self._telling = PeriodicReports(
            rows,
            sound=self._sound,
            reception=self._intake.reception,
            reports=self.reports,
            latching=self._latching,
            facts=outbox,
            silence_s=silence_s,
        )
        self._recorders = c.Recorders(outbox.put)
        self._unheard: set[int] = set()
        self._rows_left = True
        """Whether control believes that a row is free."""
        self._look_at = 0.0

    @property
    def in_use(self) -> int:
        """How many rows are."""
        return len(self._rows.used)

    # --- what control asks ------------------------------------------------------------------------------------

    def answer(self, request: m.Request, sound: bytes, now: float) -> m.Reply:
        """Do what is asked; what is impossible is said so."""
        number = request.number
        try:
            match request:
                case m.RequestBatch():
                    for command in request.commands:
                        self._carry_out(command, now)
                    return m.Done(number=number)
                case m.OpenRow():
                    return self._open(number, request.leg, now)
                case m.PutClip():
                    self._sound.bank.put(
                        request.clip_id,
                        sound,
                        offset=request.offset,
                        total=request.total,
                        in_play=self._sound.players.in_play(),
                    )
                    return m.Done(number=number)
                case m.AskClip():
                    return m.ClipKnown(number=number, known=request.clip_id in self._sound.bank)
                case m.ListRows():
                    return m.RowList(number=number, rows=self.states())
                case _:
                    assert_never(request)
        except RowsFull as error:
            return m.NotDone(number=number, why="full", message=error.message)
        except (AskedWrong, ClipTooLong, ClipBroken) as error:
            return m.NotDone(number=number, why="wrong", message=error.message)

    def greeting(self) -> m.ControlAttached:
        """What a control that comes is told. What the one before was about to give is forgotten, what it had recorded
        is over: whoever comes makes whole files of the parts that are there.
        """
        self._sound.bank.forget_parts()
        self._recorders.end_all()
        self._rows_left, self._look_at = True, 0.0
        return m.ControlAttached(pid=os.getpid(), capacity=self._ports.rows, rows=self.states())

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
                receive=bool(self._rows.may_speak[number]),
                srtp=self._rows.srtp[number].keys.profile if number in self._rows.srtp else None,
                hears=row.hears,
                playing=row.token,
                clip_id=row.clip_id,
                packets_received=int(self._rows.received[number]),
                packets_sent=int(self._sound.headers.sent[number]),
            )
            for number, row in self._rows.used.items()
        )

    def _open(self, number: int, leg: m.Leg, now: float) -> m.RowOpened:
        """A row for a leg; the one it has, if it has one. Raises: RowsFull."""
        at = self._rows.of.get(leg)
        if at is None:
            self._look_at = now
            pair = self._ports.take(now)
            at = pair.row
            self._io.open(at, pair.rtp)
            # A sequence that does not wrap at once leaves no doubt about SRTP's rollover counter (RFC 3711 §3.3.1).
            ssrc, sequence, timestamp = secrets.randbits(32), secrets.randbits(15), secrets.randbits(32)
            self._sound.open(at, ssrc=ssrc, sequence=sequence, timestamp=timestamp)
            self.reports.open(at, pair.rtcp, ssrc=ssrc)
            self._intake.reception.open(at)
            self._rows.open(at, Row(leg=leg, port=pair.port, latch=Latch()), now=now)
            self._reroute(self._rows.hearing(leg))
        return m.RowOpened(number=number, row=at, ip=self._ports.ip, port=self._rows.used[at].port)

    def _carry_out(self, command: m.Command, now: float) -> None:
        """Closing, stopping and routing are never impossible: what they name may just have ended."""
        match command:
            case m.DescribeRow():
                try:
                    self._describe(command, now)
                except CommandImpossible as error:
                    self._facts.put(
                        m.RequestRefused(leg=command.leg, command="describe-row", token=None, message=str(error))
                    )
            case m.PlayClip(token=token):
                try:
                    self._play(command)
                except CommandImpossible as error:
                    self._facts.put(m.RequestRefused(leg=command.leg, command="play", token=token, message=str(error)))
            case m.CloseRow():
                self._close(command.leg, now)
            case m.StopClip():
                at = self._rows.of.get(command.leg)
                if at is not None and self._rows.used[at].token == command.token:
                    self._silence(at)
            case m.RouteRows():
                known = [(at, hears) for leg, hears in command.hears if (at := self._rows.of.get(leg)) is not None]
                for at, hears in known:
                    self._rows.used[at].hears = hears
                    self._passing.rerouted(at)
                self._reroute(at for at, _ in known)
            case m.Drop(legs=legs):
                for at in (at for leg in legs if (at := self._rows.of.get(leg)) is not None):
                    self._sound.drop(at)
            case m.BeepRows(legs=legs, tone=tone):
                self._sound.beeps.begin((at for leg in legs if (at := self._rows.of.get(leg)) is not None), tone=tone)
            case m.PassOn(leg=leg, digit=digit):
                at = self._rows.of.get(leg)
                if at is not None:
                    self._passing.pass_on(self._rows.used[at], digit)
            case m.ListenToRows(legs=legs, wanted=wanted):
                for at in (at for leg in legs if (at := self._rows.of.get(leg)) is not None):
                    self._sound.speech.listen(at, wanted=wanted)
            case rm.OpenTap() | rm.ChangeTap() | rm.CloseTap():
                self._recorders.carry_out(command, self._rows.of)
            case _:
                assert_never(command)

    def _describe(self, command: m.DescribeRow, now: float) -> None:
        at = self._rows.known(command.leg)
        row = self._rows.used[at]
        srtp = _srtp(command.srtp, before=self._rows.srtp.get(at))
        speaks_again = command.receive and not self._rows.may_speak[at]
        latch = describe(
            row.latch,
            named=usable(command.remote),
            may_speak_again=speaks_again,
            host=command.signalled_from,
            rule=command.rtp_source,
        )
        self._latching.follow(at, latch)
        self.reports.seal(at, srtp)
        self._sound.describe(at, law=LAWS[command.codec], may_speak=command.receive, g722=command.codec == "G722")
        self._sound.let_hear(at, wanted=command.send)
        if not command.send:
            self._passing.rerouted(at)
        self._sound.keys.listen(at, wanted=command.dtmf_payload_type is None and command.receive)
        self._rows.describe(at, command, srtp=srtp, now=now)

    def _close(self, leg: m.Leg, now: float) -> None:
        at = self._rows.of.get(leg)
        if at is None:
            return
        self._facts.put(self._telling.statistics(at, final=True))
        row = self._rows.close(at)
        self.reports.close(at, remote=row.latch.sends_to)
        self._io.close(at)
        self._ports.give_back(at, now)
        self._look_at = now
        self._unheard.discard(at)
        self._outgoing.let_go(at)
        self._sound.close(at)
        self._reroute(self._rows.hearing(leg))

    def _play(self, command: m.PlayClip) -> None:
        at = self._rows.known(command.leg)
        clip = self._sound.bank.get(command.clip_id)
        if clip is None:
            raise CommandImpossible(f"there is no clip {command.clip_id}")
        self._sound.players.start(at, clip, rounds=command.loops)
        row = self._rows.used[at]
        row.token, row.clip_id = command.token, command.clip_id
        self._unheard.add(at)
        self._outgoing.let_go(at)
        if command.digits:
            self._outgoing.press(at, command.digits, rounds=command.loops)

    def _silence(self, at: int) -> None:
        self._sound.players.stop(at)
        self._over(at)
        self._outgoing.let_go(at)

    def _over(self, at: int) -> None:
        """The row's sound is."""
        row = self._rows.used[at]
        row.token = row.clip_id = None
        self._unheard.discard(at)

    def _reroute(self, ears: Iterable[int]) -> None:
        """Translate whom these rows hear into rows; legs that are not open are silent."""
        hears: dict[int, Hears] = {}
        for at in ears:
            heard = self._rows.used[at].hears
            known = None if heard is None else (self._rows.of.get(leg) for leg in heard)
            hears[at] = None if known is None else tuple(other for other in known if other is not None)
        self._sound.route(hears)
        if self._recorders.in_use:
            self._recorders.rows_changed(self._rows.of)

    # --- the tick ---------------------------------------------------------------------------------------------

    def receive(self, now: float) -> None:
        """Take in what has come, some packets of every row."""
        self._intake.receive(now)

    def tick(self, *, skipped: int) -> None:
        """One pass: every leg's next packet is made and sent; what began and ended with it is told."""
        rows, sound = self._rows, self._sound
        ended = sound.tick(rows.high, skipped=skipped)
        if self._recorders.in_use:
            self._recorders.tick(sound.frames, sound.heard, sound.law, skipped=skipped)
        for at, digit in sound.pressed:
            self._facts.put(m.RowDigitPressed(leg=rows.used[at].leg, digit=digit))
        for at, speaks in sound.turned:
            self._facts.put(m.SpeechTurned(leg=rows.used[at].leg, speaks=speaks))
        sent = self._outgoing.send(skipped=skipped)
        if self._unheard:
            self._tell_started(sent, time.monotonic())
        for at in ended.tolist():
            row = rows.used[at]
            if row.token is not None:
                self._facts.put(m.RowAudioEnded(leg=row.leg, token=row.token))
            self._over(at)

    def _tell_started(self, sent: Numbers, handed_over: float) -> None:
        gone = set(sent.tolist())
        for at in sorted(self._unheard):
            row = self._rows.used[at]
            if at in gone and row.hears is None and row.token is not None:
                self._unheard.discard(at)
                self._facts.put(m.RowAudioStarted(leg=row.leg, token=row.token, monotonic_s=handed_over))

    def tell(self, now: float) -> None:
        """The packets of a tick have left: tell what is due of the rows, hear what is told."""
        self._telling.tick(now)
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            if (left := self._ports.are_left(now)) is not self._rows_left:
                self._rows_left = left
                self._facts.put(m.RowsLeft(some=left))

    def close(self, now: float) -> None:
        """End every recording and every leg."""
        self._recorders.close()
        for leg in list(self._rows.of):
            self._close(leg, now)


def _srtp(keys: m.SrtpParameters | None, *, before: SrtpSession | None) -> SrtpSession | None:
    """What seals a row's packets from now on. Raises: CommandImpossible."""
    if keys is None:
        return None
    try:
        return SrtpSession(SrtpKeys(send=keys.send, receive=keys.receive, profile=keys.profile), before)
    except KeyWrong as error:
        raise CommandImpossible(error.message) from error
