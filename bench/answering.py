"""Answer every call at once, with the SIP legs and the media process alone.

`python -m bench.answering --socket PATH --port N`: prints `ready` when it listens, and runs until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from pathlib import Path

from holdfast.voice.control.read_only_state import Message
from holdfast.voice.model.commands import Instruction, ReceiveCall
from holdfast.voice.model.effects import AnswerLeg, LogNotification
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.phone_numbers import read_number
from holdfast.voice.model.ports import Trace
from holdfast.voice.runtime.directory.directory import AnsweringDocument
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord
from holdfast.voice.runtime.media_client import MediaClient
from holdfast.voice.runtime.sip.config.settings import (
    SipSettings,
)
from holdfast.voice.runtime.sip.sip_legs import SipLegs
from holdfast.voice.runtime.sip.transport.bound_sockets import bind_sockets

EMPTY_DOCUMENT = AnsweringDocument(instruction=Instruction(twiml="<Response/>"))


class OpenDirectory:
    """A directory in which every number is answered, and which has no lines."""

    def line(self, name: str) -> LineRecord | None:
        """Return None."""
        return None

    def e164(self, written: str) -> str | None:
        """Return a number in E.164. Source: dial_plan.LineLookup."""
        return read_number(written, "US")

    def route_for(self, number: str) -> RouteRecord | None:
        """Return None."""
        return None

    def unreachable_reason(self, number: str) -> str:
        """Return why a number cannot be called. Source: dial_plan.LineLookup."""
        return f"{number} leads nowhere"

    def trunks(self) -> tuple[RouteRecord, ...]:
        """Return no trunk."""
        return ()

    def answer_for(self, dialled: str, *, host: str = "") -> AnsweringDocument | None:
        """Return the same document for every number."""
        return EMPTY_DOCUMENT

    def answer_of_number(self, number: str) -> AnsweringDocument | None:
        """Return None."""
        return None

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        """Return None."""
        return None


class AnswerEvents:
    """The events of the legs: each inbound call waits to be answered, and all else is dropped."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[CallSid] = asyncio.Queue()

    def now(self) -> float:
        """Return the time."""
        return time.time()

    def post(self, message: Message) -> None:
        """Have an inbound call answered."""
        if isinstance(message, ReceiveCall):
            self._calls.put_nowait(message.call)

    def notify(self, notification: LogNotification) -> None:
        """Drop a notification."""

    def trace(self, exchange: Trace) -> None:
        """Drop a trace."""

    def count_refusal(self, message: str, status: str) -> None:
        """Drop the count of a refusal."""

    async def answer(self, legs: SipLegs) -> None:
        """Answer every call until cancelled."""
        while True:
            legs.carry_out(AnswerLeg(call=await self._calls.get()))


async def answer(*, media_socket: Path, port: int) -> None:
    """Answer calls until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    media = MediaClient(media_socket)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(media.run(), name="media-client")]
        await media.attached()

        events = AnswerEvents()
        settings = SipSettings(address=("127.0.0.1", port), trust_loopback=True)
        legs = SipLegs(
            settings,
            bind_sockets(settings),
            account=AccountSid("AC" + "0" * 32),
            directory=OpenDirectory(),
            media=media,
            events=events,
            tasks=tasks,
        )
        await legs.open()
        running.append(tasks.create_task(events.answer(legs), name="answers"))
        running.append(tasks.create_task(_drain(media), name="media-facts"))
        print("ready", flush=True)
        await ended.wait()
        await legs.close()
        for task in running:
            task.cancel()


async def _drain(media: MediaClient) -> None:
    async for _ in media.facts():
        pass


def main() -> None:
    """Read the arguments and answer calls."""
    parser = argparse.ArgumentParser(prog="python -m bench.answering")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(answer(media_socket=given.socket, port=given.port))


if __name__ == "__main__":
    main()
