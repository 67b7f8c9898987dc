"""Control's side of the media process: open rows, say who hears whom, play clips, hear what happened.

Commands (`describe_row`, `close_row`, `play`, `stop`, `route`) are posted: they return at once, arrive in the order
posted, and are in force at the next tick; one that cannot be carried out comes back as the fact `Refused`. Requests
(`open_row`, `put_clip`, `has_clip`, `rows`, `applied`) are awaited, and keep their place among the commands.

    media = MediaPlane(path)
    tasks.create_task(media.run(), name="media-client")
    await media.attached()
    address = await media.open_row(call)
    with media.batch():  # both, or neither, at one tick
        media.play(call, token, "builtin:music", loops=0)
        media.route({call: None, other: ()})
    async for fact in media.facts(): ...
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from holdfast.voice.media.mix.beeps import Tone
from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.media.rtp.srtp import SrtpKeys
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.control_link.recording_messages import (
    CaptureCommand,
)
from holdfast.voice.media_process.errors import (
    MediaAway,
    MediaMessageUnreadable,
    MediaRefused,
    RowsFull,
)

log = logging.getLogger(__name__)

ENDLESS_ROUNDS = 1000
"""What 0 rounds mean. Source: TwiML <Play>, attribute loop."""

RECONNECT_S = 0.1
REPLY_TIMEOUT_S = 5.0
FACTS_KEPT = 20_000

R = TypeVar("R", m.Done, m.RowOpened, m.ClipKnown, m.RowList)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAddress:
    """A leg's row, and the address its RTP is awaited at (RTCP at the next port)."""

    row: int
    ip: str
    port: int


