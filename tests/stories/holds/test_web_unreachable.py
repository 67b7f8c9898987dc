"""Stories of a service that is unreachable for a while: no held or waiting party notices it."""

from collections.abc import Awaitable, Callable
from xml.etree import ElementTree

import pytest

from holdfast.holds.errors import AccountRefused
from holdfast.holds.hold import Status
from holdfast.holds.ids import CallSid
from holdfast.holds.policy import Policy, PolicyAction
from tests.stories.holds.conftest import Stage
from tests.stories.holds.fake_account import PUBLIC

pytestmark = pytest.mark.anyio

MUSIC = "https://cdn.example/m.mp3"
PLAYLIST = "https://app.example/playlist.xml"
AWAY_S = 600.0

Move = Callable[[Stage, CallSid, CallSid, str | None], Awaitable[object]]
MOVES: list[Move] = [
    lambda stage, parent, child, music: stage.holds.hold(child, music=music),
    lambda stage, parent, child, music: stage.holds.hold(parent, music=music),
    lambda stage, parent, child, music: stage.holds.resume(child),
    lambda stage, parent, child, music: stage.holds.hold(child),
    lambda stage, parent, child, music: stage.holds.resume(parent),
    lambda stage, parent, child, music: stage.holds.resume(child),
    lambda stage, parent, child, music: stage.holds.hold(parent, music=music),
    lambda stage, parent, child, music: stage.holds.resume(parent),
    lambda stage, parent, child, music: stage.holds.hold(child, music=music),
    lambda stage, parent, child, music: stage.holds.resume(child),
]
TALK, BOTH = ("other", "other"), ("music", "music")
HEARD = [
    TALK,
    ("silence", "music"),
    BOTH,
    ("music", "silence"),
    BOTH,
    ("silence", "music"),
    TALK,
    ("music", "silence"),
    TALK,
    ("silence", "music"),
    TALK,
]
"""Parent and child hear this before the first move, and after each."""


def ears(stage: Stage, parent: CallSid, child: CallSid) -> tuple[str, str]:
    names = {parent: "other", child: "other"}
    first, second = (stage.account.hears(call) for call in (parent, child))
    return names.get(CallSid(first), first), names.get(CallSid(second), second)


async def goes_away(stage: Stage, what: str, seconds: float = AWAY_S) -> None:
    """Make the web application, or the whole service, unreachable for so long."""
    stage.account.web_unreachable = True
    await stage.passes(seconds, looked_after=what == "the web application")
    stage.account.web_unreachable = False
    if what == "the service":
        stage.start()
    await stage.passes(5.0)


@pytest.mark.parametrize("what", ["the web application", "the service"])
@pytest.mark.parametrize("music", [None, MUSIC, PLAYLIST])
@pytest.mark.parametrize("moment", range(len(MOVES) + 1))
async def test_ten_minutes_without_the_web_application_cost_no_call(
    stage: Stage, moment: int, music: str | None, what: str
) -> None:
    parent, child = await stage.two_legs()
    for number, heard in enumerate(HEARD):
        assert ears(stage, parent, child) == heard
        if number == moment:
            await goes_away(stage, what)
            assert ears(stage, parent, child) == heard
        if number < len(MOVES):
            await MOVES[number](stage, parent, child, music)
            await stage.settle()
    assert await stage.holds.list(active_only=True) == []


@pytest.mark.parametrize("what", ["the web application", "the service"])
@pytest.mark.parametrize("limit_s", [20.0, None, 5000.0])
async def test_the_limit_is_reached_while_the_web_application_is_unreachable(
    stage: Stage, limit_s: float | None, what: str
) -> None:
    """It is the policy's half hour or the hold's own limit: the two are joined when the service is back."""
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child, music=MUSIC, limit_s=limit_s)
    await stage.passes((limit_s or 1800.0) - 10.0)
    await goes_away(stage, what, AWAY_S - 10.0)
    assert ears(stage, parent, child) == TALK
    assert (await stage.holds.get(hold.id)).status is Status.RESUMED


