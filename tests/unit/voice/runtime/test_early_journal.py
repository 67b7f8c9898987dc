"""Entries of calls that are never made can be read for a while, and are limited."""

from __future__ import annotations

from holdfast.voice.model.ports import JournalEntry
from holdfast.voice.runtime.early_journal import MAX_BYTES, OrphanTraces


def line(call: str, data: str = "") -> JournalEntry:
    return JournalEntry(at=1.0, call=call, kind="sip", data=data)


def test_a_call_claims_its_entries_once_and_in_order() -> None:
    waiting = OrphanTraces()
    for each in (line("CA1", "a"), line("CA2", "b"), line("CA1", "c")):
        waiting.add(each)
    assert waiting.entries_of("CA1") == (line("CA1", "a"), line("CA1", "c"))
    assert waiting.claim("CA1") == [line("CA1", "a"), line("CA1", "c")]
    assert waiting.claim("CA1") == []
    assert waiting.entries_of("CA1") == ()
    assert waiting.claim("CA2") == [line("CA2", "b")]


def test_the_entries_of_the_oldest_call_are_dropped_first() -> None:
    waiting = OrphanTraces()
    for number in range(5):
        waiting.add(line(f"CA{number}", "x" * (MAX_BYTES // 3)))
    assert [len(waiting.claim(f"CA{number}")) for number in range(5)] == [0, 0, 1, 1, 1]
    waiting.add(line("CA9", "x" * (MAX_BYTES + 1)))
    waiting.add(line("CA1"))
    assert [len(waiting.claim(call)) for call in ("CA9", "CA1")] == [0, 1]
