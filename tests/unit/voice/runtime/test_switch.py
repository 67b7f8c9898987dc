"""The switch when its store fails: no waiter waits for ever, and the failure is logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from holdfast.voice.model.commands import (
    CreateQueue,
    DeleteQueue,
    EndCall,
    ForgetCall,
    Instruction,
    ReceiveCall,
    WebRequest,
)
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.facts import LegEnded
from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid
from holdfast.voice.model.ports import JournalEntry, SipMessageTrace, Snapshot, WebhookTrace
from holdfast.voice.runtime.mailbox import Mailbox
from holdfast.voice.runtime.switch import Switch
from tests.engine_ports import KeptEffects, make_mailbox

pytestmark = pytest.mark.anyio

CALL = CallSid("CA" + "0" * 32)


class Pages:
    """A journal whose writes a test can delay or fail."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.failure: Exception | None = None
        self.lines: list[JournalEntry] = []
        self.states: list[str] = []

    async def commit(self, entries: Sequence[JournalEntry], snapshots: Sequence[Snapshot]) -> None:
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        self.lines += entries
        self.states += [snapshot.sid for snapshot in snapshots]

    def trouble(self) -> str | None:
        return None

    async def prune(self) -> bool:
        return False

    async def load(self, *, kept: int) -> Sequence[Snapshot]:
        return []

    async def entries(self, call: str, *, after: int = 0, limit: int = 10_000) -> Sequence[JournalEntry]:
        return []


def switch_on(pages: Pages, mailbox: Mailbox | None = None) -> Switch:
    return Switch(journal=pages, mailbox=mailbox or make_mailbox(), effects=KeptEffects())


def queue(number: int) -> CreateQueue:
    sid = QueueSid(f"QU{number:032x}")
    return CreateQueue(queue=sid, account=AccountSid("AC" + "0" * 32), name=f"queue {number}", max_size=10)


