"""Random documents, each verb and attribute in any order: no machine refuses a message of another, and all ends."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.testing.world import World, twiml
from holdfast.voice.control.entities import RoomStatus
from holdfast.voice.model.commands import EndCall, Instruction, RedirectCall, WebRequest
from holdfast.voice.model.errors import AskedWrong
from holdfast.voice.model.facts import PhoneRefers
from tests.stories.test_walk import APP, act, check, live, prepare

PAGES = tuple(f"/page{number}" for number in range(12))
EVENTS = ' statusCallback="/ev" statusCallbackEvent="start end join leave mute hold modify speaker announcement"'


def url(dice: Random) -> str:
    return dice.choice((*PAGES, "/gone", "/bad"))


def maybe(dice: Random, name: str) -> str:
    """Return a URL attribute, or none."""
    return f' {name}="{url(dice)}"' if dice.random() < 0.5 else ""


def flag(dice: Random, name: str) -> str:
    """Return a boolean attribute, or none."""
    return dice.choice(("", f' {name}="true"', f' {name}="false"'))


def sound(dice: Random) -> str:
    return dice.choice(("<Play>/song.mp3</Play>", '<Pause length="2"/>', "<Say>Hello</Say>", '<Play digits="12w"/>'))


def noun(dice: Random) -> str:
    digits = dice.choice(("", ' sendDigits="12"'))
    return dice.choice(
        (
            f"<Client{maybe(dice, 'url')}>agent</Client>",
            f"<Number{maybe(dice, 'url')}{digits}>+14155550123</Number>",
            "<Sip>sip:desk@example.com</Sip>",
        )
    )


def dial(dice: Random) -> str:
    timeout = dice.choice(("", ' timeout="7"', ' timeLimit="9"'))
    record = dice.choice(("", ' record="record-from-ringing"', ' record="record-from-answer-dual"'))
    attributes = maybe(dice, "action") + flag(dice, "answerOnBridge") + flag(dice, "hangupOnStar") + timeout + record
    match dice.choice(("nouns", "queue", "conference")):
        case "nouns":
            attributes += flag(dice, "sequential") + maybe(dice, "referUrl")
            inside = "".join(noun(dice) for _ in range(dice.choice((1, 1, 2, 3))))
        case "queue":
            inside = f"<Queue{maybe(dice, 'url')}>{dice.choice(('q', 'q', 'missing'))}</Queue>"
        case _:
            more = maybe(dice, "waitUrl") + flag(dice, "startConferenceOnEnter") + flag(dice, "endConferenceOnExit")
            more += flag(dice, "muted") + dice.choice(("", EVENTS, ' maxParticipants="2"', ' participantLabel="x"'))
            inside = f"<Conference{more}>{dice.choice('rs')}</Conference>"
    return f"<Dial{attributes}>{inside}</Dial>"


def verb(dice: Random) -> str:
    match dice.randrange(12):
        case 0 | 1 | 2 | 3:
            return dial(dice)
        case 4:
            return f"<Enqueue{maybe(dice, 'waitUrl')}{maybe(dice, 'action')}>q</Enqueue>"
        case 5:
            return f'<Gather numDigits="2" timeout="3"{maybe(dice, "action")}>{sound(dice)}</Gather>'
        case 6:
            return f"<Record{maybe(dice, 'action')}{dice.choice(('', ' timeout=' + chr(34) + '2' + chr(34)))}/>"
        case 7:
            return f"<Redirect>{url(dice)}</Redirect>"
        case 8:
            return dice.choice(("<Hangup/>", "<Leave/>", "<Reject/>", '<Reject reason="busy"/>'))
        case 9:
            return f"<Refer{maybe(dice, 'action')}><Sip>sip:other@example.com</Sip></Refer>"
        case _:
            return sound(dice)


def happen(world: World, dice: Random, number: int) -> None:
    """Let something happen: a call of a random document, a redirect, a transfer by a phone, or a deed of the walks."""
    calls = live(world)
    if not calls or (len(calls) < 6 and dice.random() < 0.15):
        world.calls_in(f"caller{number}", APP + dice.choice(PAGES))
    elif (what := dice.random()) < 0.05:
        instruction = Instruction(request=WebRequest(url=APP + url(dice)))
        world.post(RedirectCall(call=dice.choice(calls), instruction=instruction))
    elif what < 0.1 and world.legs[call := dice.choice(calls)] == "up":
        world.post(PhoneRefers(call=call, target="sip:other@example.com"))
    else:
        act(world, dice, number)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_message_is_refused_in_any_order_of_verbs(seed: int) -> None:
    world, dice = World(killed=False), Random(seed)
    prepare(world)
    for page in PAGES:
        world.pages[APP + page] = twiml("".join(verb(dice) for _ in range(dice.choice((1, 1, 2, 3)))))
    for number in range(40):
        with suppress(AskedWrong):
            happen(world, dice, number)
        check(world)
    while calls := live(world):
        world.post(EndCall(call=calls[0]))
    check(world)
    assert world.refusals == []
    assert not world.playing
    assert {room.status for room in world.state.rooms.values()} <= {RoomStatus.COMPLETED}
