"""The web side of the shell as tests open it: sound cache and webhooks, and every fact they post."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from holdfast.voice.control.read_only_state import Message
from holdfast.voice.media_process.control_link.protocol import PlayClip
from holdfast.voice.media_process.errors import MediaUnavailable
from holdfast.voice.model.effects import LogNotification, PlaySound, StopSound
from holdfast.voice.model.facts import DocumentFetched, DocumentFetchFailed, SoundFailed
from holdfast.voice.model.ids import CallSid, Token, call_of
from holdfast.voice.model.ports import Trace, WebhookTrace
from holdfast.voice.runtime.http.client import WebClient
from holdfast.voice.runtime.http.exchange import RequestPolicy
from holdfast.voice.runtime.http.ssrf_policy import SsrfPolicy
from holdfast.voice.runtime.sounds.decode_client import Decoder
from holdfast.voice.runtime.sounds.sound_cache import SoundCache
from holdfast.voice.runtime.sounds.tts_client import NoSpeech, SpeechEngine
from holdfast.voice.runtime.webhooks.webhooks import Webhooks

FAST = RequestPolicy(connect_s=0.5, read_s=0.5, total_s=1.5)
AUDIO_LIMIT = 1_000_000
ALICE, BOB, CAROL = (CallSid("CA" + letter * 32) for letter in "abc")
Told = DocumentFetched | DocumentFetchFailed | SoundFailed


def token(call: CallSid, number: int = 0) -> Token:
    return Token(f"{call}/{number}")


class Bank:
    """A media process that holds clips, and records what it is asked to play."""

    def __init__(self) -> None:
        self.clips: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.played: list[tuple[str, str, str, int]] = []
        self.stopped: list[str] = []
        self.away = False
        self._news = asyncio.Event()

    async def put_clip(self, clip_id: str, audio: bytes) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise MediaUnavailable("the media process is not attached")
        self.clips[clip_id] = audio
        self.puts.append(clip_id)

    async def has_clip(self, clip_id: str) -> bool:
        await asyncio.sleep(0)
        if self.away:
            raise MediaUnavailable("the media process is not attached")
        return clip_id in self.clips

    def send(self, command: PlayClip | StopSound) -> None:
        if isinstance(command, StopSound):
            self.stopped.append(command.token)
            return
        assert command.clip_id == f"digits:{command.digits}" or not command.digits
        self.played.append((call_of(command.token), command.token, command.clip_id, command.loops))
        self._news.set()

    async def plays(self, count: int = 1) -> None:
        """Return once that many sounds have been asked for."""
        async with asyncio.timeout(10):
            while len(self.played) < count:
                self._news.clear()
                await self._news.wait()


class Shell:
    """What is open during a test. `time` stands until the test moves it."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.bank = Bank()
        self.told: list[Told] = []
        self.notices: list[LogNotification] = []
        self.seen: list[WebhookTrace] = []
        self._facts: asyncio.Queue[Told] = asyncio.Queue()
        self.web: WebClient
        self.library: SoundCache
        self.webhooks: Webhooks

    def now(self) -> float:
        return self.time

    def post(self, message: Message) -> None:
        assert isinstance(message, Told)
        self.told.append(message)
        self._facts.put_nowait(message)

    def notify(self, notification: LogNotification) -> None:
        self.notices.append(notification)

    def trace(self, exchange: Trace) -> None:
        assert isinstance(exchange, WebhookTrace)
        self.seen.append(exchange)

    def count_refusal(self, message: str, status: str) -> None:
        raise AssertionError(f"a webhook has no machine: {message} in {status}")

    async def preload(self, url: str) -> str:
        """Have a sound loaded by a call that has ended since, and return its clip."""
        count = len(self.bank.played)
        self.library.carry_out(PlaySound(token=token(CAROL), source=url))
        await self.bank.plays(count + 1)
        self.library.playback_ended(token(CAROL))
        return self.bank.played.pop()[2]

    async def fact(self) -> Told:
        """The next fact told."""
        async with asyncio.timeout(10):
            return await self._facts.get()

    async def sees(self, kind: str, count: int = 1) -> list[WebhookTrace]:
        """The exchanges of a kind, once there are that many."""
        async with asyncio.timeout(10):
            while len(found := [seen for seen in self.seen if seen.kind == kind]) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return found

    def codes(self) -> Iterator[int]:
        return (notice.code for notice in self.notices)


@asynccontextmanager
async def open_shell(
    *,
    timing: RequestPolicy = FAST,
    decoder: Decoder | None = None,
    speech: SpeechEngine | None = None,
    budget_bytes: int = 10_000_000,
) -> AsyncIterator[Shell]:
    """Open the whole web side, on loopback."""
    shell = Shell()
    decoder = decoder or Decoder()
    async with WebClient(auth_token="secret", ssrf_policy=SsrfPolicy(loopback=True), policy=timing) as shell.web:
        try:
            async with asyncio.TaskGroup() as tasks:
                shell.library = SoundCache(
                    web=shell.web,
                    media=shell.bank,
                    decoder=decoder,
                    speech=speech or NoSpeech(),
                    events=shell,
                    tasks=tasks,
                    budget_bytes=budget_bytes,
                    audio_limit_bytes=AUDIO_LIMIT,
                )
                shell.webhooks = Webhooks(
                    web=shell.web,
                    sounds=shell.library,
                    events=shell,
                    tasks=tasks,
                    audio_limit_bytes=AUDIO_LIMIT,
                )
                await shell.library.open()
                yield shell
        finally:
            await shell.library.close()
