"""Run the engine: the switch, with SIP, media, webhooks and recordings around it.

    async with open_engine(settings, journal=…, directory=…) as engine:
        app = make_api(switch=engine.switch, …)

The engine attaches to a media process that runs beside it, opens the SIP socket, and runs until its context is left.
Then every call is hung up, the last callbacks are sent, and the sockets close.
Length: every part is made here from the settings, and each effect and each fact of the media process has its case.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

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
    HearsChanged,
    LogNotification,
    LogRefusal,
    MediaEffect,
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
from holdfast.voice.model.facts import DigitPressed, HolderSounds, LegSpeaks, SoundEnded
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.ports import Journal, KeyValues
from holdfast.voice.runtime.audio_effects import AudioEffectExecutor
from holdfast.voice.runtime.call_endings import end_calls_of_earlier_run, hang_up_all, prune_journal
from holdfast.voice.runtime.clock import Clock, Timers
from holdfast.voice.runtime.counters import Counters
from holdfast.voice.runtime.directory.collection import Collection
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.http.client import WebClient, tls_context
from holdfast.voice.runtime.http.ssrf_policy import policy_of
from holdfast.voice.runtime.mailbox import Mailbox
from holdfast.voice.runtime.media_client import MediaClient
from holdfast.voice.runtime.messages.message_log import MessageLog
from holdfast.voice.runtime.messages.message_record import MessageRecord
from holdfast.voice.runtime.notification_log import Notifications
from holdfast.voice.runtime.quality_reports import Quality
from holdfast.voice.runtime.recordings.recorder import Recorder
from holdfast.voice.runtime.recordings.retention import keep_sweeping
from holdfast.voice.runtime.sip.registrations import StoredRegistrations
from holdfast.voice.runtime.sip.sip_legs import SipLegs, SipSettings
from holdfast.voice.runtime.sip.transport.bound_sockets import bind_sockets
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

    Shape: `own_urls` are the addresses of our own web server, which webhooks may always reach, the last of them the
    address of recordings; `webhook_allow` lists networks, addresses or hosts that webhooks may reach besides the public
    ones, and on `loopback` they may reach this machine. Recordings are kept `keep_days` (None: without limit). Numbers
    without a plus are dialled in `default_country`.
    """

    account: AccountSid
    auth_token: str = field(repr=False)
    sip: SipSettings
    media_socket: Path
    loopback: bool
    recordings: Path
    keep_days: float | None = None
    own_urls: Sequence[str] = ()
    webhook_allow: Sequence[str] = ()
    accepts_messages: bool = True
    default_country: str = "US"
    webhook_authorities: Path | None = None
    """A PEM file of certificate authorities that webhooks trust besides the system's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectExecutor:
    """The effect executor hands each effect to the part of the engine that carries it out."""

    timers: Timers
    webhooks: Webhooks
    legs: SipLegs
    recorder: Recorder
    media: MediaClient
    audio: AudioEffectExecutor
    counters: Counters

    def carry_out_audio(self, effects: Sequence[MediaEffect]) -> None:
        """Send audio effects to the media process, which applies them at the same tick."""
        with self.media.batch():
            for effect in effects:
                self.audio.carry_out(effect)

    def carry_out(self, effect: Effect) -> None:
        """Carry out an effect whose step is in the journal. Audio effects were sent before."""
        match effect:
            case StartTimer() | StopTimer():
                self.timers.carry_out(effect)
            case FetchDocument() | StopFetch() | PostCallback() | LogNotification():
                self.webhooks.carry_out(effect)
            case PlaceLeg() | RingLeg() | AnswerLeg() | RefuseLeg() | HangUpLeg() | ReferLeg() | AnswerReferral():
                self.legs.carry_out(effect)
            case StartCapture() | StopCapture() | EraseCapture():
                self.recorder.carry_out(effect)
            case RouteAudio() | DropUnheard() | PlaySound() | StopSound() | Beep() | DetectSpeech() | ChangeCapture():
                pass
            case LogRefusal(noun=noun, status=status, message=message):
                log.warning("noun=%s status=%s message=%s refused: no table lists it", noun, status, message)
                self.counters.count_refusal(message, status)
            case VerbBegan() | HearsChanged():
                pass
            case _:
                assert_never(effect)


@dataclass(slots=True, kw_only=True)
class Engine:
    """An engine connects the switch to SIP, media, webhooks and recordings; `open_engine` makes it."""

    directory: Directory
    journal: Journal
    notifications: Notifications
    messages: MessageLog
    counters: Counters
    switch: Switch
    media: MediaClient
    audio: AudioEffectExecutor
    sounds: SoundCache
    webhooks: Webhooks
    recorder: Recorder
    legs: SipLegs
    quality: Quality
    _stopping: bool = False
    _calls_at_detach: tuple[CallSid, ...] = ()
    """The calls that had a media row when the media process was lost."""

    def not_ready_reason(self) -> str | None:
        """Return the reason why no call can be made now; None if calls can be made."""
        if self._stopping:
            return "the engine is stopping"
        if not self.media.is_attached:
            return "the media process is down; it is being restarted"
        if not self.media.rows_available:
            why = "is in use, rests after use, or has ports that another program uses"
            return f"no media row is free for another call: each of the {self.media.capacity} (setting rtp_rows) {why}"
        if (trouble := self.journal.trouble() or self.switch.store_failure) is not None:
            return f"the store cannot be written: {trouble}"
        return None

    def is_stopping(self) -> bool:
        """Return whether the engine is stopping, so that no call begins any more."""
        return self._stopping

    def begin_shutdown(self) -> None:
        """Refuse new calls from phones and from REST from now on, because the engine will stop."""
        self._stopping = True
        self.legs.refuse_new_calls()

    async def shut_down(self) -> None:
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

    # --- media ------------------------------------------------------------------------------------------

    async def handle_media_facts(self) -> None:
        """Handle the facts of the media process until cancelled."""
        async for fact in self.media.facts():
            match fact:
                case SoundEnded(token=token):
                    self.sounds.playback_ended(token)
                    self.switch.post(fact)
                case DigitPressed(call=call, digit=digit):
                    if self.legs.handle_digit(call, digit):
                        self.switch.post(fact)
                case LegSpeaks() | HolderSounds():
                    self.switch.post(fact)
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
                        self.media.send(media_protocol.CloseRow(leg=leg))
                    with self.media.batch():
                        self.legs.repeat_descriptions()
                        self.audio.resend(self.switch.state.rooms.values())
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


@asynccontextmanager
async def open_engine(
    settings: EngineSettings, *, journal: Journal, directory: Directory, store: KeyValues
) -> AsyncIterator[Engine]:
    """Open an engine, and stop it in order at the end of the block. Raises: VoiceError, OSError, TimeoutError."""
    clock = Clock()
    notifications = Notifications(clock=clock.now, seed=secrets.token_hex(16), store=store)
    counters = Counters()
    mailbox = Mailbox(now=clock.now, notifications=notifications, counters=counters)
    timers = Timers(mailbox)
    registrations = StoredRegistrations(store)
    async with AsyncExitStack() as opening:
        policy = policy_of(loopback=settings.loopback, own_urls=settings.own_urls, allow=settings.webhook_allow)
        tls = tls_context(settings.webhook_authorities)
        web = await opening.enter_async_context(WebClient(auth_token=settings.auth_token, ssrf_policy=policy, tls=tls))
        decoder = Decoder()
        opening.push_async_callback(decoder.close)
        speech = installed_speech_engine()
        opening.push_async_callback(speech.close)
        tasks = await opening.enter_async_context(cancelled_group())
        media = MediaClient(settings.media_socket)
        background = [tasks.create_task(media.run(), name="media-client")]
        async with asyncio.timeout(ATTACH_S):
            await media.attached()
        sounds = SoundCache(web=web, media=media, decoder=decoder, speech=speech, events=mailbox, tasks=tasks)
        await sounds.open()
        webhooks = Webhooks(web=web, sounds=sounds, events=mailbox, tasks=tasks)
        texts = await Collection.open(store, MessageRecord)
        messages = MessageLog(texts, webhooks, accepts=settings.accepts_messages)
        recorder = Recorder(
            media=media,
            folder=settings.recordings,
            url=settings.own_urls[-1] if settings.own_urls else "",
            account=settings.account,
            events=mailbox,
            tasks=tasks,
        )
        await recorder.open()
        for row in await media.rows():
            media.send(media_protocol.CloseRow(leg=row.leg))
        sockets = bind_sockets(settings.sip)
        opening.callback(sockets.close)
        legs = SipLegs(
            settings.sip,
            sockets,
            account=settings.account,
            media=media,
            directory=directory,
            events=mailbox,
            tasks=tasks,
            registrations=registrations,
        )
        rows = legs.rows  # a live view
        audio = AudioEffectExecutor(media=media, rows=lambda: rows, sounds=sounds, captures=recorder)
        executor = EffectExecutor(
            timers=timers,
            webhooks=webhooks,
            legs=legs,
            recorder=recorder,
            media=media,
            audio=audio,
            counters=counters,
        )
        switch = Switch(journal=journal, mailbox=mailbox, effects=executor, default_country=settings.default_country)
        engine = Engine(
            directory=directory,
            journal=journal,
            notifications=notifications,
            messages=messages,
            counters=counters,
            switch=switch,
            media=media,
            audio=audio,
            sounds=sounds,
            webhooks=webhooks,
            recorder=recorder,
            legs=legs,
            quality=Quality(),
        )
        background.append(tasks.create_task(registrations.run(), name="registrations"))
        await notifications.load()
        background.append(tasks.create_task(notifications.run(), name="notifications"))
        background.append(tasks.create_task(switch.run(), name="switch"))
        background.append(tasks.create_task(switch.read_mail(), name="mailbox"))
        background.append(tasks.create_task(engine.handle_media_facts(), name="media-facts"))
        await end_calls_of_earlier_run(switch, journal, recorder)
        sweeper = keep_sweeping(switch, keep_days=settings.keep_days)
        background.append(tasks.create_task(sweeper, name="recordings-sweep"))
        background.append(tasks.create_task(prune_journal(journal), name="journal-prune"))
        await legs.open()
        opening.push_async_callback(legs.close)
        opened = opening.pop_all()
    try:
        yield engine
    finally:
        await engine.shut_down()
        await switch.flush()
        await notifications.write()
        await registrations.write()
        timers.close()
        for task in background:
            task.cancel()
        await opened.aclose()
