"""Fetch, decode and cache sounds, and have the media process play them.

A cached sound is played within the call of `carry_out` that requests it; any other is fetched first, and the leg hears
silence until then. The newest sound requested for a leg is played; an older one that is still loading is dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from typing import Protocol, assert_never

from holdfast.voice.media_process.control_link.protocol import PlayClip
from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import LogNotification, PlaySound, StopSound
from holdfast.voice.model.errors import ContentTypeInvalid, VoiceError
from holdfast.voice.model.facts import SoundFailed
from holdfast.voice.model.ids import CallSid, Token, call_of
from holdfast.voice.runtime.http import content_sniffing
from holdfast.voice.runtime.http.client import WebClient
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.http.errors import ResponseEmpty, SoundUnplayable
from holdfast.voice.runtime.http.exchange import AUDIO_LIMIT, HttpRequest, HttpResponse
from holdfast.voice.runtime.http.http_trace import traced_exchange
from holdfast.voice.runtime.http.response_cache import ResponseCache, read_cache_policy
from holdfast.voice.runtime.mailbox import EngineEvents
from holdfast.voice.runtime.sounds import generated
from holdfast.voice.runtime.sounds.clip_lru import ClipLru
from holdfast.voice.runtime.sounds.decode_client import Decoder
from holdfast.voice.runtime.sounds.errors import InternalFailure, as_sound_error
from holdfast.voice.runtime.sounds.sound import DecodedAudio
from holdfast.voice.runtime.sounds.tts_client import (
    SPEECH_FAILED,
    SpeechEngine,
    Utterance,
    clip_of,
    pause_for,
    utterance_of,
)

BUILT_IN = ("music", "hold", "ringback", "beep")
BUDGET_BYTES = 64 * 1024 * 1024
"""More than two hours of audio. It is less than the media process's clip bank, which thus holds all cached clips."""
MAX_URLS = 4096
GONE_STATUSES = (404, 410)
"""With these statuses a server withdraws a sound or a document; after any other failure the last good copy is used."""
REVALIDATE_S = 30.0
"""The minimum time between two revalidations of a sound without a lifetime that is in use."""


class ClipPlayer(Protocol):
    """The part of the media process that the sound cache uses."""

    async def put_clip(self, clip_id: str, audio: bytes) -> None:
        """Store a clip in the media process. Raises: VoiceError."""

    async def has_clip(self, clip_id: str) -> bool:
        """Return whether the media process has the clip. Raises: VoiceError."""

    def send(self, command: PlayClip | StopSound) -> None:
        """Play a clip, or stop it."""


