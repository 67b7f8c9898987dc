"""The library: finds, fetches, decodes and keeps sounds, and has the media process play them.

A sound that is here is played in the same call that asks for it; any other is fetched first, and the leg hears
silence until then. The newest sound asked for on a leg wins; an older one still on its way is dropped.

Length: one cache with one set of states for each sound: asked, fetched, decoded, kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import LogNotification, PlaySound, StopSound
from holdfast.voice.model.errors import ContentTypeInvalid, VoiceError
from holdfast.voice.model.facts import SoundFailed
from holdfast.voice.model.ids import CallSid, Token, call_of
from holdfast.voice.model.ports import WebhookTrace
from holdfast.voice.runtime.http import content_sniffing
from holdfast.voice.runtime.http.client import WebClient
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.http.errors import ResponseEmpty, SoundUnplayable, StatusWrong
from holdfast.voice.runtime.http.exchange import AUDIO_LIMIT, HttpRequest, HttpResponse
from holdfast.voice.runtime.http.http_trace import traces_of_exchange
from holdfast.voice.runtime.http.response_cache import ResponseCache, read_cache_policy
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
"""More than two hours of sound. Smaller than the media process's bank, so that what is on our shelf is in there."""
MAX_URLS = 4096
REVALIDATE_S = 30.0
"""How often, at most, a sound without a lifetime is asked for again behind a use of it."""


