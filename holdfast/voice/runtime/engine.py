"""Run the engine: the switch, with SIP, media, webhooks and recordings around it.

    async with Engine(settings, journal=…, directory=…) as engine:
        app = make_api(switch=engine.switch, …)

The engine attaches to a media process that runs beside it, opens the SIP socket, and runs until its context is left.
Then every call is hung up, the last callbacks are sent, and the sockets close.
Length: every part is made here from the settings, and each effect and each fact of the media process has its case.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, assert_never

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.media_process.control_link import protocol as media_protocol
from holdfast.voice.media_process.control_link import recording_messages
from holdfast.voice.model.commands import EndCall
from holdfast.voice.model.effects import (
    AnswerLeg,
    AnswerReferral,
    Beep,
    ChangeCapture,
    DetectSpeech,
    DropUnheard,
    Effect,
    EraseCapture,
    FetchDocument,
    HangUpLeg,
    LogNotification,
    PlaceLeg,
    PlaySound,
    PostCallback,
    ReferLeg,
    RefuseLeg,
    RingLeg,
    RouteAudio,
    StartCapture,
    StartTimer,
    StopCapture,
    StopFetch,
    StopSound,
    StopTimer,
    VerbBegan,
)
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.facts import DigitPressed, LegSpeaks, SoundEnded
from holdfast.voice.model.ids import AccountSid, CallSid, Token
from holdfast.voice.model.ports import Journal, KeyValues, Trace
from holdfast.voice.runtime.audio_effects import AudioEffectExecutor
from holdfast.voice.runtime.call_endings import end_calls_of_earlier_run, hang_up_all, prune_journal
from holdfast.voice.runtime.clock import Clock, Timers
from holdfast.voice.runtime.counters import Counters
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.http.client import WebClient, tls_context
from holdfast.voice.runtime.http.ssrf_policy import policy_of
from holdfast.voice.runtime.media_client import MediaClient
from holdfast.voice.runtime.notification_log import Notifications
from holdfast.voice.runtime.quality_reports import Quality
from holdfast.voice.runtime.recordings.recorder import Recorder
from holdfast.voice.runtime.recordings.retention import keep_sweeping
from holdfast.voice.runtime.sip.config.liveness import DEFAULT_LIVENESS, Liveness
from holdfast.voice.runtime.sip.config.settings import (
    SrtpSetting,
)
from holdfast.voice.runtime.sip.config.tls import Tls
from holdfast.voice.runtime.sip.registrations import StoredRegistrations
from holdfast.voice.runtime.sip.sip_legs import SipLegs, SipSettings
from holdfast.voice.runtime.sounds.decode_client import Decoder
from holdfast.voice.runtime.sounds.sound_cache import SoundCache
from holdfast.voice.runtime.sounds.tts_client import installed_speech_engine
from holdfast.voice.runtime.switch import Switch
from holdfast.voice.runtime.task_group import cancelled_group
from holdfast.voice.runtime.webhooks.webhooks import Webhooks

log = logging.getLogger(__name__)

ATTACH_S = 20.0
SHUTDOWN_S = 3.0
"""The maximum time at the end to wait for the answers to the last BYE and the last callbacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """These settings configure an engine.

    Shape: `sip` is the numeric address at which SIP listens; with `sip_tls` it listens with TLS too; `shown_ip` is
    the address that phones see in its place; `own_urls` are the addresses of our own web server, which webhooks may
    always reach; `webhook_allow` lists networks, addresses or hosts that webhooks may reach besides the public ones.
    """

    account: AccountSid
    auth_token: str = field(repr=False)
    sip: tuple[str, int]
    shown_ip: str | None = None
    rtp_ip: str | None = None
    """The address at which the media process receives RTP; None: the address of SIP."""
    rtp_ports: range = range(0)
    """The ports that the media process may use."""
    http: tuple[str, int] | None = None
    """The address at which our own web server listens."""
    media_socket: Path
    loopback: bool
    recordings: Path
    keep_days: float | None = None
    own_urls: Sequence[str] = ()
    webhook_allow: Sequence[str] = ()
    """The last of `own_urls` is the address of recordings; recordings are kept `keep_days` (None: without limit)."""
    webhook_authorities: Path | None = None
    """A PEM file of certificate authorities that webhooks trust besides the system's own."""
    sip_trust_loopback: bool = True
    sip_quiet: bool = False
    sip_sha256: bool = False
    sip_tls: Tls | None = None
    sip_tls_port: int = 5061
    sip_srtp: SrtpSetting = "accept"
    sip_srtp_without_tls: bool = False
    rtp_source: RtpSource = "signalling"
    trusted_proxies: tuple[str, ...] = ()
    liveness: Liveness = DEFAULT_LIVENESS


