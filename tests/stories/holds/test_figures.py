"""What Prometheus is told of the holds."""

from prometheus_client import CollectorRegistry

from holdfast.holds.figures import HoldsCollector
from tests.stories.holds.conftest import Stage


def scraped(stage: Stage) -> dict[str, float]:
    """Every sample, by its name with its labels."""
    registry = CollectorRegistry()
    registry.register(HoldsCollector(stage.holds.ledger, stage.clock.now))
    return {
        "|".join([sample.name, *sample.labels.values()]): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


async def test_holds_are_counted_while_they_go_on_and_when_they_end(stage: Stage) -> None:
    assert scraped(stage) == {"holdfast_holds_longest_seconds": 0.0}
    alice, bob, carol = (stage.account.call_in(number) for number in (1, 2, 3))
    stage.account.meet("room", alice, bob, carol)
    stage.account.phones[carol] = stage.clock.now()
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
