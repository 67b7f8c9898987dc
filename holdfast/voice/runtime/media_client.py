"""Control's client of the media process: open rows, route audio, play clips, receive facts.

Commands (`send`, and its short forms) return at once, arrive in the order of the calls, and are in force at the next
tick; one that cannot be applied is reported by the fact `RequestRefused`. Requests
(`open_row`, `put_clip`, `has_clip`, `rows`, `applied`) are awaited, and keep their place among the commands.

    media = MediaClient(path)
    tasks.create_task(media.run(), name="media-client")
    await media.attached()
    address = await media.open_row(call)
    with media.batch():  # both, or neither, at one tick
        media.play(token, "builtin:music", loops=0)
        media.send(RouteAudio(room=room, seats=(Seat(call=call, held=True),)))
    async for fact in media.facts(): ...
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.control_link.packing import CLIP_PART, Unpacker, pack, parse_server_message
from holdfast.voice.media_process.errors import (
    MediaMessageUnreadable,
    MediaRefused,
    MediaUnavailable,
    RowsFull,
)
from holdfast.voice.model.ids import Token, call_of

log = logging.getLogger(__name__)

RECONNECT_S = 0.1
REPLY_TIMEOUT_S = 5.0
FACTS_KEPT = 20_000

R = TypeVar("R", m.Done, m.RowOpened, m.ClipKnown, m.RowList)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAddress:
    """A row address is a leg's row, and the address at which its RTP is received (RTCP at the next port)."""

    row: int
    ip: str
    port: int


