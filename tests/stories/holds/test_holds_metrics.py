"""Prometheus receives the metrics of holds."""

import pytest
from prometheus_client import CollectorRegistry

from holdfast.holds.errors import AccountRefused, CallNotInProgress, HoldFailed, HoldRefused
from holdfast.holds.hold import HoldConfirmed
from holdfast.holds.web.metrics import HoldsCollector
from tests.stories.holds.conftest import Stage


def scraped(stage: Stage) -> dict[str, float]:
    """Every sample, by its name with its labels."""
    registry = CollectorRegistry()
    registry.register(HoldsCollector(stage.holds.hold_log, stage.clock.now))
    return {
        "|".join([sample.name, *sample.labels.values()]): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


async def test_active_and_ended_holds_are_counted(stage: Stage) -> None:
    assert scraped(stage) == {"holdfast_holds_longest_seconds": 0.0}
    alice, bob, carol = (stage.account.add_call(number) for number in (1, 2, 3))
    stage.account.meet("room", alice, bob, carol)
    stage.account.phones_on_hold[carol] = stage.clock.now()
    await stage.holds.check()
    since = stage.clock.now()
    await stage.holds.hold(alice)
    stage.clock.time += 5.0
    found = scraped(stage)
    assert (found["holdfast_holds|conference|held"], found["holdfast_holds|phone|held"]) == (1, 1)
    assert found["holdfast_holds_longest_seconds"] == stage.clock.now() - since
    await stage.holds.resume(alice)
    await stage.holds.resume(alice)
    found = scraped(stage)
    assert "holdfast_holds|conference|held" not in found
    assert found["holdfast_holds|phone|held"] == 1
    assert found["holdfast_holds_ended_total|conference|resumed"] == 1


async def test_messages_that_a_hold_refuses_are_counted(stage: Stage) -> None:
    call, other = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("room", call, other)
    hold = await stage.holds.hold(call)
    for _ in range(2):
        await stage.holds.hold_log.handle(hold.id, HoldConfirmed())
    assert scraped(stage)["holdfast_holds_messages_refused_total|held|HoldConfirmed"] == 2


OUTCOMES = ("resumed", "call-ended", "gone", "refused", "failed")


async def bring_about(stage: Stage, outcome: str) -> None:
    """Let one hold end like this."""
    number = len(stage.account.calls_) + 1
    call, other = stage.account.add_call(number), stage.account.add_call(number + 1)
    stage.account.meet(f"room {number}", call, other)
    match outcome:
        case "resumed":
            await stage.holds.resume(await stage.holds.hold(call))
        case "call-ended":
            hold = await stage.holds.hold(call)
            stage.account.party_hangs_up(call)
            await stage.holds.resume(hold)
        case "gone":
            stage.account.party_hangs_up(call)
            with pytest.raises(CallNotInProgress):
                await stage.holds.hold(call)
        case "refused":
            with pytest.raises(HoldRefused):
                await stage.holds.hold(stage.account.add_call(number + 2))
        case _:
            stage.account.errors["set_hold"] = [(AccountRefused("no", status=400), False)]
            with pytest.raises(HoldFailed):
                await stage.holds.hold(call)


@pytest.mark.parametrize("second", OUTCOMES)
@pytest.mark.parametrize("first", OUTCOMES)
async def test_metrics_are_exported_after_every_outcome(stage: Stage, first: str, second: str) -> None:
    await bring_about(stage, first)
    await bring_about(stage, second)
    found = scraped(stage)
    ended = {name.split("|")[2]: value for name, value in found.items() if name.startswith("holdfast_holds_ended_")}
    assert ended == ({first: 2} if first == second else {first: 1, second: 1})
