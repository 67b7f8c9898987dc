"""The verdict of the demo: every phase heard as expected at every ear, or no."""

import pytest

from holdfast.testing.demo.story import as_expected, findings
from tests.unit.testing.heard_acts import GOOD_AGENT, GOOD_CUSTOMER, act_of

LEAKING = (("agent", 51), ("hold music", 20), ("agent", 1), ("hold music", 29), ("agent", 49))
"""One packet of the agent in the middle of the hold."""


def test_a_good_hold_passes_and_its_switch_is_timed() -> None:
    act = act_of(GOOD_CUSTOMER, GOOD_AGENT)

    found = {(finding.phase, finding.party): finding for finding in findings(act)}

    assert as_expected([act])
    assert found["hold", "customer"].heard == ("agent", "hold music")
    assert found["hold", "customer"].switch_s == pytest.approx(0.02)
    assert found["resume", "agent"].switch_s == pytest.approx(0.04)
    assert found["talk", "agent"].switch_s == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("customer", "agent", "phase", "party"),
    [
        ((("agent", 150),), GOOD_AGENT, "hold", "customer"),
        ((("agent", 51), ("second music", 50), ("agent", 49)), GOOD_AGENT, "hold", "customer"),
        ((("agent", 51), ("hold music", 99)), GOOD_AGENT, "resume", "customer"),
        ((("agent", 51), ("hold music", 20), ("silence", 30), ("agent", 49)), GOOD_AGENT, "hold", "customer"),
        (LEAKING, GOOD_AGENT, "hold", "customer"),
        (GOOD_CUSTOMER, (("customer", 150),), "hold", "agent"),
        (GOOD_CUSTOMER, (("customer", 50), ("silence", 100)), "resume", "agent"),
    ],
    ids=["never held", "wrong music", "never resumed", "music stops", "a leak", "agent hears on", "agent deaf"],
)  # fmt: skip
def test_a_bad_one_is_found_where_it_is(
    customer: tuple[tuple[str, int], ...], agent: tuple[tuple[str, int], ...], phase: str, party: str
) -> None:
    act = act_of(customer, agent)

    wrong = [(finding.phase, finding.party) for finding in findings(act) if not finding.as_expected]

    assert wrong == [(phase, party)]
    assert not as_expected([act])


def test_an_act_that_broke_off_or_never_began_does_not_pass() -> None:
    broken, unbegun = act_of(GOOD_CUSTOMER, GOOD_AGENT), act_of(GOOD_CUSTOMER, GOOD_AGENT)
    broken.failure = "the hold was refused"
    unbegun.phases.clear()

    assert not as_expected([broken])
    assert not as_expected([unbegun])