@pytest.mark.parametrize("policy", [Policy(limit_s=None), Policy(limit_s=60.0, on_limit=PolicyAction.KEEP)])
@pytest.mark.parametrize("music", [MUSIC, PLAYLIST, None])
async def test_a_hold_without_an_end_lasts_as_long_as_a_call_may(
    stage: Stage, policy: Policy, music: str | None
) -> None:
    stage.start(policy=policy)
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(parent, music=music)
    stage.account.web_unreachable = True
    await stage.passes(4 * 3600.0 - 60.0, looked_after=False)
    assert ears(stage, parent, child) == ("music", "silence")
    assert (await stage.holds.resume(hold)).status is Status.RESUMED
    assert ears(stage, parent, child) == TALK


async def test_a_longer_limit_applies_after_a_restart(stage: Stage) -> None:
    """The parked party asks when the old limit is over and gets the time of the new one."""
    stage.start(policy=Policy(limit_s=60.0))
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    stage.start(policy=Policy(limit_s=7200.0))
    await stage.passes(700.0)
    await goes_away(stage, "the service")
    await stage.passes(5000.0)
    assert ears(stage, parent, child) == ("silence", "music")
    await stage.passes(7200.0 - 700.0 - AWAY_S - 5000.0)
    assert ears(stage, parent, child) == TALK
    assert (await stage.holds.get(hold.id)).status is Status.RESUMED


async def test_a_shorter_limit_applies_after_a_restart(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    await stage.holds.hold(child, music=MUSIC)
    await stage.passes(100.0)
    stage.start(policy=Policy(limit_s=60.0))
    await stage.passes(5.0)
    assert ears(stage, parent, child) == TALK


@pytest.mark.parametrize(
    ("policy", "limit_s", "length"),
    [
        (Policy(), None, "2400"),
        (Policy(), 20.0, "620"),
        (Policy(), 0.2, "601"),
        (Policy(), 86_400.0, "14400"),
        (Policy(limit_s=None), None, "14400"),
        (Policy(limit_s=None), 60.0, "660"),
        (Policy(on_limit=PolicyAction.KEEP), 60.0, "14400"),
    ],
)
async def test_the_parked_party_waits_as_long_as_the_hold_may_last(
    stage: Stage, policy: Policy, limit_s: float | None, length: str
) -> None:
    stage.start(policy=policy)
    _, child = await stage.two_legs()
    await stage.holds.hold(child, limit_s=limit_s)
    parent = next(call for call in stage.account.calls_ if call != child)
    status, twiml = await stage.account.ask(parent, f"{PUBLIC}/twiml/park", {})
    assert status == 200
    verbs = [(verb.tag, verb.get("length")) for verb in ElementTree.fromstring(twiml)]
    assert verbs == [("Pause", length), ("Redirect", None)]


async def test_music_documents_stay_within_the_size_that_an_account_reads(stage: Stage) -> None:
    documents = stage.holds.documents
    assert documents is not None
    long = "https://cdn.example/?" + "&" * 1900 + "/m.mp3"
    for url in (MUSIC, long.replace("/?", "/").replace("&/m", "/m")):
        twiml = documents.music(url, repeat_url=f"{PUBLIC}/twiml/music")
        assert len(twiml.encode()) < 64_000
        plays = [verb for verb in ElementTree.fromstring(twiml) if verb.tag == "Play"]
        assert len(plays) == 15 if url == MUSIC else 1 <= len(plays) < 15


@pytest.mark.parametrize("lost", [1, 3])
async def test_a_party_missing_from_the_conference_is_redirected_again(stage: Stage, lost: int) -> None:
    """No queue accepts the call, the two go to a conference, and the redirect of the parked party is refused."""
    parent, child = await stage.two_legs()
    stage.account.delivers = False

    def refuse() -> None:
        me, other = stage.account.calls_[child], stage.account.calls_[parent]
        stage.account.queues_[me.queue or ""].remove(child)
        stage.account.pending.clear()
        stage.account._later(other, other.action, run=True, DialCallStatus="completed")
        stage.account._later(me, me.action, run=True, QueueResult="queue-full")
        stage.account.errors["redirect"] = [(AccountRefused("too many requests", status=429), False)] * lost
        stage.account.delivers = True

    stage.account.before["is_queued"] = [refuse]
    with pytest.raises(Exception, match="no queue"):
        await stage.holds.hold(child)
    await stage.settle()
    assert ears(stage, parent, child) == ("silence", "silence")
    await stage.passes(40.0)
    assert ears(stage, parent, child) == TALK
    writes = len(stage.account.writes())
    await stage.passes(60.0)
    assert len(stage.account.writes()) == writes