class ClipPlayer(Protocol):
    """What the library asks of the media process."""

    async def put_clip(self, clip_id: str, audio: bytes) -> None:
        """Give it a clip. Raises: VoiceError."""

    async def has_clip(self, clip_id: str) -> bool:
        """Whether it holds the clip. Raises: VoiceError."""

    def play(self, leg: str, token: str, clip_id: str, *, loops: int = 1, digits: str = "") -> None:
        """Play a clip to a leg from its beginning; `digits` are the keys whose tones it is."""

    def stop(self, leg: str, token: str) -> None:
        """Stop that sound if the leg still plays it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preloaded:
    """What a URL was found to hold. Units: levels relative to full scale; speech on telephones is about −20 dB."""

    clip: str
    seconds: float
    level_db: float
    peak_db: float
    content_type: str


class SoundCache:
    """Open it once the media process answers, close it after `tasks`, in which its tasks are born, has ended.

    The engine tells it what the media process tells: `ended`, `refused`, `restarted`.
    """

    def __init__(
        self,
        *,
        web: WebClient,
        media: ClipPlayer,
        decoder: Decoder,
        speech: SpeechEngine,
        post: Callable[[SoundFailed], None],
        notify: Callable[[LogNotification], None],
        trace: Callable[[WebhookTrace], None],
        clock: Callable[[], float],
        tasks: asyncio.TaskGroup,
        budget_bytes: int = BUDGET_BYTES,
        audio_limit_bytes: int = AUDIO_LIMIT,
    ) -> None:
        self._web = web
        self._media = media
        self._decoder = decoder
        self._speech = speech
        self._tell = post
        self._notify = notify
        self._seen = trace
        self._clock = clock
        self._tasks = tasks
        self._audio_limit = audio_limit_bytes
        self._shelf = ClipLru(budget_bytes=budget_bytes)
        self._urls: ResponseCache[Preloaded] = ResponseCache(budget_bytes=MAX_URLS)
        self._asked_at: dict[str, float] = {}
        self._in_bank: set[str] = set()
        self._loading: dict[str, asyncio.Task[Preloaded | VoiceError]] = {}
        self._decoding: dict[str, asyncio.Task[DecodedAudio | VoiceError]] = {}
        self._wanted: dict[CallSid, PlaySound] = {}
        self._playing: dict[CallSid, tuple[PlaySound, str]] = {}

    async def open(self) -> None:
        """Make the built-in sounds, give them to the media process, start decoding. Raises: VoiceError, OSError."""
        for name in BUILT_IN:
            if (sound := generated.built_in(name)) is not None:
                self._shelf.put(f"builtin:{name}", sound, playing=(), pinned=True)
        await self.media_restarted()
        await self._decoder.start()

    async def close(self) -> None:
        """End the decoding process and the speaking one; for after the last task."""
        await self._decoder.close()
        await self._speech.close()

    # --- effects and what the media process tells ---------------------------------------------------------------

    def carry_out(self, effect: PlaySound | StopSound) -> None:
        """Play now if the sound is here, else as soon as it is; or stop it."""
        leg = call_of(effect.token)
        match effect:
            case PlaySound(while_loading=awaited) if awaited is not None:
                wanted, clip = self._wanted.get(leg), self._at_hand(effect.source)
                if wanted is not None and wanted.token == awaited and clip is not None and clip in self._in_bank:
                    self._play(effect, clip)
            case PlaySound():
                self._wanted[leg] = effect
                clip = self._at_hand(effect.source)
                if clip is not None and clip in self._in_bank:
                    self._play(effect, clip)
                else:
                    self._tasks.create_task(self._prepare(effect), name=f"sound {effect.token}")
            case StopSound():
                if leg in self._wanted and self._wanted[leg].token == effect.token:
                    del self._wanted[leg]
                self._ended(effect.token)
                self._media.stop(leg, effect.token)

    def playback_ended(self, token: Token) -> None:
        """The media process says that the sound was played to its end."""
        self._ended(token)

    def forget(self, call: CallSid) -> None:
        """The call is over: whatever it plays or waits for is nobody's any more."""
        self._wanted.pop(call, None)
        self._playing.pop(call, None)

    async def media_restarted(self) -> None:
        """The media process is new, and holds no clips: give it the built-in ones. Raises: VoiceError."""
        self._in_bank.clear()
        for clip in self._shelf.pinned():
            await self._to_bank(clip)

    def playback_refused(self, legs: Iterable[str]) -> None:
        """The media process turned commands for these legs down: perhaps it has given a clip away. Play again."""
        for leg in legs:
            if (playing := self._playing.get(CallSid(leg))) is not None:
                effect, clip = playing
                self._tasks.create_task(self._play_again(effect, clip), name=f"sound again {effect.token}")

    # --- for documents and for configuration --------------------------------------------------------------------

    def has_clip(self, clip: str) -> bool:
        """Whether `clip:ID` can be played at once."""
        return clip in self._shelf and clip in self._in_bank

    async def add_response(self, response: HttpResponse, *, call: CallSid | None = None) -> Preloaded:
        """Make a clip of a web server's answer. A type that does not fit the bytes is a warning.

        Raises: AnswerEmpty, ContentTypeInvalid, SoundUnplayable, MediaAway, MediaRefused.
        """
        body, said = response.body, response.content_type
        if not body:
            raise ResponseEmpty(f"{response.url} answered with nothing where a sound was expected")
        kind = content_sniffing.audio_format(body, said)
        if kind is None:
            if not content_sniffing.may_be_audio(said) and "xml" not in said:
                raise ContentTypeInvalid(f"{response.url} is {said}, not a sound")
            raise SoundUnplayable(f"{response.url} ({said or 'no content type'}) is no sound that we know")
        if said not in content_sniffing.GENERIC_TYPES and content_sniffing.FORMAT_OF_TYPE.get(said) != kind:
            message = f"{response.url} is called {said} and is {kind}; it is played as {kind}"
            self._notify(
                LogNotification(call=call, code=ContentTypeInvalid.code, log=1, message=message, url=response.url)
            )
        clip = "sound-" + hashlib.blake2b(kind.encode() + body, digest_size=16).hexdigest()
        sound = self._shelf.get(clip)
        if sound is None:
            outcome = await self._decoded(clip, response, kind)
            if isinstance(outcome, VoiceError):
                raise outcome
            sound = outcome
            self._put_up(clip, sound)
        await self._to_bank(clip)
        return Preloaded(
            clip=clip, seconds=sound.seconds, level_db=sound.level_db, peak_db=sound.peak_db, content_type=said
        )

    async def preload(self, url: str) -> Preloaded:
        """Fetch and decode a sound ahead of its use, and say what it is. Raises: VoiceError."""
        outcome = await self._loaded(url, call=None)
        if isinstance(outcome, VoiceError):
            raise outcome
        return outcome

    # --- within -------------------------------------------------------------------------------------------------

    def _at_hand(self, source: str) -> str | None:
        """The clip for a source if it may be used now; a stale one is asked for again behind its use.

        Deviation: a sound without a lifetime, or whose lifetime is over, is played as it is while we ask whether it
        has changed, unless its server forbids that (`no-cache`, `must-revalidate`): hold music must not wait.
        """
        if not source.startswith(("http:", "https:")):
            clip = source.removeprefix("clip:")
            if source.startswith("say:"):
                clip = clip_of(source)
            return clip if self._shelf.get(clip) is not None else None
        kept = self._urls.get(source)
        if kept is None or self._shelf.get(kept.value.clip) is None:
            return None
        if kept.freshness(self._clock()) != "fresh":
            if kept.policy.must_revalidate:
                return None
            self._ask_behind(source)
        return kept.value.clip

    def _ask_behind(self, url: str) -> None:
        """Ask again whether a sound has changed, not too often, while it plays."""
        now = self._clock()
        if url not in self._loading and now - self._asked_at.get(url, -REVALIDATE_S) >= REVALIDATE_S:
            self._load(url, call=None)

    def _load(self, url: str, *, call: CallSid | None) -> asyncio.Task[Preloaded | VoiceError]:
        """The one download of this URL under way."""
        if url not in self._loading:
            self._loading[url] = self._tasks.create_task(self._fetch(url, call), name=f"load {without_secrets(url)}")
        return self._loading[url]

    async def _loaded(self, url: str, *, call: CallSid | None) -> Preloaded | VoiceError:
        """What the URL holds, asked for now, together with everybody else who waits for it."""
        return await asyncio.shield(self._load(url, call=call))

    async def _fetch(self, url: str, call: CallSid | None) -> Preloaded | VoiceError:
        """Ask a web server for a sound, or whether the one we have is still right."""
        began = self._clock()
        self._note_asked(url, began)
        kept = self._urls.get(url)
        known = kept is not None and self._shelf.get(kept.value.clip) is not None
        conditions = kept.policy.conditions() if kept is not None and known else {}
        answer: HttpResponse | None = None
        outcome: Preloaded | VoiceError
        try:
            answer = await self._web.send(
                HttpRequest(
                    url=url, audio_limit_bytes=self._audio_limit, carry_query=False, conditions=conditions, call=call
                )
            )
            caching = read_cache_policy(answer.headers)
            if answer.status == 304 and kept is not None and known:
                self._urls.confirm(url, caching, now=self._clock())
                await self._to_bank(kept.value.clip)
                outcome = kept.value
            else:
                outcome = await self.add_response(answer.require_success(), call=call)
                if caching.storable:
                    self._urls.put(url, outcome, policy=caching, now=self._clock(), size=1)
                else:
                    self._urls.remove(url)
        except VoiceError as error:
            outcome = as_sound_error(error)
            if isinstance(error, StatusWrong) and answer is not None and answer.status in (404, 410):
                self._urls.remove(url)
        finally:
            del self._loading[url]
        for seen in traces_of_exchange(
            kind="sound",
            call=call,
            request=WebRequest(url=url, method="GET"),
            took_s=self._clock() - began,
            response=answer,
            error=outcome if isinstance(outcome, VoiceError) else None,
        ):
            self._seen(seen)
        return outcome

    def _note_asked(self, url: str, now: float) -> None:
        self._asked_at = {known: at for known, at in self._asked_at.items() if now - at < REVALIDATE_S}
        self._asked_at[url] = now

    async def _decoded(
        self, clip: str, answer: HttpResponse, kind: content_sniffing.AudioFormat
    ) -> DecodedAudio | VoiceError:
        """The one decoding of these bytes under way."""
        if clip not in self._decoding:
            self._decoding[clip] = self._tasks.create_task(self._decode(clip, answer, kind), name=f"decode {clip}")
        return await asyncio.shield(self._decoding[clip])

    async def _decode(
        self, clip: str, answer: HttpResponse, kind: content_sniffing.AudioFormat
    ) -> DecodedAudio | VoiceError:
        try:
            return await self._decoder.decode(answer.body, kind)
        except SoundUnplayable as error:
            return SoundUnplayable(f"{answer.url}: {error.message}")
        finally:
            del self._decoding[clip]

    async def _prepare(self, effect: PlaySound) -> None:
        """Get the sound, then play it if it is still what the leg is to hear."""
        leg = call_of(effect.token)
        outcome = await self._obtain(effect)
        if self._wanted.get(leg) is not effect:
            return
        if isinstance(outcome, VoiceError):
            del self._wanted[leg]
            self._tell(SoundFailed(token=effect.token, code=outcome.code, message=outcome.message))
        else:
            self._play(effect, outcome)

    async def _obtain(self, effect: PlaySound) -> str | VoiceError:
        """The clip for a source, in the media process's bank."""
        source = effect.source
        clip = self._at_hand(source)
        if clip is None:
            if source.startswith(("http:", "https:")):
                outcome = await self._loaded(source, call=call_of(effect.token))
                if isinstance(outcome, VoiceError):
                    return outcome
                return (
                    outcome.clip if self.has_clip(outcome.clip) else InternalFailure(f"no room was left for {source}")
                )
            if (utterance := utterance_of(source)) is not None:
                return await self._spoken(source, utterance, call=call_of(effect.token))
            tones = generated.generated_tones(source)
            if tones is None:
                return SoundUnplayable(f"{source[:200]} is no sound that we have")
            clip = source
            self._put_up(clip, tones)
        return await self._banked(clip)

    async def _spoken(self, source: str, utterance: Utterance, *, call: CallSid) -> str | VoiceError:
        """The clip of a text; without a voice for it a pause of its length, which is not kept, and a warning."""
        clip = clip_of(source)
        try:
            sound = await self._speech.speak(utterance)
        except SoundUnplayable as error:
            message = f"a text is a pause of its length: {error.message}"
            self._notify(LogNotification(call=call, code=SPEECH_FAILED, log=1, message=message))
            clip, sound = f"pause:{utterance.pause_s:.2f}", pause_for(utterance)
        self._put_up(clip, sound)
        return await self._banked(clip)

    async def _banked(self, clip: str) -> str | VoiceError:
        """The clip, in the media process's bank."""
        try:
            await self._to_bank(clip)
        except VoiceError as error:
            return as_sound_error(error)
        return clip

    async def _play_again(self, effect: PlaySound, clip: str) -> None:
        """Give the clip to the bank anew if it has gone from there, and play it if it is still to be heard."""
        try:
            if await self._media.has_clip(clip):
                return
            self._in_bank.discard(clip)
            await self._to_bank(clip)
        except VoiceError as error:
            self._tell(SoundFailed(token=effect.token, code=InternalFailure.code, message=error.message))
            return
        playing = self._playing.get(call_of(effect.token))
        if playing is not None and playing[0] is effect:
            self._play(effect, clip)

    def _play(self, effect: PlaySound, clip: str) -> None:
        leg = call_of(effect.token)
        if leg in self._wanted and self._wanted[leg].token == effect.token:
            del self._wanted[leg]
        self._playing[leg] = (effect, clip)
        digits = effect.source.removeprefix("digits:") if effect.source.startswith("digits:") else ""
        self._media.play(leg, effect.token, clip, loops=effect.rounds, digits=digits)

    def _ended(self, token: Token) -> None:
        leg = call_of(token)
        if leg in self._playing and self._playing[leg][0].token == token:
            del self._playing[leg]

    def _put_up(self, clip: str, sound: DecodedAudio) -> None:
        gone = self._shelf.put(clip, sound, playing=(playing for _, playing in self._playing.values()))
        self._in_bank.difference_update(gone)

    async def _to_bank(self, clip: str) -> None:
        """Give the media process a clip of ours. Raises: VoiceError."""
        sound = self._shelf.get(clip)
        if sound is not None and clip not in self._in_bank:
            await self._media.put_clip(clip, sound.audio)
            self._in_bank.add(clip)
