"""Facts wait in order for a reader, and the least needed are dropped first when there are too many."""

from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.model.facts import DigitPressed
from holdfast.voice.model.ids import CallSid


def digit(k: int) -> m.Fact:
    return DigitPressed(call=CallSid(f"CA{k}"), digit="1")


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


def emptied(facts: FactQueue) -> list[m.Fact]:
    popped: list[m.Fact] = []
    while (fact := facts.pop()) is not None:
        popped.append(fact)
    return popped


def test_facts_are_popped_in_order() -> None:
    facts = FactQueue(limit=10)
    for k in range(10):
        facts.post(digit(k))
    assert len(facts) == 10
    assert emptied(facts) == [digit(k) for k in range(10)]
    assert len(facts) == 0


def test_statistics_are_dropped_first_and_the_loss_is_reported() -> None:
    facts = FactQueue(limit=10)
    for k in range(5):
        facts.post(load(k))
        facts.post(digit(k))
    facts.post(digit(5))
    assert len(facts) == 7
    assert emptied(facts) == [m.FactsLost(count=5), *(digit(k) for k in range(6))]


def test_without_statistics_the_oldest_facts_are_dropped() -> None:
    facts = FactQueue(limit=20)
    for k in range(21):
        facts.post(digit(k))
    assert emptied(facts) == [m.FactsLost(count=2), *(digit(k) for k in range(2, 21))]


def test_a_fact_that_is_put_back_is_popped_next() -> None:
    facts = FactQueue(limit=10)
    facts.post(digit(1))
    facts.post(digit(2))
    taken = facts.pop()
    assert taken is not None
    facts.put_back(taken)
    assert emptied(facts) == [digit(1), digit(2)]