async def test_a_switch_that_stops_fails_the_commands_that_wait_for_it() -> None:
    pages = Pages()
    pages.failure = RuntimeError("a fault of ours")
    switch = switch_on(pages)
    running = asyncio.ensure_future(switch.run())
    asked = [asyncio.ensure_future(switch.execute(queue(number))) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = asyncio.ensure_future(switch.execute(queue(9)))
    await asyncio.sleep(0)
    pages.open.set()
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await running
    for one in (*asked, late):
        with pytest.raises(StoreFailed, match="has stopped"):
            await one
    async with asyncio.timeout(1):
        await switch.settled()


async def test_a_switch_that_has_stopped_refuses_messages(caplog: pytest.LogCaptureFixture) -> None:
    pages = Pages()
    pages.open.set()
    switch = switch_on(pages)
    running = asyncio.ensure_future(switch.run())
    await switch.execute(queue(1))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(StoreFailed, match="has stopped"):
        await switch.execute(queue(2))
    switch.post(EndCall(call=CALL))
    assert "has stopped" in caplog.text
    assert len(switch.state.queues) == 1
    async with asyncio.timeout(1):
        await switch.settled()


async def test_a_store_that_fails_drops_no_call() -> None:
    pages = Pages()
    pages.open.set()
    pages.failure = StoreFailed("the disk is full")
    switch = switch_on(pages)
    running = asyncio.ensure_future(switch.run())
    failures: list[str | None] = []
    for number in (1, 2):
        await switch.execute(queue(number))
        failures.append(switch.store_failure)
        pages.failure = None
    assert failures == ["the disk is full", None]
    running.cancel()


def call_in(request: WebRequest | None = None) -> ReceiveCall:
    return ReceiveCall(
        call=CALL,
        account=AccountSid("AC" + "0" * 32),
        from_="+15550001",
        to="+15550002",
        instruction=Instruction(twiml=None if request else "<Response/>", request=request),
    )


def seen(call: CallSid | None, text: str = "INVITE") -> SipMessageTrace:
    return SipMessageTrace(call=call or CallSid(""), received=True, summary=text, peer="127.0.0.1:5060", text=text)


async def written(*doings: Callable[[Switch], None]) -> list[str]:
    """Return the kinds of the entries that these actions leave in the journal."""
    pages = Pages()
    pages.open.set()
    switch = switch_on(pages)
    running = asyncio.ensure_future(switch.run())
    for doing in doings:
        doing(switch)
        await switch.settled()
    running.cancel()
    return [line.kind for line in pages.lines]


async def test_traces_of_a_call_that_does_not_exist_yet_are_written_with_the_call() -> None:
    lines = await written(
        lambda switch: switch.record_trace(seen(CALL)),
        lambda switch: switch.post(call_in()),
        lambda switch: switch.record_trace(seen(CALL)),
    )
    assert lines[:2] == ["sip", "ReceiveCall"]
    assert lines[-1] == "sip"
    assert lines.count("sip") == 2


async def test_no_password_is_written() -> None:
    pages = Pages()
    pages.open.set()
    switch = switch_on(pages)
    body = '<Response><Dial><Sip username="me" password="hush">sip:b@h</Sip></Dial></Response>'
    running = asyncio.ensure_future(switch.run())
    switch.post(call_in(WebRequest(url="http://user:hush@h/voice")))
    switch.record_trace(replace(seen(CALL), text="INVITE sip:bob:hush@192.0.2.1 SIP/2.0"))
    switch.record_trace(
        WebhookTrace(
            call=CALL, kind="document", method="GET", url="http://h/", form=(), status=200, took_ms=1, body=body
        )
    )
    await switch.settled()
    running.cancel()
    assert {"ReceiveCall", "sip", "webhook"} <= {line.kind for line in pages.lines}
    assert [line for line in pages.lines if "hush" in line.data] == []


async def test_entries_without_a_call_are_not_written() -> None:
    """The INVITEs of scanners, which become no calls, must not fill the disk."""
    stranger = CallSid("CA" + "1" * 32)
    assert not await written(
        lambda switch: switch.record_trace(seen(stranger)),
        lambda switch: switch.record_trace(seen(None)),
        lambda switch: switch.post(queue(1)),
    )


async def test_a_removed_call_leaves_no_late_entries() -> None:
    lines = await written(
        lambda switch: switch.post(call_in()),
        lambda switch: switch.post(LegEnded(call=CALL, cause="hangup")),
        lambda switch: switch.post(ForgetCall(call=CALL)),
        lambda switch: switch.record_trace(seen(CALL)),
    )
    assert "ReceiveCall" in lines
    assert not {"ForgetCall", "sip"} & set(lines)


async def test_a_failed_store_is_retried_without_a_new_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.voice.runtime.switch.RETRY_S", 0.0)
    pages = Pages()
    pages.open.set()
    switch = switch_on(pages)
    running = asyncio.ensure_future(switch.run())
    pages.failure = StoreFailed("disk full")
    switch.post(call_in())
    switch.record_trace(seen(CALL))
    await switch.settled()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (switch.store_failure, pages.lines) == ("disk full", [])
    pages.failure = None
    for _ in range(10):
        await asyncio.sleep(0)
    assert switch.store_failure is None
    assert pages.states == [CALL]
    assert [line.kind for line in pages.lines][:1] == ["sip"]
    written = len(pages.lines)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(pages.lines) == written
    pages.failure = StoreFailed("disk full")
    await switch.execute(queue(1))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_snapshots_that_could_not_be_stored_are_written_again() -> None:
    pages = Pages()
    pages.open.set()
    switch = switch_on(pages)
    running = asyncio.ensure_future(switch.run())
    pages.failure = StoreFailed("disk full")
    await switch.execute(queue(1))
    assert (switch.store_failure, pages.states) == ("disk full", [])
    pages.failure = None
    await switch.execute(queue(2))
    assert switch.store_failure is None
    assert pages.states == [queue(1).queue, queue(2).queue]
    await switch.execute(queue(3))
    assert pages.states == [queue(1).queue, queue(2).queue, queue(3).queue]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_end_waits_a_moment_for_a_failing_store_and_logs_the_loss(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pages = Pages()
    pages.open.set()
    switch = switch_on(pages)
    running = asyncio.ensure_future(switch.run())
    await switch.flush()
    pages.failure = StoreFailed("disk full")
    for number in (1, 2):
        await switch.execute(queue(number))
    assert caplog.text.count("could not be written") == 1
    await switch.flush(timeout_s=0.0)
    assert "the newest state of 2 calls, conferences and queues and 0 ladder entries are lost: disk full" in caplog.text
    pages.failure = None
    await switch.flush(timeout_s=30)
    assert (switch.store_failure, pages.states) == (None, [queue(1).queue, queue(2).queue])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_beyond_the_limit_the_oldest_late_entries_and_deletions_are_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("holdfast.voice.runtime.switch.MAX_LATE_ENTRIES", 2)
    monkeypatch.setattr("holdfast.voice.runtime.switch.MAX_LATE_DELETIONS", 1)
    pages = Pages()
    pages.open.set()
    switch = switch_on(pages)
    running = asyncio.ensure_future(switch.run())
    switch.post(call_in())
    for number in (1, 2, 3):
        await switch.execute(queue(number))
    pages.states.clear()
    pages.lines.clear()
    pages.failure = StoreFailed("disk full")
    for number in (1, 2):
        await switch.execute(DeleteQueue(queue=queue(number).queue))
    for number in range(4):
        switch.record_trace(seen(CALL, str(number)))
    await switch.settled()
    pages.failure = None
    await switch.flush(timeout_s=30)
    assert pages.states == [queue(2).queue]
    assert [json.loads(line.data)["summary"] for line in pages.lines] == ["2", "3"]
    assert "the journal has the late steps, without 2 ladder entries" in caplog.text
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_posted_facts_are_handled_in_order_before_the_switch_is_settled() -> None:
    pages, mailbox = Pages(), make_mailbox()
    pages.open.set()
    switch = switch_on(pages, mailbox)
    running = [asyncio.ensure_future(switch.run()), asyncio.ensure_future(switch.read_mail())]
    mailbox.trace(seen(CALL))
    mailbox.post(call_in())
    assert not switch.state.calls
    await switch.settled()
    assert [line.kind for line in pages.lines][:2] == ["sip", "ReceiveCall"]
    mailbox.trace(seen(CALL))
    await switch.settled()
    assert [line.kind for line in pages.lines][-1] == "sip"
    mailbox.post(LegEnded(call=CALL, cause="hangup"))
    await switch.settled()
    assert not switch.state.calls[CALL].live
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_mail_is_handled_while_the_store_is_slow() -> None:
    pages, mailbox = Pages(), make_mailbox()
    switch = switch_on(pages, mailbox)
    running = [asyncio.ensure_future(switch.run()), asyncio.ensure_future(switch.read_mail())]
    switch.post(call_in())
    for _ in range(3):
        await asyncio.sleep(0)
    mailbox.post(LegEnded(call=CALL, cause="hangup"))
    await mailbox.emptied()
    assert (switch.state.calls[CALL].live, pages.lines) == (False, [])
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_switch_that_has_stopped_is_settled_whatever_waits_in_the_mailbox() -> None:
    pages, mailbox = Pages(), make_mailbox()
    pages.open.set()
    switch = switch_on(pages, mailbox)
    running = asyncio.ensure_future(switch.run())
    await asyncio.sleep(0)
    mailbox.post(call_in())
    settled = asyncio.ensure_future(switch.settled())
    await asyncio.sleep(0)
    assert not settled.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with asyncio.timeout(1):
        await settled
    mailbox.post(call_in())
    async with asyncio.timeout(1):
        await switch.settled()
    assert not switch.state.calls
