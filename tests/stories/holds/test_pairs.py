"""Which two calls are a pair, how it is recorded, and who may declare it."""

from collections.abc import Sequence

import pytest

from holdfast.holds.errors import BadInput, CallNotInProgress, HoldRefused, StoreError
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.ids import CallSid
from holdfast.holds.legs import pair_index
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.steps.pair import Pair, pair_of_dial
from tests.stories.holds.conftest import Stage
from tests.stories.holds.fake_account import PUBLIC

pytestmark = pytest.mark.anyio

AFTER = "https://app.example/after"
P, C, OTHER = (CallSid("CA" + letter * 32) for letter in "abc")


class CountingStore(MemoryStore):
    """A counting store records what it is asked to write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[str, CallSid]] = []
        self.full = False

    async def save_pair(self, pair: Pair) -> None:
        self._write("save", pair.parent.call)
        await super().save_pair(pair)

    async def remove_pair(self, parent: CallSid) -> None:
        self._write("remove", parent)
        await super().remove_pair(parent)

    def _write(self, what: str, parent: CallSid) -> None:
        self.writes.append((what, parent))
        if self.full:
            raise StoreError("disk full")


async def test_a_pair_is_found_by_either_call_and_written_when_it_changes() -> None:
    store = CountingStore()
    pairs, pair = PairIndex(store), pair_of_dial(parent=P, child=C)
    changed = pairs.changed(pair)
    await pairs.put(pair)
    assert (pairs.of(P), pairs.of(C), pairs.of(OTHER), pairs.all()) == (pair, pair, None, (pair,))
    assert changed.is_set()
    again = pairs.changed(pair)
    await pairs.put(pair)
    assert (store.writes, again.is_set()) == ([("save", P)], False)
    replaced = pair_of_dial(parent=P, child=OTHER)
    await pairs.put(replaced)
    assert (pairs.of(P), pairs.of(C), pairs.of(OTHER), again.is_set()) == (replaced, None, replaced, True)
    pairs.add_served(P, AFTER)
    last = pairs.changed(replaced)
    await pairs.forget(replaced)
    assert (pairs.all(), pairs.has_served(), last.is_set()) == ((), False, True)
    assert store.writes == [("save", P), ("save", P), ("remove", P)]
    assert await store.pairs() == []


async def test_a_pair_is_forgotten_without_harm_to_a_newer_one_of_its_child() -> None:
    pairs = PairIndex(MemoryStore())
    old, new = pair_of_dial(parent=P, child=C), pair_of_dial(parent=OTHER, child=C)
    await pairs.put(old)
    await pairs.put(new)
    await pairs.forget(old)
    assert (pairs.of(P), pairs.of(C), pairs.of(OTHER)) == (None, new, new)


async def test_pairs_of_an_earlier_run_are_known_with_their_queues() -> None:
    store = MemoryStore()
    pair = pair_of_dial(parent=P, child=C)
    await store.save_pair(pair)
    pairs = PairIndex(store)
    assert pairs.leftover_queues == set()
    await pairs.load()
    assert (pairs.of(P), pairs.of(C)) == (pair, pair)
    assert pairs.leftover_queues == {f"hold-{P}", f"hold-{C}"}


async def test_unsaved_holds_are_written_once_the_store_works_again(caplog: pytest.LogCaptureFixture) -> None:
    store = CountingStore()
    pairs, pair = PairIndex(store), pair_of_dial(parent=P, child=C)
    store.full = True
    await pairs.put(pair)
    await pairs.flush()
    assert caplog.text.count(f"call={P} fact=PairNotKept why=disk full") == 1
    store.full = False
    await pairs.flush()
    assert await store.pairs() == [pair]
    writes = len(store.writes)
    await pairs.flush()
    assert len(store.writes) == writes


def test_so_many_served_dials_are_remembered_the_newest_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pair_index.MAX_SERVED == 10_000
    monkeypatch.setattr(pair_index, "MAX_SERVED", 2)
    pairs = PairIndex(MemoryStore())
    assert not pairs.has_served()
    for call, after in ((P, None), (C, AFTER), (P, AFTER), (OTHER, None)):
        pairs.add_served(call, after)
    assert pairs.has_served()
    assert [pairs.is_served(call) for call in (P, C, OTHER)] == [True, False, True]
    assert [pairs.after_url(call) for call in (P, C, OTHER)] == [AFTER, None, None]


def kinds(requests: Sequence[tuple[str, ...]]) -> list[str]:
    return [request[0] for request in requests]


async def test_a_declared_pair_has_its_reasons(stage: Stage) -> None:
    parent, child = stage.account.dial(1, 2, action=stage.holds.continue_url)
    unrelated = stage.account.add_call(3)
    over = stage.account.add_call(4, status="completed")
    for calls, error, message, fix in (
        (
            (parent, unrelated),
            HoldRefused,
            f"{unrelated} is not an answered child of {parent}",
            "The parent is the call that runs the <Dial>; the child the call it made.",
        ),
        (
            (child, None),
            HoldRefused,
            f"{child} has 0 answered children, and none was named",
            "Adopt once the child has answered: holds.adopt(parent, child).",
        ),
        ((over, None), CallNotInProgress, f"the parent call {over} is over", None),
        ((CallSid("CA" + "9" * 32), None), CallNotInProgress, f"the parent call CA{'9' * 32} is over", None),
    ):
        with pytest.raises(error) as caught:
            await stage.holds.adopt(*calls)
        assert (caught.value.message, caught.value.fix) == (message, fix)
    with pytest.raises(BadInput, match=r"^after must be"):
        await stage.holds.adopt(parent, child, after="nowhere")
    with pytest.raises(BadInput, match="is not the SID of a call"):
        await stage.holds.adopt(parent, "child")
    assert await stage.store.pairs() == []


async def test_without_an_address_a_pair_cannot_be_declared_and_a_reported_child_is_ignored(stage: Stage) -> None:
    stage.start(public_url=None)
    parent, child = stage.account.dial(1, 2, action=None)
    with pytest.raises(BadInput) as caught:
        await stage.holds.adopt(parent, child)
    assert caught.value.message == "two legs are held by webhooks, and the account cannot reach this service"
    assert caught.value.fix == "Give Holds(…, public_url=…) and serve holdfast.holds.web.app there."
    await stage.holds.add_child(parent, child, after=None)
    assert await stage.store.pairs() == []
    with pytest.raises(BadInput, match="this service has no public URL"):
        _ = stage.holds.continue_url


async def test_a_reported_child_does_not_replace_a_known_pair(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    third = stage.account.add_call(3, parent=parent)
    fourth = stage.account.add_call(4)
    for calls in ((parent, third), (fourth, child)):
        await stage.holds.add_child(*calls, after=None)
    assert await stage.store.pairs() == [pair_of_dial(parent=parent, child=child, after=AFTER)]
    with pytest.raises(BadInput, match=r"^after must be"):
        await stage.holds.add_child(fourth, third, after="nowhere")
    await stage.holds.add_child(fourth, third, after=f"{AFTER}/4")
    assert stage.holds.pairs.of(third) == pair_of_dial(parent=fourth, child=third, after=f"{AFTER}/4")


@pytest.mark.parametrize("end", ["parent", "child"])
async def test_a_served_dial_is_recorded_at_its_first_hold_with_where_it_continues(stage: Stage, end: str) -> None:
    parent, child = stage.account.dial(1, 2, action=f"{PUBLIC}/twiml/continue")
    stage.account.add_call(3, parent=parent, status="ringing")
    stage.holds.pairs.add_served(parent, AFTER)
    await stage.holds.hold(parent if end == "parent" else child)
    (pair,) = await stage.store.pairs()
    assert (pair.parent.call, pair.child.call, pair.after) == (parent, child, AFTER)
    # A pair that is known is not read again.
    stage.account.requests.clear()
    await stage.holds.hold(child if end == "parent" else parent)
    assert "calls" not in kinds(stage.account.requests)


async def test_a_call_beside_a_served_dial_is_not_its_child(stage: Stage) -> None:
    stage.account.dial(1, 2, action=f"{PUBLIC}/twiml/continue")
    stage.holds.pairs.add_served(CallSid(f"CA{1:032x}"), AFTER)
    rings = stage.account.add_call(3, parent=CallSid(f"CA{1:032x}"), status="ringing")
    alone = stage.account.add_call(4, parent=CallSid(f"CA{9:032x}"), verb="park")
    for call in (rings, alone):
        with pytest.raises(HoldRefused):
            await stage.holds.hold(call)
    assert await stage.store.pairs() == []


async def test_the_overview_shows_a_pair_and_its_queue(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    shown = {view.sid: view for view in await stage.holds.calls()}
    assert [(shown[call].peer, shown[call].queue, shown[call].hears) for call in (parent, child)] == [
        (child, None, "silence"),
        (parent, f"hold-{child}", "music"),
    ]
    assert (shown[child].hold, shown[child].held, shown[parent].can_hold) == (hold.id, True, True)


async def test_adopting_again_during_a_hold_leaves_the_pair_as_it_is(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    hold = await stage.holds.hold(child)
    known = stage.holds.pairs.of(parent)
    assert known is not None
    for named in (None, child):
        assert await stage.holds.adopt(parent, named, after=f"{AFTER}/2") == known
    assert stage.holds.pairs.of(parent) == known
    assert (await stage.holds.resume(hold)).status.value == "resumed"