class MediaClient:
    """The media client is a connection to the media process that reconnects by itself.

    When the process was restarted its rows are lost: `ControlDetached`, then `ControlAttached` without rows. When only
    control was restarted, `ControlAttached` lists the rows that went on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts = FactQueue(limit=FACTS_KEPT)
        self._facts_came = asyncio.Event()
        self._attached = asyncio.Event()
        self.capacity = 0
        """The number of rows that the media process has."""
        self.rows_available = True
        """Whether another leg can have a row."""
        self._writer: asyncio.StreamWriter | None = None
        self._last_number = 0
        self._put_lock = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[m.Reply]] = {}
        self._sent: dict[int, tuple[m.Command, ...]] = {}
        self._batched: list[m.Command] | None = None

    async def run(self) -> None:
        """Keep the client attached until it is cancelled. Start it as a task; all other methods need it."""
        try:
            while True:
                try:
                    reader, writer = await asyncio.open_unix_connection(str(self._path))
                except OSError:
                    await asyncio.sleep(RECONNECT_S)
                    continue
                await self._serve_connection(reader, writer)
        finally:
            self._on_disconnect("the client was stopped")

    @property
    def is_attached(self) -> bool:
        """Whether the media process is connected now."""
        return self._attached.is_set()

    async def attached(self) -> None:
        """Return once the media process answers. There is no timeout of its own."""
        await self._attached.wait()

    # --- requests ---------------------------------------------------------------------------------------------

    async def open_row(self, leg: m.Leg) -> RowAddress:
        """Open a row for a leg: bind a pair of ports.

        It hears its own player, and is sent nothing until it is described. Raises: RowsFull, MediaUnavailable.
        """
        opened = await self._request(m.OpenRow(number=self._next_number(), leg=leg), m.RowOpened)
        return RowAddress(row=opened.row, ip=opened.ip, port=opened.port)

    async def put_clip(self, clip_id: str, audio: bytes) -> None:
        """Put a clip into the bank, in place of one with that name. The last frame is padded with silence.

        Units: `audio` is µ-law at 8 kHz, mono. The least recently played clips are removed when the bank is full.
        Raises: MediaRefused (larger than the bank), MediaUnavailable.
        """
        async with self._put_lock:
            for offset in range(0, max(1, len(audio)), CLIP_PART):
                part = audio[offset : offset + CLIP_PART]
                request = m.PutClip(number=self._next_number(), clip_id=clip_id, total=len(audio), offset=offset)
                await self._request(request, m.Done, audio=part)

    async def has_clip(self, clip_id: str) -> bool:
        """Return whether the bank holds the clip. Raises: MediaUnavailable."""
        return (await self._request(m.HasClip(number=self._next_number(), clip_id=clip_id), m.ClipKnown)).known

    async def rows(self) -> tuple[m.RowState, ...]:
        """Return the state of every row in use. Raises: MediaUnavailable."""
        return (await self._request(m.ListRows(number=self._next_number()), m.RowList)).rows

    async def applied(self) -> None:
        """Return once all commands before are in force for the next tick. Raises: MediaUnavailable."""
        await self._request(m.Apply(number=self._next_number()), m.Done)

    # --- commands ---------------------------------------------------------------------------------------------

    def send(self, command: m.Command) -> None:
        """Send a command."""
        if self._batched is not None:
            self._batched.append(command)
        else:
            self._send_batch((command,))

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Send the commands inside together; they take effect at one tick. There must be no `await` inside."""
        if self._batched is not None:
            yield
            return
        batched: list[m.Command] = []
        self._batched = batched
        try:
            yield
        finally:
            self._batched = None
        if batched:
            self._send_batch(tuple(batched))

    # --- facts ------------------------------------------------------------------------------------------------

    async def facts(self) -> AsyncIterator[m.Fact]:
        """Yield the facts in order, without end. There is one reader; each fact is yielded once."""
        while True:
            while (fact := self._facts.pop()) is not None:
                yield fact
            self._facts_came.clear()
            await self._facts_came.wait()

    # --- internal ----------------------------------------------------------------------------------------------

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one connection until it ends."""
        unpacker = Unpacker()
        self._writer = writer
        reason = "control stops"
        try:
            while data := await reader.read(1 << 16):
                for text, _ in unpacker.feed(data):
                    self._handle(parse_server_message(text))
            reason = "the media process closed the connection"
        except (OSError, MediaMessageUnreadable) as error:
            reason = str(error)
        finally:
            writer.close()
            self._on_disconnect(reason)

    def _handle(self, message: m.ServerMessage) -> None:
        match message:
            case m.Done() | m.NotDone() | m.RowOpened() | m.ClipKnown() | m.RowList():
                self._sent.pop(message.number, None)
                waiting = self._waiting.pop(message.number, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case m.ControlAttached(capacity=capacity):
                self.capacity, self.rows_available = capacity, True
                self._attached.set()
                self._post_fact(message)
            case m.RowsAvailable(available=available):
                self.rows_available = available
                self._post_fact(message)
            case m.RequestRefused(leg=leg, command=command, message=reason):
                log.warning("leg=%s command=%s refused: %s", leg, command, reason)
                self._post_fact(message)
            case _:
                self._post_fact(message)

    def _on_disconnect(self, reason: str) -> None:
        """Handle the end of the connection: fail the requests that wait, and refuse the commands that were sent."""
        self._writer = None
        was_attached = self._attached.is_set()
        self._attached.clear()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(MediaUnavailable(reason))
        self._waiting.clear()
        sent, self._sent = self._sent, {}
        for commands in sent.values():
            self._refuse(commands, reason)
        if was_attached:
            log.info("the media process is away: %s", reason)
            self._post_fact(m.ControlDetached())

    async def _request(self, request: m.Request, reply_type: type[R], *, audio: bytes = b"") -> R:
        """Send a request and await its reply. Raises: RowsFull, MediaRefused, MediaUnavailable."""
        if self._writer is None:
            raise MediaUnavailable("the media process is not attached")
        waiting: asyncio.Future[m.Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.number] = waiting
        try:
            self._writer.write(pack(request, audio))
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                reply = await waiting
        except TimeoutError as error:
            raise MediaUnavailable(f"the media process did not answer in {REPLY_TIMEOUT_S:g} s") from error
        finally:
            self._waiting.pop(request.number, None)
        match reply:
            case m.NotDone(reason="full"):
                raise RowsFull(reply.message)
            case m.NotDone():
                raise MediaRefused(reply.message)
            case _ if isinstance(reply, reply_type):
                return reply
            case _:
                raise MediaRefused(f"{type(request).__name__} was answered by {type(reply).__name__}")

    def _send_batch(self, commands: tuple[m.Command, ...]) -> None:
        if self._writer is None:
            self._refuse(commands, "the media process is not attached")
            return
        number = self._next_number()
        self._sent[number] = commands
        self._writer.writelines(pack(each) for each in (*commands, m.Apply(number=number)))

    def _refuse(self, commands: tuple[m.Command, ...], reason: str) -> None:
        """Post `RequestRefused` for commands that never reached the media process.

        Other commands need none: the seats are sent again, and the recorder learns of it by `ControlDetached`.
        """
        for command in commands:
            if isinstance(command, m.DescribeRow | m.CloseRow):
                self._post_refused(command, command.leg, None, reason)
            elif isinstance(command, m.PlayClip):
                self._post_refused(command, call_of(command.token), command.token, reason)

    def _post_refused(self, command: m.Command, leg: m.Leg, token: Token | None, reason: str) -> None:
        self._post_fact(m.RequestRefused(leg=leg, command=type(command).__name__, token=token, message=reason))

    def _post_fact(self, fact: m.Fact) -> None:
        self._facts.post(fact)
        self._facts_came.set()

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number
