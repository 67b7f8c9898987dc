"""The media server handles the requests of control and makes the tick.

Units: `now` is seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import assert_never

from holdfast.voice.media.frames import Bytes, Numbers
from holdfast.voice.media.mix.clips import ClipBroken, ClipTooLong
from holdfast.voice.media.rtp.latch import Latch, apply_sdp
from holdfast.voice.media.rtp.srtp import SrtpKeyInvalid, SrtpKeys, SrtpSession
from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link import recording_messages as rm
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.errors import RowsFull
from holdfast.voice.media_process.legs import recording_files
from holdfast.voice.media_process.legs.addresses import CommandImpossible, usable_address
from holdfast.voice.media_process.legs.latching import Latching
from holdfast.voice.media_process.legs.periodic_reports import SILENCE_S, PeriodicReports
from holdfast.voice.media_process.legs.rows import COMPANDING, LegRow, LegRows
from holdfast.voice.media_process.legs.rtcp_sockets import RtcpSockets
from holdfast.voice.media_process.legs.rtp_receive import RtpReceiver
from holdfast.voice.media_process.legs.rtp_send import DtmfRelay, RtpSender
from holdfast.voice.media_process.legs.seating import Seating
from holdfast.voice.media_process.sockets.plain import PacketIO
from holdfast.voice.media_process.sockets.rtp_ports import Ports
from holdfast.voice.model.effects import Beep, ChangeCapture, DetectSpeech, DropUnheard, RouteAudio, StopSound
from holdfast.voice.model.errors import AskedWrong
from holdfast.voice.model.facts import DigitPressed, HolderSounds, LegSpeaks, SoundEnded
from holdfast.voice.model.ids import CallSid, call_of

ENDLESS_ROUNDS = 1000
"""The loops that `loops=0` stands for. Source: TwiML <Play>, attribute loop."""
PORT_CHECK_S = 0.5
"""How often free rows are checked for: no event says that a row has rested."""


class MediaServer:
    """The media server holds all legs. All its methods run between ticks, or are the tick."""

    def __init__(
        self,
        *,
        ports: Ports,
        clip_frames: int,
        facts: FactQueue,
        make_io: Callable[[Bytes], PacketIO],
        silence_s: float = SILENCE_S,
    ) -> None:
        self._ports = ports
        self._facts = facts
        self._rows = rows = LegRows(ports.rows)
        self._mix_engine = MixEngine(rows=ports.rows, clip_frames=clip_frames)
        self._io: PacketIO = make_io(self._mix_engine.streams.packets)
        self.rtcp_sockets = RtcpSockets(f"holdfast@{ports.ip}")
        self._latching = Latching(rows, self._io, facts)
        self._seating = Seating(self._mix_engine.seats, rows.by_leg)
        self._sender = RtpSender(rows, io=self._io, streams=self._mix_engine.streams, seats=self._mix_engine.seats)
        self._dtmf_relay = DtmfRelay(rows, sender=self._sender, mix_engine=self._mix_engine)
        self._receiver = RtpReceiver(
            rows,
            io=self._io,
            mix_engine=self._mix_engine,
            latching=self._latching,
            dtmf_relay=self._dtmf_relay,
            facts=facts,
        )
        self._periodic_reports = PeriodicReports(
            rows,
            mix_engine=self._mix_engine,
            receiver_stats=self._receiver.receiver_stats,
            rtcp_sockets=self.rtcp_sockets,
            latching=self._latching,
            facts=facts,
            silence_s=silence_s,
        )
        self._recorders = recording_files.Recorders(facts.post, self._seating)
        self._commands: list[m.Command] = []
        """The commands since the last `Apply`."""
        self._not_started: set[int] = set()
        self._rows_available = True
        """Whether control was last informed that a row is free."""
        self._next_port_check = 0.0

    @property
    def in_use(self) -> int:
        """The number of rows in use."""
        return len(self._rows.used)

    # --- requests of control ------------------------------------------------------------------------------------

    def handle(self, request: m.Command | m.Request, audio: bytes, now: float) -> m.Reply | None:
        """Handle one message of control and return its reply; an impossible request gets `NotDone`.

        Commands have no reply: they wait for the `Apply` behind them.
        """
        if not isinstance(request, m.Request):
            self._commands.append(request)
            return None
        number = request.number
        try:
            match request:
                case m.Apply():
                    commands, self._commands = self._commands, []
                    self._apply_all(commands, now)
                    return m.Done(number=number)
                case m.OpenRow():
                    return self._open(number, request.leg, now)
                case m.PutClip():
                    self._mix_engine.clips.put(
                        request.clip_id,
                        audio,
                        offset=request.offset,
                        total=request.total,
                        in_play=self._mix_engine.players.in_play(),
                    )
                    return m.Done(number=number)
                case m.HasClip():
                    return m.ClipKnown(number=number, known=request.clip_id in self._mix_engine.clips)
                case m.ListRows():
                    return m.RowList(number=number, rows=self.states())
                case _:
                    assert_never(request)
        except RowsFull as error:
            return m.NotDone(number=number, reason="full", message=error.message)
        except (AskedWrong, ClipTooLong, ClipBroken) as error:
            return m.NotDone(number=number, reason="wrong", message=error.message)

    def greeting(self) -> m.ControlAttached:
        """Return the greeting of a new control connection.

        Incomplete clips and recordings of the control before are dropped and ended: the new control finishes the
        partial files.
        """
        self._mix_engine.clips.discard_partial()
        self._recorders.end_all()
        self._commands = []
        self._rows_available, self._next_port_check = True, 0.0
        return m.ControlAttached(pid=os.getpid(), capacity=self._ports.rows, rows=self.states())

    def states(self) -> tuple[m.RowState, ...]:
        """Return the state of every row in use."""
        rooms = self._seating.rooms()
        return tuple(
            m.RowState(
                leg=leg_row.leg,
                row=number,
                ip=self._ports.ip,
                port=leg_row.port,
                remote=leg_row.latch.remote,
                latched=leg_row.latch.latched is not None,
                codec=leg_row.codec,
                dtmf_payload_type=leg_row.dtmf_payload_type,
                send=leg_row.send,
                receive=bool(self._rows.receiving[number]),
                srtp=self._rows.srtp[number].keys.profile if number in self._rows.srtp else None,
                room=rooms.get(int(self._mix_engine.seats.room[number])),
                playing=leg_row.token,
                clip_id=leg_row.clip_id,
                packets_received=int(self._rows.received[number]),
                packets_sent=int(self._mix_engine.streams.sent[number]),
            )
            for number, leg_row in self._rows.used.items()
        )

    def _open(self, number: int, leg: m.Leg, now: float) -> m.RowOpened:
        """Open a row for a leg, or return the row it has. Raises: RowsFull."""
        row = self._rows.by_leg.get(leg)
        if row is None:
            self._next_port_check = now
            pair = self._ports.acquire(now)
            row = pair.row
            self._io.open(row, pair.rtp)
            # A sequence number that does not wrap soon leaves no doubt about SRTP's rollover counter (RFC 3711 §3.3.1).
            ssrc, sequence, timestamp = secrets.randbits(32), secrets.randbits(15), secrets.randbits(32)
            self._mix_engine.open(row, ssrc=ssrc, sequence=sequence, timestamp=timestamp)
            self.rtcp_sockets.open(row, pair.rtcp, ssrc=ssrc)
            self._receiver.receiver_stats.open(row)
            self._rows.open(row, LegRow(leg=leg, port=pair.port, latch=Latch()), now=now)
            self._seating.opened(leg)
            self._mix_engine.reroute()
        return m.RowOpened(number=number, row=row, ip=self._ports.ip, port=self._rows.used[row].port)

    def _apply_all(self, commands: Iterable[m.Command], now: float) -> None:
        """Apply commands together; a digit that waits for a leg is dropped when the leg hears another one now."""
        for command in commands:
            self._apply(command, now)
        if self._mix_engine.is_rerouted:
            self._dtmf_relay.clear_rerouted(self._rows.high)
            if self._recorders.in_use:
                self._recorders.rows_changed()

    def _apply(self, command: m.Command, now: float) -> None:
        """Apply one command.

        Closing, stopping and routing are never impossible: the leg they name may just have ended.
        """
        seating = self._seating
        match command:
            case m.DescribeRow(leg=leg):
                with self._refusing(command, leg):
                    self._describe(command, now)
            case m.PlayClip(token=token):
                with self._refusing(command, call_of(token), token):
                    self._play(command)
            case m.CloseRow():
                self._close(command.leg, now)
            case StopSound(token=token):
                for row in seating.rows_of((call_of(token),)):
                    if self._rows.used[row].token == token:
                        self._stop_player(row)
            case RouteAudio():
                seating.route(command)
                self._mix_engine.reroute()
            case m.LeaveRooms():
                seating.leave_all()
                self._mix_engine.reroute()
            case m.HearLeg(leg=leg, source=source):
                for row in seating.rows_of((leg,)):
                    seating.hear_leg(row, source)
                self._mix_engine.reroute()
            case DropUnheard(calls=calls):
                for row in seating.rows_of(calls):
                    self._mix_engine.drop(row)
            case Beep(tone=tone):
                self._mix_engine.beeps.start(seating.rows_to_beep(command), tone=tone)
            case m.RelayDigit(leg=leg, digit=digit):
                for row in seating.rows_of((leg,)):
                    self._dtmf_relay.relay(row, digit)
            case DetectSpeech(calls=calls, enabled=enabled):
                for row in seating.rows_of(calls):
                    self._mix_engine.voice_activity.set_enabled(row, enabled=enabled)
            case rm.OpenTap() | ChangeCapture() | rm.CloseTap():
                self._recorders.handle(command)
            case _:
                assert_never(command)

    @contextmanager
    def _refusing(self, command: m.Command, leg: str, token: str | None = None) -> Iterator[None]:
        """Report a command that is impossible as refused."""
        try:
            yield
        except CommandImpossible as error:
            name = type(command).__name__
            self._facts.post(m.RequestRefused(leg=leg, command=name, token=token, message=str(error)))

    def _describe(self, command: m.DescribeRow, now: float) -> None:
        row = self._rows.row_of(command.leg)
        leg_row = self._rows.used[row]
        srtp = _srtp(command.srtp, previous=self._rows.srtp.get(row))
        receives_again = command.receive and not self._rows.receiving[row]
        latch = apply_sdp(
            leg_row.latch,
            sdp_address=usable_address(command.remote),
            receives_again=receives_again,
            signalling_host=command.signalled_from,
            rtp_source=command.rtp_source,
        )
        self._latching.apply(row, latch)
        self.rtcp_sockets.set_srtp(row, srtp)
        self._mix_engine.describe(
            row,
            companding=COMPANDING[command.codec],
            receive=command.receive,
            g722=command.codec == "G722",
            payload_type=command.payload_types.sending(command.codec),
        )
        self._mix_engine.set_sending(row, sending=command.send)
        if not command.send:
            self._dtmf_relay.clear(row)
        self._mix_engine.holder_activity.set_enabled(row, enabled=command.receive and command.report_sound)
        self._mix_engine.tone_detector.set_enabled(row, enabled=command.dtmf_payload_type is None and command.receive)
        self._rows.describe(row, command, srtp=srtp, now=now)

    def _close(self, leg: m.Leg, now: float) -> None:
        row = self._rows.by_leg.get(leg)
        if row is None:
            return
        self._facts.post(self._periodic_reports.statistics(row, final=True))
        leg_row = self._rows.close(row)
        self.rtcp_sockets.close(row, remote=leg_row.latch.remote)
        self._io.close(row)
        self._ports.release(row, now)
        self._next_port_check = now
        self._not_started.discard(row)
        self._sender.stop_digits(row)
        self._mix_engine.close(row)
        self._seating.closed(row)

    def _play(self, command: m.PlayClip) -> None:
        row = self._rows.row_of(call_of(command.token))
        clip = self._mix_engine.clips.get(command.clip_id)
        if clip is None:
            raise CommandImpossible(f"there is no clip {command.clip_id}")
        loops = command.loops or ENDLESS_ROUNDS
        self._mix_engine.players.start(row, clip, loops=loops)
        leg_row = self._rows.used[row]
        leg_row.token, leg_row.clip_id = command.token, command.clip_id
        self._not_started.add(row)
        self._sender.stop_digits(row)
        if command.digits:
            self._sender.send_digits(row, command.digits, loops=loops)

    def _stop_player(self, row: int) -> None:
        self._mix_engine.players.stop(row)
        self._clear_clip(row)
        self._sender.stop_digits(row)

    def _clear_clip(self, row: int) -> None:
        """Clear the row's current clip after it ended."""
        leg_row = self._rows.used[row]
        leg_row.token = leg_row.clip_id = None
        self._not_started.discard(row)

    # --- the tick ---------------------------------------------------------------------------------------------

    def receive(self, now: float) -> None:
        """Receive some packets of every row."""
        self._receiver.receive(now)

    def tick(self, *, skipped: int) -> None:
        """Make and send the next packet of every leg, and post what began and ended with it."""
        rows, mix_engine = self._rows, self._mix_engine
        ended = mix_engine.tick(rows.high, skipped=skipped)
        if self._recorders.in_use:
            self._recorders.tick(mix_engine.frames, mix_engine.tx, mix_engine.companding, skipped=skipped)
        for row, digit in mix_engine.digits:
            self._facts.post(DigitPressed(call=CallSid(rows.used[row].leg), digit=digit))
        for row, speaking in mix_engine.speech_changes:
            self._facts.post(LegSpeaks(call=CallSid(rows.used[row].leg), speaks=speaking))
        for row, sounds in mix_engine.holder_changes:
            self._facts.post(HolderSounds(call=CallSid(rows.used[row].leg), sounds=sounds))
        sent = self._sender.send(skipped=skipped)
        if self._not_started:
            self._post_started(sent, time.monotonic())
        for row in ended.tolist():
            leg_row = rows.used[row]
            if leg_row.token is not None:
                self._facts.post(SoundEnded(token=leg_row.token))
            self._clear_clip(row)

    def _post_started(self, sent: Numbers, handed_over: float) -> None:
        sent_rows = set(sent.tolist())
        for row in sorted(self._not_started):
            leg_row = self._rows.used[row]
            if row in sent_rows and self._mix_engine.seats.plays_own(row) and leg_row.token is not None:
                self._not_started.discard(row)
                self._facts.post(m.RowAudioStarted(leg=leg_row.leg, token=leg_row.token, monotonic_s=handed_over))

    def after_tick(self, now: float) -> None:
        """Do the periodic work after the packets of a tick have left: reports, RTCP, free rows."""
        self._periodic_reports.tick(now)
        if now >= self._next_port_check:
            self._next_port_check = now + PORT_CHECK_S
            if (available := self._ports.has_free(now)) is not self._rows_available:
                self._rows_available = available
                self._facts.post(m.RowsAvailable(available=available))

    def close(self, now: float) -> None:
        """End every recording and every leg."""
        self._recorders.close()
        for leg in list(self._rows.by_leg):
            self._close(leg, now)


def _srtp(keys: SrtpKeys | None, *, previous: SrtpSession | None) -> SrtpSession | None:
    """Return the SRTP session of a row from now on; None for plain RTP. Raises: CommandImpossible."""
    if keys is None:
        return None
    try:
        return SrtpSession(keys, previous)
    except SrtpKeyInvalid as error:
        raise CommandImpossible(error.message) from error