class SoundCache:
    """A cache of sounds: open it once the media process answers, close it after `tasks`, which runs its tasks, ended.

    The engine notifies it of facts of the media process: `playback_ended`, `playback_refused`, `media_restarted`.
    """

    def __init__(
        self,
        *,
        web: WebClient,
        media: ClipPlayer,
        decoder: Decoder,
        speech: SpeechEngine,
        events: EngineEvents,
        tasks: asyncio.TaskGroup,
        budget_bytes: int = BUDGET_BYTES,
        audio_limit_bytes: int = AUDIO_LIMIT,
    ) -> None:
        self._web = web
        self._media = media
        self._decoder = decoder
        self._speech = speech
        self._events = events
        self._tasks = tasks
        self._audio_limit = audio_limit_bytes
        self._clips = ClipLru(budget_bytes=budget_bytes)
        self._urls: ResponseCache[str] = ResponseCache(budget_bytes=MAX_URLS)
        self._requested_at: dict[str, float] = {}
        self._in_bank: set[str] = set()
        self._loading: dict[str, asyncio.Task[str | VoiceError]] = {}
        self._decoding: dict[str, asyncio.Task[DecodedAudio | VoiceError]] = {}
        self._waiting: dict[CallSid, PlaySound] = {}
        self._playing: dict[CallSid, tuple[PlaySound, str]] = {}

    async def open(self) -> None:
        """Generate the built-in sounds, send them to the media process, and start the decoding process.

        Raises: VoiceError, OSError.
        """
        for name in BUILT_IN:
            if (sound := generated.built_in(name)) is not None:
                self._clips.put(f"builtin:{name}", sound, playing=(), pinned=True)
        await self.media_restarted()
        await self._decoder.start()

    async def close(self) -> None:
        """End the decoding and speech processes, after the last task."""
        await self._decoder.close()
        await self._speech.close()

    # --- effects and facts of the media process -----------------------------------------------------------------

    def carry_out(self, effect: PlaySound | StopSound) -> None:
        """Play a sound, at once if it is cached, else as soon as it is loaded; or stop one."""
        leg = call_of(effect.token)
        match effect:
            case PlaySound(while_loading=loading) if loading is not None:
                waiting, clip = self._waiting.get(leg), self._available_clip(effect.source)
                if waiting is not None and waiting.token == loading and clip is not None and clip in self._in_bank:
                    self._play(effect, clip)
            case PlaySound():
                self._waiting[leg] = effect
                clip = self._available_clip(effect.source)
                if clip is not None and clip in self._in_bank:
                    self._play(effect, clip)
                else:
                    self._tasks.create_task(self._load_and_play(effect), name=f"sound {effect.token}")
            case StopSound():
                if leg in self._waiting and self._waiting[leg].token == effect.token:
                    del self._waiting[leg]
                self._forget_playing(effect.token)
                self._media.send(effect)
            case _:
                assert_never(effect)

    def playback_ended(self, token: Token) -> None:
        """Forget a sound that the media process has played to its end."""
        self._forget_playing(token)

    def forget(self, call: CallSid) -> None:
        """Forget what this call plays or waits for."""
        self._waiting.pop(call, None)
        self._playing.pop(call, None)

    async def media_restarted(self) -> None:
        """Send the built-in clips to a new media process, which has no clips. Raises: VoiceError."""
        self._in_bank.clear()
        for clip in self._clips.pinned():
            await self._put_in_bank(clip)

    def playback_refused(self, legs: Iterable[str]) -> None:
        """Play again for these legs, whose commands the media process refused: it may have dropped a clip."""
        for leg in legs:
            if (playing := self._playing.get(CallSid(leg))) is not None:
                effect, clip = playing
                self._tasks.create_task(self._play_again(effect, clip), name=f"sound again {effect.token}")

    # --- for documents and for configuration --------------------------------------------------------------------

    def has_clip(self, clip: str) -> bool:
        """Return whether `clip:ID` can be played at once."""
        return clip in self._clips and clip in self._in_bank

    async def add_response(self, response: HttpResponse, *, call: CallSid | None = None) -> str:
        """Return a clip of a web server's response; a content type that does not fit the bytes is logged as a warning.

        Raises: AnswerEmpty, ContentTypeInvalid, SoundUnplayable, MediaUnavailable, MediaRefused.
        """
        body, content_type = response.body, response.content_type
        if not body:
            raise ResponseEmpty(f"{response.url} sent an empty response where a sound was expected")
        if not content_sniffing.may_be_audio(content_type) and not content_sniffing.is_binary(body):
            if "xml" in content_type:
                raise SoundUnplayable(f"{response.url} ({content_type}) is not a supported audio format")
            raise ContentTypeInvalid(f"{response.url} is {content_type}, not a sound")
        extension = content_sniffing.file_extension(content_type, response.url)
        clip = "sound-" + hashlib.blake2b(extension.encode() + b"\0" + body, digest_size=16).hexdigest()
        sound = self._clips.get(clip)
        if sound is None:
            outcome = await self._decode_shared(clip, response, extension)
            if isinstance(outcome, VoiceError):
                raise outcome
            sound = outcome
            self._cache_clip(clip, sound)
        declared = content_sniffing.FORMAT_OF_TYPE.get(content_type)
        if content_type not in content_sniffing.GENERIC_TYPES and sound.format not in (declared, extension):
            message = f"{response.url} is called {content_type} but is {sound.format}, and is played as {sound.format}"
            self._events.notify(
                LogNotification(call=call, code=ContentTypeInvalid.code, log=1, message=message, url=response.url)
            )
        await self._put_in_bank(clip)
        return clip

    # --- within -------------------------------------------------------------------------------------------------

    def _available_clip(self, source: str) -> str | None:
        """Return the clip of a source if it may be used now; a stale one is revalidated afterwards.

        Deviation: a sound without a lifetime, or whose lifetime is over, is played as it is while it is revalidated,
        unless its server forbids that (`no-cache`, `must-revalidate`): hold music must not wait.
        """
        if not source.startswith(("http:", "https:")):
            clip = source.removeprefix("clip:")
            if source.startswith("say:"):
                clip = clip_of(source)
            return clip if self._clips.get(clip) is not None else None
        cached = self._urls.get(source)
        if cached is None or self._clips.get(cached.value) is None:
            return None
        if cached.freshness(self._events.now()) != "fresh":
            if cached.policy.must_revalidate:
                return None
            self._revalidate(source)
        return cached.value

    def _revalidate(self, url: str) -> None:
        """Revalidate a sound while it plays, unless that was done a moment ago."""
        now = self._events.now()
        if url not in self._loading and now - self._requested_at.get(url, -REVALIDATE_S) >= REVALIDATE_S:
            self._load(url, call=None)

    def _load(self, url: str, *, call: CallSid | None) -> asyncio.Task[str | VoiceError]:
        """Return the task that downloads this URL; start it if there is none."""
        if url not in self._loading:
            self._loading[url] = self._tasks.create_task(self._fetch(url, call), name=f"load {without_secrets(url)}")
        return self._loading[url]

    async def _load_shared(self, url: str, *, call: CallSid | None) -> str | VoiceError:
        """Load a URL now, and share the download with all legs that wait for it."""
        return await asyncio.shield(self._load(url, call=call))

    async def _fetch(self, url: str, call: CallSid | None) -> str | VoiceError:
        """Request a sound from a web server, conditionally if it is cached."""
        self._note_request(url, self._events.now())
        cached = self._urls.get(url)
        is_cached = cached is not None and self._clips.get(cached.value) is not None
        conditions = cached.policy.conditions() if cached is not None and is_cached else {}
        asked = HttpRequest(
            url=url, audio_limit_bytes=self._audio_limit, carry_query=False, conditions=conditions, call=call
        )
        get = WebRequest(url=url, method="GET")
        with traced_exchange(self._events, kind="sound", call=call, request=get) as exchange:
            try:
                exchange.response = response = await self._web.send(asked)
                policy = read_cache_policy(response.headers)
                if response.status == 304 and cached is not None and is_cached:
                    self._urls.confirm(url, policy, now=self._events.now())
                    await self._put_in_bank(cached.value)
                    return cached.value
                if response.status in GONE_STATUSES:
                    self._urls.remove(url)
                sound = await self.add_response(response.require_success(), call=call)
                if policy.storable:
                    self._urls.put(url, sound, policy=policy, now=self._events.now(), size=1)
                else:
                    self._urls.remove(url)
                return sound
            except VoiceError as error:
                exchange.error = as_sound_error(error)
                return exchange.error
            finally:
                del self._loading[url]

    def _note_request(self, url: str, now: float) -> None:
        self._requested_at = {
            each: requested_at for each, requested_at in self._requested_at.items() if now - requested_at < REVALIDATE_S
        }
        self._requested_at[url] = now

    async def _decode_shared(self, clip: str, response: HttpResponse, extension: str) -> DecodedAudio | VoiceError:
        """Decode these bytes, and share the decoding with all requests that wait for it."""
        if clip not in self._decoding:
            self._decoding[clip] = self._tasks.create_task(
                self._decode(clip, response, extension), name=f"decode {clip}"
            )
        return await asyncio.shield(self._decoding[clip])

    async def _decode(self, clip: str, response: HttpResponse, extension: str) -> DecodedAudio | VoiceError:
        try:
            return await self._decoder.decode(response.body, extension)
        except SoundUnplayable as error:
            if not content_sniffing.may_be_audio(response.content_type):
                return ContentTypeInvalid(f"{response.url} is {response.content_type}, not a sound: {error.message}")
            return SoundUnplayable(f"{response.url}: {error.message}")
        finally:
            del self._decoding[clip]

    async def _load_and_play(self, effect: PlaySound) -> None:
        """Load a sound, then play it if the leg still waits for it."""
        leg = call_of(effect.token)
        outcome = await self._load_clip(effect)
        if self._waiting.get(leg) is not effect:
            return
        if isinstance(outcome, VoiceError):
            del self._waiting[leg]
            self._events.post(SoundFailed(token=effect.token, code=outcome.code, message=outcome.message))
        else:
            self._play(effect, outcome)

    async def _load_clip(self, effect: PlaySound) -> str | VoiceError:
        """Return the clip of a source, once it is in the media process's clip bank."""
        source = effect.source
        clip = self._available_clip(source)
        if clip is None:
            if source.startswith(("http:", "https:")):
                outcome = await self._load_shared(source, call=call_of(effect.token))
                if isinstance(outcome, VoiceError):
                    return outcome
                return outcome if self.has_clip(outcome) else InternalFailure(f"there is no room for {source}")
            if (utterance := utterance_of(source)) is not None:
                return await self._speak(source, utterance, call=call_of(effect.token))
            tones = generated.generated_tones(source)
            if tones is None:
                return SoundUnplayable(f"{source[:200]} is not a known sound")
            clip = source
            self._cache_clip(clip, tones)
        return await self._clip_in_bank(clip)

    async def _speak(self, source: str, utterance: Utterance, *, call: CallSid) -> str | VoiceError:
        """Return the clip of a spoken text; without a voice for it, log a warning and return a pause of its length."""
        clip = clip_of(source)
        try:
            sound = await self._speech.speak(utterance)
        except SoundUnplayable as error:
            message = f"the text is replaced by a pause of its length: {error.message}"
            self._events.notify(LogNotification(call=call, code=SPEECH_FAILED, log=1, message=message))
            clip, sound = f"pause:{utterance.pause_s:.2f}", pause_for(utterance)
        self._cache_clip(clip, sound)
        return await self._clip_in_bank(clip)

    async def _clip_in_bank(self, clip: str) -> str | VoiceError:
        """Return the clip once it is in the media process's clip bank."""
        try:
            await self._put_in_bank(clip)
        except VoiceError as error:
            return as_sound_error(error)
        return clip

    async def _play_again(self, effect: PlaySound, clip: str) -> None:
        """Send the clip again if the clip bank has dropped it, and play it if the leg still plays it."""
        try:
            if await self._media.has_clip(clip):
                return
            self._in_bank.discard(clip)
            await self._put_in_bank(clip)
        except VoiceError as error:
            self._events.post(SoundFailed(token=effect.token, code=InternalFailure.code, message=error.message))
            return
        playing = self._playing.get(call_of(effect.token))
        if playing is not None and playing[0] is effect:
            self._play(effect, clip)

    def _play(self, effect: PlaySound, clip: str) -> None:
        leg = call_of(effect.token)
        if leg in self._waiting and self._waiting[leg].token == effect.token:
            del self._waiting[leg]
        self._playing[leg] = (effect, clip)
        digits = effect.source.removeprefix("digits:") if effect.source.startswith("digits:") else ""
        self._media.send(PlayClip(token=effect.token, clip_id=clip, loops=effect.rounds, digits=digits))

    def _forget_playing(self, token: Token) -> None:
        leg = call_of(token)
        if leg in self._playing and self._playing[leg][0].token == token:
            del self._playing[leg]

    def _cache_clip(self, clip: str, sound: DecodedAudio) -> None:
        dropped = self._clips.put(clip, sound, playing=(playing for _, playing in self._playing.values()))
        self._in_bank.difference_update(dropped)

    async def _put_in_bank(self, clip: str) -> None:
        """Send the media process a cached clip that it does not have. Raises: VoiceError."""
        sound = self._clips.get(clip)
        if sound is not None and clip not in self._in_bank:
            await self._media.put_clip(clip, sound.audio)
            self._in_bank.add(clip)
