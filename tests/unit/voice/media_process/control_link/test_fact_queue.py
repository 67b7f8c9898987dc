"""Facts that wait for a reader: in order, and the least needed go first when there are too many."""

from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue


def digit(k: int) -> m.Fact:
    return m.RowDigitPressed(leg=f"CA{k}", digit="1")


def load(k: int) -> m.Fact:
    return m.Load(
        rows=k,
        ticks=1,
        ticks_skipped=0,
        busy=0.0,
        p50_tick_ms=0.2,
        p99_tick_ms=0.5,
        p99_worked_ms=0.4,
        longest_tick_ms=0.0,
        latest_start_ms=0.0,
    )


def emptied(outbox: FactQueue) -> list[m.Fact]:
    facts = []
    while (fact := outbox.take()) is not None:
        facts.append(fact)
    return facts


def test_facts_come_in_order() -> None:
    outbox = FactQueue(limit=10)
    for k in range(10):
        outbox.put(digit(k))
    assert len(outbox) == 10
    assert emptied(outbox) == [digit(k) for k in range(10)]
    assert len(outbox) == 0


def test_statistics_go_first_and_that_they_went_is_told() -> None:
    outbox = FactQueue(limit=10)
    for k in range(5):
        outbox.put(load(k))
        outbox.put(digit(k))
    outbox.put(digit(5))
    assert len(outbox) == 7
    assert emptied(outbox) == [m.FactsLost(count=5), *(digit(k) for k in range(6))]


def test_without_statistics_the_oldest_go() -> None:
    outbox = FactQueue(limit=20)
    for k in range(21):
        outbox.put(digit(k))
    assert emptied(outbox) == [m.FactsLost(count=2), *(digit(k) for k in range(2, 21))]


def test_a_fact_that_did_not_arrive_is_the_next_again() -> None:
    outbox = FactQueue(limit=10)
    outbox.put(digit(1))
    outbox.put(digit(2))
    taken = outbox.take()
    assert taken is not None
    outbox.put_back(taken)
    assert emptied(outbox) == [digit(1), digit(2)]