class Engine:
    """An engine connects the switch to SIP, media, webhooks and recordings.

    Invariant: its tasks run between enter and exit only.
    """

    def __init__(
        self, settings: EngineSettings, *, journal: Journal, directory: Directory, store: KeyValues | None = None
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.clock = Clock()
        self.notifications = Notifications(clock=self.clock.now, seed=secrets.token_hex(16), store=store)
        self._registrations = StoredRegistrations(store)
        self.media = MediaClient(settings.media_socket)
        self.quality = Quality()
        self.switch = Switch(
            journal=journal,
            now=self.clock.now,
            carry_out_audio=lambda effect: self._audio.carry_out(effect),
            batch=self.media.batch,
            carry_out=self._carry_out,
        )
        self._journal = journal
        self._timers = Timers(self.switch.post)
        self._stack = AsyncExitStack()
        self._background: list[asyncio.Task[None]] = []
        self.counters = Counters()
        self._sip_is_up = False
        self.is_stopping = False
        """Whether the engine is stopping, so that no call begins any more."""
        self._calls_at_detach: tuple[CallSid, ...] = ()
        """The calls that had a media row when the media process was lost."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        await self._shut_down()
        await self.switch.flush()
        await self.notifications.write()
        await self._registrations.write()
        self._timers.close()
        for task in self._background:
            task.cancel()
        return await self._stack.__aexit__(None, None, None)

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        policy = policy_of(loopback=settings.loopback, own_urls=settings.own_urls, allow=settings.webhook_allow)
        web = await stack.enter_async_context(
            WebClient(auth_token=settings.auth_token, ssrf_policy=policy, tls=tls_context(settings.webhook_authorities))
        )
        decoder = Decoder()
        stack.push_async_callback(decoder.close)
        speech = installed_speech_engine()
        stack.push_async_callback(speech.close)
        tasks = await stack.enter_async_context(cancelled_group())
        self._background = [tasks.create_task(self.media.run(), name="media-client")]
        async with asyncio.timeout(ATTACH_S):
            await self.media.attached()
        self.sounds = SoundCache(
            web=web,
            media=self.media,
            decoder=decoder,
            speech=speech,
            post=self.switch.post,
            notify=self._notify,
            trace=self._record_trace,
            clock=self.clock.now,
            tasks=tasks,
        )
        await self.sounds.open()
        self.webhooks = Webhooks(
            web=web,
            sounds=self.sounds,
            post=self.switch.post,
            notify=self._notify,
            trace=self._record_trace,
            clock=self.clock.now,
            tasks=tasks,
        )
        self.recorder = Recorder(
            media=self.media,
            folder=settings.recordings,
            url=settings.own_urls[-1] if settings.own_urls else "",
            account=settings.account,
            post=self.switch.post,
            tasks=tasks,
        )
        await self.recorder.open()
        for row in await self.media.rows():
            self.media.close_row(row.leg)
        self.legs = SipLegs(
            SipSettings(
                address=settings.sip,
                advertised_ip=settings.shown_ip,
                rtp_ip=settings.rtp_ip or settings.sip[0],
                rtp_ports=settings.rtp_ports,
                http=settings.http,
                trust_loopback=settings.loopback and settings.sip_trust_loopback,
                tls=settings.sip_tls,
                tls_port=settings.sip_tls_port,
                quiet=settings.sip_quiet,
                sha256=settings.sip_sha256,
                srtp=settings.sip_srtp,
                srtp_without_tls=settings.sip_srtp_without_tls,
                rtp_source=settings.rtp_source,
                trusted_proxies=settings.trusted_proxies,
                liveness=settings.liveness,
            ),
            account=settings.account,
            media=self.media,
            directory=self.directory,
            post=self.switch.post,
            on_trace=self._record_trace,
            clock=self.clock.now,
            tasks=tasks,
            registrations=self._registrations,
        )
        self._audio = AudioEffectExecutor(
            media=self.media, rows=lambda: self.legs.rows, sounds=self.sounds, captures=self.recorder
        )
        self._background.append(tasks.create_task(self._registrations.run(), name="registrations"))
        await self.notifications.load()
        self._background.append(tasks.create_task(self.notifications.run(), name="notifications"))
        self._background.append(tasks.create_task(self.switch.run(), name="switch"))
        self._background.append(tasks.create_task(self._handle_media_facts(), name="media-facts"))
        await end_calls_of_earlier_run(self.switch, self._journal, self.recorder)
        sweeper = keep_sweeping(self.switch, keep_days=settings.keep_days)
        self._background.append(tasks.create_task(sweeper, name="recordings-sweep"))
        self._background.append(tasks.create_task(prune_journal(self._journal), name="journal-prune"))
        await self.legs.open()
        self._sip_is_up = True
        stack.push_async_callback(self.legs.close)

    def not_ready_reason(self) -> str | None:
        """Return the reason why no call can be made now; None if calls can be made."""
        if self.is_stopping:
            return "the engine is stopping"
        if not self._sip_is_up:
            return "SIP is not open"
        if not self.media.is_attached:
            return "the media process is down; it is being restarted"
        if not self.media.rows_available:
            why = "is in use, rests after use, or has ports that another program uses"
            return f"no media row is free for another call: each of the {self.media.capacity} (setting rtp_rows) {why}"
        if (trouble := self._journal.trouble() or self.switch.store_failure) is not None:
            return f"the store cannot be written: {trouble}"
        return None

    def begin_shutdown(self) -> None:
        """Refuse new calls from phones and from REST from now on, because the engine will stop."""
        self.is_stopping = True
        self.legs.refuse_new_calls()

    async def _shut_down(self) -> None:
        """Hang up every call, and wait a moment for phones and callbacks."""
        self.begin_shutdown()
        hang_up_all(self.switch)
        await self.switch.settled()
        # Calls that were on their way to the switch when the shutdown began.
        hang_up_all(self.switch)
        await self.switch.settled()
        await self.recorder.drained(timeout_s=SHUTDOWN_S)
        await self.switch.settled()
        await self.legs.drained(timeout_s=SHUTDOWN_S)
        if not await self.webhooks.drained(timeout_s=SHUTDOWN_S):
            log.warning("some web servers did not answer the last callbacks in %.0f s; these are lost", SHUTDOWN_S)

    # --- effects ----------------------------------------------------------------------------------------

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case StartTimer() | StopTimer():
                self._timers.carry_out(effect)
            case FetchDocument() | StopFetch() | PostCallback() | LogNotification():
                self.webhooks.carry_out(effect)
            case PlaceLeg() | RingLeg() | AnswerLeg() | RefuseLeg() | HangUpLeg() | ReferLeg() | AnswerReferral():
                self.legs.carry_out(effect)
            case StartCapture() | StopCapture() | EraseCapture():
                self.recorder.carry_out(effect)
            case RouteAudio() | DropUnheard() | PlaySound() | StopSound() | Beep() | DetectSpeech() | ChangeCapture():
                pass
            case VerbBegan():
                pass
            case _:
                assert_never(effect)

    def _record_trace(self, trace: Trace) -> None:
        self.counters.count_trace(trace)
        self.switch.record_trace(trace)

    def _notify(self, notification: LogNotification) -> None:
        self.counters.count_notification(notification)
        self.notifications.add(notification)

    # --- media ------------------------------------------------------------------------------------------

    async def _handle_media_facts(self) -> None:
        """Handle the facts of the media process until cancelled."""
        async for fact in self.media.facts():
            match fact:
                case media_protocol.RowAudioEnded(token=token):
                    self.sounds.playback_ended(Token(token))
                    self.switch.post(SoundEnded(token=Token(token)))
                case media_protocol.RowDigitPressed(leg=leg, digit=digit):
                    if self.legs.handle_digit(CallSid(leg), digit):
                        self.switch.post(DigitPressed(call=CallSid(leg), digit=digit))
                case media_protocol.SpeechChanged(leg=leg, speaking=speaking):
                    self.switch.post(LegSpeaks(call=CallSid(leg), speaks=speaking))
                case media_protocol.RtpSilent(leg=leg, silent_s=silent_s):
                    self.legs.handle_silence(CallSid(leg), silent_s)
                case media_protocol.RequestRefused(leg=leg):
                    self.sounds.playback_refused((leg,))
                case media_protocol.Statistics(leg=leg, packets_received=packets):
                    self.quality.record(fact)
                    self.legs.handle_packets(CallSid(leg), packets)
                case media_protocol.Load() | media_protocol.TicksSkipped() | media_protocol.FactsLost():
                    self.quality.record(fact)
                case media_protocol.FirstPacket() | media_protocol.RowAudioStarted():
                    self.quality.record(fact)
                case media_protocol.RowsAvailable():
                    pass  # the media client notes it
                case recording_messages.TapQuiet() | recording_messages.TapClosed():
                    self.recorder.handle(fact)
                case media_protocol.ControlDetached():
                    self._calls_at_detach = tuple(self.legs.rows)
                    self.quality.mark_lost(self._calls_at_detach)
                    self.recorder.media_lost()
                case media_protocol.ControlAttached(rows=rows) if not rows:
                    await self._media_restarted()
                case media_protocol.ControlAttached(rows=rows):
                    # The media process survived. Close the rows of calls that ended while control was detached.
                    for leg in {row.leg for row in rows} - self.legs.rows:
                        self.media.close_row(leg)
                    with self.media.batch():
                        self.legs.repeat_descriptions()
                        self._audio.resend(self.switch.state.rooms.values())
                case _:
                    assert_never(fact)

    async def _media_restarted(self) -> None:
        """End the calls of the lost media process, and give the new one its sounds.

        Only calls that had a row when it was lost are ended: a leg opened since has a row in the new process.
        """
        lost, self._calls_at_detach = self._calls_at_detach, ()
        for call in lost:
            log.error("call=%s lost: the media process was restarted", call)
            self.switch.post(EndCall(call=call))
        try:
            await self.sounds.media_restarted()
        except VoiceError as error:
            # It was lost again; at the next attachment this is done again.
            log.warning("the media process was lost while it received its sounds: %s", error.message)