class MediaPlane:
    """A connection to the media process that comes back by itself.

    When the process is restarted its rows are gone: `Detached`, then `Attached` without rows. When only control was,
    `Attached` lists the rows that went on sounding.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts = FactQueue(limit=FACTS_KEPT)
        self._facts_came = asyncio.Event()
        self._attached = asyncio.Event()
        self.capacity = 0
        """How many rows the media process has."""
        self.rows_left = True
        """Whether another leg can have a row."""
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = 0
        self._putting = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[m.Reply]] = {}
        self._posted: dict[int, tuple[m.Command, ...]] = {}
        self._collected: list[m.Command] | None = None

    async def run(self) -> None:
        """Keep attached until cancelled. Start it as a task; everything else waits for it."""
        try:
            while True:
                try:
                    reader, writer = await asyncio.open_unix_connection(str(self._path))
                except OSError:
                    await asyncio.sleep(RECONNECT_S)
                    continue
                await self._attend(reader, writer)
        finally:
            self._lose("the client was stopped")

    @property
    def is_attached(self) -> bool:
        """Whether the media process is there now."""
        return self._attached.is_set()

    async def attached(self) -> None:
        """Return once the media process answers. Raises: TimeoutError only by the caller's own limit."""
        await self._attached.wait()

    # --- requests ---------------------------------------------------------------------------------------------

    async def open_row(self, leg: m.Leg) -> RowAddress:
        """Bind a pair of ports for a leg; it hears its own player, and is sent nothing until it is described.

        Raises: RowsFull, MediaAway.
        """
        opened = await self._ask(m.OpenRow(number=self._next(), leg=leg), m.RowOpened)
        return RowAddress(row=opened.row, ip=opened.ip, port=opened.port)

    async def put_clip(self, clip_id: str, audio: bytes) -> None:
        """Give a clip to the bank, in place of one of that name. The last frame is filled up with silence.

        Units: `audio` is µ-law at 8 kHz, mono. The least recently played clips make room when the bank is full.
        Raises: MediaRefused (larger than the bank), MediaAway.
        """
        async with self._putting:
            for offset in range(0, max(1, len(audio)), m.CLIP_PART):
                part = audio[offset : offset + m.CLIP_PART]
                request = m.PutClip(number=self._next(), clip_id=clip_id, total=len(audio), offset=offset)
                await self._ask(request, m.Done, sound=part)

    async def has_clip(self, clip_id: str) -> bool:
        """Whether the bank holds the clip. Raises: MediaAway."""
        return (await self._ask(m.AskClip(number=self._next(), clip_id=clip_id), m.ClipKnown)).known

    async def rows(self) -> tuple[m.RowState, ...]:
        """Every row in use. Raises: MediaAway."""
        return (await self._ask(m.ListRows(number=self._next()), m.RowList)).rows

    async def applied(self) -> None:
        """Return once everything posted before is in force for the next tick. Raises: MediaAway."""
        await self._ask(m.RequestBatch(number=self._next(), commands=()), m.Done)

    # --- commands ---------------------------------------------------------------------------------------------

    def describe_row(
        self,
        leg: m.Leg,
        *,
        remote: m.Address | None,
        codec: m.Codec = "PCMU",
        also: tuple[m.Codec, ...] = (),
        dtmf_payload_type: int | None = None,
        send: bool = True,
        receive: bool = True,
        srtp: SrtpKeys | None = None,
        signalled_from: str | None = None,
        rtp_source: RtpSource = "signalling",
    ) -> None:
        """What offer and answer agreed: where to send, in which law, and who may speak.

        A party that begins to speak a codec of `also` is spoken to in that one from then on.
        With `srtp` packets are sealed both ways, and plain ones not believed; the same keys again change nothing.
        The party is heard from `remote`, and by `rtp_source` from the host that it is `signalled_from`, or anywhere. A
        new `remote`, or a party that may speak again, opens the window in which another of these may be latched.
        """
        self._post(
            m.DescribeRow(
                leg=leg,
                remote=remote,
                codec=codec,
                also=also,
                dtmf_payload_type=dtmf_payload_type,
                send=send,
                receive=receive,
                srtp=None
                if srtp is None
                else m.SrtpParameters(send=srtp.send, receive=srtp.receive, profile=srtp.profile),
                signalled_from=signalled_from,
                rtp_source=rtp_source,
            )
        )

    def close_row(self, leg: m.Leg) -> None:
        """The leg is over. Its ports rest for 30 s."""
        self._post(m.CloseRow(leg=leg))

    def play(self, leg: m.Leg, token: str, clip_id: str, *, loops: int = 1, digits: str = "") -> None:
        """Play a clip from its beginning in the leg's player. Units: `loops` rounds; 0 means 1000.

        `digits` are the keys whose tones the clip is; a leg that agreed to telephone events gets those.
        It is heard while the leg is routed to its own player (`None`), and runs on unheard while it is not.
        """
        rounds = loops if loops > 0 else ENDLESS_ROUNDS
        self._post(m.PlayClip(leg=leg, token=token, clip_id=clip_id, loops=rounds, digits=digits))

    def stop(self, leg: m.Leg, token: str) -> None:
        """Stop that sound if the leg still plays it; there is no `SoundEnded` then."""
        self._post(m.StopClip(leg=leg, token=token))

    def route(self, hears: Mapping[m.Leg, m.Hears]) -> None:
        """Who hears whom from the next tick on. Shape: only the ears that change."""
        self._post(m.RouteRows(hears=tuple(hears.items())))

    def drop(self, legs: Iterable[m.Leg]) -> None:
        """Drop what waits to be played of what these parties said."""
        self._post(m.Drop(legs=tuple(legs)))

    def beep(self, legs: Iterable[m.Leg], *, tone: Tone) -> None:
        """Lay a short tone over whatever these legs are sent, from the next tick on."""
        self._post(m.BeepRows(legs=tuple(legs), tone=tone))

    def pass_on(self, leg: m.Leg, digit: str) -> None:
        """Press for the leg's peer a key that the party told of by signalling. Nothing when it has no one peer."""
        self._post(m.PassOn(leg=leg, digit=digit))

    def listen(self, legs: Iterable[m.Leg], *, wanted: bool) -> None:
        """Have it told (`SpeechTurned`) when these parties begin to speak and stop, or no more."""
        self._post(m.ListenToRows(legs=tuple(legs), wanted=wanted))

    def capture(self, command: CaptureCommand) -> None:
        """Record, change what is recorded, or stop. The end comes as the fact `CaptureClosed`."""
        self._post(command)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Commands posted inside leave together and take effect at one tick. There must be no `await` inside."""
        if self._collected is not None:
            yield
            return
        collected: list[m.Command] = []
        self._collected = collected
        try:
            yield
        finally:
            self._collected = None
        if collected:
            self._send_batch(tuple(collected))

    # --- facts ------------------------------------------------------------------------------------------------

    async def facts(self) -> AsyncIterator[m.Fact]:
        """What happened, in order, without end. One reader; a fact it was given is not given again."""
        while True:
            while (fact := self._facts.take()) is not None:
                yield fact
            self._facts_came.clear()
            await self._facts_came.wait()

    # --- within -----------------------------------------------------------------------------------------------

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one connection to its end."""
        unpacker = m.Unpacker()
        self._writer = writer
        why = "control stops"
        try:
            while data := await reader.read(1 << 16):
                for text, _ in unpacker.feed(data):
                    self._take(m.read_answer(text))
            why = "the media process closed the connection"
        except (OSError, MediaMessageUnreadable) as error:
            why = str(error)
        finally:
            writer.close()
            self._lose(why)

    def _take(self, answer: m.Answer) -> None:
        match answer:
            case m.Done() | m.NotDone() | m.RowOpened() | m.ClipKnown() | m.RowList():
                self._posted.pop(answer.number, None)
                waiting = self._waiting.pop(answer.number, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
            case _:
                if isinstance(answer, m.ControlAttached):
                    self.capacity, self.rows_left = answer.capacity, True
                    self._attached.set()
                elif isinstance(answer, m.RowsLeft):
                    self.rows_left = answer.some
                elif isinstance(answer, m.RequestRefused):
                    log.warning("leg=%s command=%s refused: %s", answer.leg, answer.command, answer.message)
                self._tell(answer)

    def _lose(self, why: str) -> None:
        """The connection is gone: whoever waits is told, and what was posted is refused."""
        self._writer = None
        was_attached = self._attached.is_set()
        self._attached.clear()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(MediaAway(why))
        self._waiting.clear()
        posted, self._posted = self._posted, {}
        for commands in posted.values():
            self._refuse(commands, why)
        if was_attached:
            log.info("the media process is away: %s", why)
            self._tell(m.ControlDetached())

    async def _ask(self, request: m.Request, reply_type: type[R], *, sound: bytes = b"") -> R:
        """Send a request and await its reply. Raises: RowsFull, MediaRefused, MediaAway."""
        if self._writer is None:
            raise MediaAway("the media process is not attached")
        waiting: asyncio.Future[m.Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.number] = waiting
        try:
            self._writer.write(m.pack(request, sound))
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                reply = await waiting
        except TimeoutError as error:
            raise MediaAway(f"the media process did not answer in {REPLY_TIMEOUT_S:g} s") from error
        finally:
            self._waiting.pop(request.number, None)
        match reply:
            case m.NotDone(why="full"):
                raise RowsFull(reply.message)
            case m.NotDone():
                raise MediaRefused(reply.message)
            case _ if isinstance(reply, reply_type):
                return reply
            case _:
                raise MediaRefused(f"{type(request).__name__} was answered by {type(reply).__name__}")

    def _post(self, command: m.Command) -> None:
        if self._collected is not None:
            self._collected.append(command)
        else:
            self._send_batch((command,))

    def _send_batch(self, commands: tuple[m.Command, ...]) -> None:
        if self._writer is None:
            self._refuse(commands, "the media process is not attached")
            return
        batch = m.RequestBatch(number=self._next(), commands=commands)
        self._posted[batch.number] = commands
        self._writer.write(m.pack(batch))

    def _refuse(self, commands: tuple[m.Command, ...], why: str) -> None:
        """Tell of commands that never reached the media process."""
        for command in commands:
            if isinstance(command, CaptureCommand | m.Drop | m.BeepRows | m.PassOn | m.ListenToRows):
                continue  # whoever records hears of it by `Detached`; of a beep that was not heard, nobody
            legs = [ear for ear, _ in command.hears] if isinstance(command, m.RouteRows) else [command.leg]
            token = command.token if isinstance(command, m.PlayClip | m.StopClip) else None
            for leg in legs:
                self._tell(m.RequestRefused(leg=leg, command=command.kind, token=token, message=why))

    def _tell(self, fact: m.Fact) -> None:
        self._facts.put(fact)
        self._facts_came.set()

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers
