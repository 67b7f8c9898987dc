"""Each cell of the call's table: a listed message leads to a listed status, any other is refused untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from holdfast.testing.world import ACCOUNT, START, twiml
from holdfast.voice.control.call import machine
from holdfast.voice.control.entities import FINAL, Call, CallStatus
from holdfast.voice.control.read_only_state import Transition
from holdfast.voice.control.state import EngineState
from holdfast.voice.control.statuses import CALL_STARTS, CALL_TRANSITIONS, CallMessage, RestCallCommand, TokenFact
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    ChangeCall,
    CreateCall,
    EndCall,
    Instruction,
    ReceiveCall,
    RecordCall,
    RecordingOptions,
    RedirectCall,
    Target,
    WebRequest,
)
from holdfast.voice.model.effects import (
    HangUpLeg,
    LogNotification,
    LogRefusal,
    PlaceLeg,
    RefuseLeg,
    RingLeg,
    StartTimer,
    StopTimer,
)
from holdfast.voice.model.errors import CallNotInProgress
from holdfast.voice.model.facts import (
    ChildAnswered,
    ChildDetached,
    ChildDigitsStarted,
    ChildEnded,
    ChildRefers,
    ChildRinging,
    ChildScreened,
    DigitPressed,
    DocumentFetched,
    DocumentFetchFailed,
    HolderSounds,
    Interrupted,
    LegAnswered,
    LegEnded,
    LegReferred,
    LegRefused,
    LegRinging,
    MemberLost,
    MemberPrepared,
    MemberReached,
    PhoneHeld,
    PhoneRefers,
    PhoneResumed,
    QueueEntered,
    QueueLeft,
    QueueMissing,
    QueueRefused,
    QueueReturned,
    QueueTaken,
    RecordingBegan,
    RecordingFinished,
    RecordingQuiet,
    ReferralNotified,
    RoomEntered,
    RoomLeft,
    RoomRefused,
    SoundEnded,
    SoundFailed,
    TimerFired,
    WhisperEnded,
)
from holdfast.voice.model.ids import CallSid, QueueSid, RecordingSid, RoomSid, Token, is_sid
from holdfast.voice.model.internal_commands import (
    CallChild,
    ReleaseChild,
    RunOwnDocument,
    StartScript,
    StopScript,
)
from scripts.diagrams import PAGE, draw_events

SID = CallSid("CA" + "1" * 32)
OTHER = CallSid("CA" + "2" * 32)
PARENT = CallSid("CA" + "3" * 32)
QUEUE, ROOM, RECORDING = QueueSid("QU" + "1" * 32), RoomSid("CF" + "1" * 32), RecordingSid("RE" + "1" * 32)
NO_SCRIPT = Token(f"{SID}/main99/1.1")
URL = "https://app.example/voice"
OPTIONS = RecordingOptions(source="StartCallRecordingAPI")
PAUSE = "<Pause length='60'/>"
LATER = START + 10.0
KINDS: tuple[type[CallMessage], ...] = get_args(CallMessage)


def inline(verbs: str) -> Instruction:
    return Instruction(twiml=twiml(verbs), base_url=URL)


SAMPLES: tuple[CallMessage, ...] = (
    RedirectCall(call=SID, instruction=inline(PAUSE)),
    EndCall(call=SID, status="canceled"),
    ChangeCall(call=SID, fallback=WebRequest(url=URL)),
    RecordCall(call=SID, recording=RECORDING, options=OPTIONS),
    ReleaseChild(call=SID),
    RunOwnDocument(call=SID, instruction=inline(PAUSE)),
    StartScript(call=SID, role="hold", request=WebRequest(url=URL)),
    StopScript(call=SID, role="hold"),
    LegRinging(call=SID),
    LegAnswered(call=SID),
    LegRefused(call=SID, sip_code=486),
    LegEnded(call=SID),
    PhoneHeld(call=SID),
    HolderSounds(call=SID, sounds=True),
    PhoneResumed(call=SID),
    PhoneRefers(call=SID, target="sip:carol@example.com"),
    DigitPressed(call=SID, digit="5"),
    TimerFired(token=NO_SCRIPT),
    DocumentFetched(token=NO_SCRIPT, url=URL, content_type="text/xml", body=twiml(PAUSE)),
    DocumentFetchFailed(token=NO_SCRIPT, url=URL, code=11200, message="404"),
    SoundEnded(token=NO_SCRIPT),
    SoundFailed(token=NO_SCRIPT, code=11200, message="404"),
    LegReferred(call=SID, sip_code=202),
    ReferralNotified(call=SID, sip_code=100, is_over=False),
    ChildRinging(call=SID, child=OTHER),
    ChildDigitsStarted(call=SID, child=OTHER),
    ChildAnswered(call=SID, child=OTHER),
    ChildScreened(call=SID, child=OTHER),
    ChildEnded(call=SID, child=OTHER, status="completed"),
    ChildDetached(call=SID, child=OTHER),
    ChildRefers(call=SID, child=OTHER, target="sip:carol@example.com"),
    RoomEntered(call=SID, room=ROOM),
    RoomRefused(call=SID, code=16020, message="full"),
    RoomLeft(call=SID, room=ROOM, reason="kicked"),
    QueueEntered(call=SID, queue=QUEUE),
    QueueRefused(call=SID, result="queue-full"),
    QueueLeft(call=SID, result="leave", waited_s=1.0),
    QueueTaken(call=SID, queue=QUEUE, dialler=OTHER, waited_s=1.0, room=ROOM),
    QueueReturned(call=SID),
    WhisperEnded(call=SID),
    MemberPrepared(call=SID, member=OTHER),
    MemberLost(call=SID),
    MemberReached(call=SID, member=OTHER, queue=QUEUE, waited_s=1.0, room=ROOM),
    QueueMissing(call=SID),
    RecordingBegan(call=SID, recording=RECORDING, url=URL),
    RecordingQuiet(call=SID, recording=RECORDING),
    RecordingFinished(call=SID, recording=RECORDING, duration_s=0),
    Interrupted(call=SID, cause="redirect"),
)
"""One message of each kind, which no verb waits for."""
SAMPLE: dict[type[CallMessage], CallMessage] = {type(each): each for each in SAMPLES}

Cell = tuple[Call, CallMessage]


def step(call: Call, message: CallMessage, now: float = LATER) -> Transition[Call]:
    state = EngineState()
    return machine.handle(call, message, now, state, state.runner)


def after(call: Call, *messages: CallMessage) -> Call:
    for message in messages:
        call = step(call, message, START).noun
    return call


def receiving(instruction: Instruction) -> Call:
    """Return an inbound call whose document has begun."""
    state = EngineState()
    command = ReceiveCall(call=SID, account=ACCOUNT, from_="client:alice", to="+15550100", instruction=instruction)
    return machine.receive(command, START, state, state.runner).noun


def inbound(verbs: str) -> Call:
    return receiving(inline(verbs))


def placed(instruction: Instruction, to: str = "sip:bob@example.com") -> Call:
    """Return a call that was placed by REST and does not ring yet."""
    state = EngineState()
    target = Target(to=to)
    command = CreateCall(call=SID, account=ACCOUNT, target=target, from_="+15550199", instruction=instruction)
    return machine.create(command, START, state, state.runner).noun


def answered(verbs: str) -> Call:
    return after(placed(inline(verbs)), LegAnswered(call=SID))


def child(*messages: CallMessage) -> Call:
    """Return a leg that a call has dialled."""
    state = EngineState()
    command = CallChild(
        token=Token("t"), call=SID, parent=PARENT, target=Target(to="client:bob"), from_="+15550199", timeout_s=30
    )
    parent = replace(inbound(PAUSE), sid=PARENT)
    return after(machine.dial(command, parent, START, state, state.runner).noun, *messages)


def resting(status: CallStatus) -> Call:
    """Return a call in a status whose document, if it has one, waits for nothing but time."""
    match status:
        case CallStatus.QUEUED:
            return placed(inline(PAUSE))
        case CallStatus.RINGING:
            return inbound(PAUSE)
        case CallStatus.IN_PROGRESS:
            return answered(PAUSE)
        case _:
            return replace(answered(PAUSE), status=status, scripts=())


def dialled(call: Call) -> CallSid:
    """Return the leg that the call's document dials."""
    script = call.script("main")
    assert script is not None
    return next(CallSid(each.key) for each in script.open_resources if is_sid(each.key, "CA"))


def opened(call: Call, *, timer: bool) -> Token:
    """Return the token of the timer, or of the sound, that the call's document has started."""
    script = call.script("main")
    assert script is not None
    return next(Token(each.key) for each in script.open_resources if isinstance(each.stop, StopTimer) is timer)


def fetching(call: Call) -> Token:
    script = call.script("main")
    assert script is not None
    assert script.fetching is not None
    return script.fetching


DIAL = "<Dial{}><Client>bob</Client></Dial>"
BRIDGED = " answerOnBridge='true' referUrl='/refer'"


def ends_verb(kind: type[CallMessage], next_verb: str, *, unanswered: bool) -> Cell:
    """Return a call whose verb this kind of message ends, so that the next verb begins."""
    calling: Callable[[str], Call] = inbound if unanswered else answered
    if kind is RedirectCall:
        return calling(PAUSE), RedirectCall(call=SID, instruction=inline(next_verb))
    if kind is RunOwnDocument:
        return calling(PAUSE), RunOwnDocument(call=SID, instruction=inline(next_verb))
    if kind is TimerFired:
        call = calling(f"<Pause length='1'/>{next_verb}")
        return call, TimerFired(token=opened(call, timer=True))
    if kind is DocumentFetched or kind is DocumentFetchFailed:
        instruction = Instruction(request=WebRequest(url=URL))
        call = receiving(instruction) if unanswered else after(placed(instruction), LegAnswered(call=SID))
        token = fetching(call)
        if kind is DocumentFetchFailed:
            return call, DocumentFetchFailed(token=token, url=URL, code=11200, message="404")
        return call, DocumentFetched(token=token, url=URL, content_type="text/xml", body=twiml(next_verb))
    if kind is SoundEnded or kind is SoundFailed:
        call = calling(f"<Play>/a.mp3</Play>{next_verb}")
        token = opened(call, timer=False)
        failed = SoundFailed(token=token, code=11200, message="404")
        return call, SoundEnded(token=token) if kind is SoundEnded else failed
    if kind is DigitPressed:
        return calling(f"<Dial hangupOnStar='true'><Conference>c</Conference></Dial>{next_verb}"), DigitPressed(
            call=SID, digit="*"
        )
    if kind is ChildEnded or kind is ChildDetached:
        call = calling(DIAL.format(BRIDGED if unanswered else "") + next_verb)
        ended = ChildEnded(call=SID, child=dialled(call), status="busy")
        return call, ended if kind is ChildEnded else ChildDetached(call=SID, child=dialled(call))
    if kind is QueueRefused:
        return calling(f"<Enqueue>q</Enqueue>{next_verb}"), SAMPLE[kind]
    if kind is QueueLeft:
        return after(calling(f"<Enqueue>q</Enqueue>{next_verb}"), SAMPLE[QueueEntered]), SAMPLE[kind]
    if kind is RoomLeft or kind is RoomRefused:
        return calling(f"<Dial><Conference>c</Conference></Dial>{next_verb}"), SAMPLE[kind]
    if kind is QueueMissing or kind is MemberLost:
        lost = MemberLost(call=SID, final=True)
        return calling(f"<Dial><Queue>q</Queue></Dial>{next_verb}"), lost if kind is MemberLost else SAMPLE[kind]
    if kind is RecordingFinished:
        call = calling(f"<Record playBeep='false'/>{next_verb}")
        script = call.script("main")
        assert script is not None
        recording = next(RecordingSid(each.key) for each in script.open_resources if each.key.startswith("RE"))
        return call, RecordingFinished(call=SID, recording=recording, duration_s=0)
    assert kind is LegReferred or kind is ReferralNotified, kind
    call = calling(f"<Refer><Sip>sip:carol@example.com</Sip></Refer>{next_verb}")
    over = ReferralNotified(call=SID, sip_code=200, is_over=True)
    return call, over if kind is ReferralNotified else LegReferred(call=SID, sip_code=603)


NEXT_VERB = {
    CallStatus.RINGING: PAUSE,
    CallStatus.IN_PROGRESS: "<Play>/next.mp3</Play>",
    CallStatus.BUSY: "<Reject reason='busy'/>",
    CallStatus.NO_ANSWER: "<Reject/>",
    CallStatus.FAILED: "<Dial><Conference endConferenceOnExit='maybe'>c</Conference></Dial>",
    CallStatus.COMPLETED: "<Hangup/>",
}


def unanswered_leg(status: CallStatus, verbs: str = PAUSE) -> Call:
    call = placed(inline(verbs))
    return call if status is CallStatus.QUEUED else after(call, LegRinging(call=SID))


def unanswered_child(status: CallStatus) -> Call:
    return child() if status is CallStatus.QUEUED else child(LegRinging(call=SID))


def bridged(parent: Callable[[str], Call]) -> Call:
    call = parent(DIAL.format(BRIDGED))
    return after(call, ChildAnswered(call=SID, child=dialled(call)))


def screening() -> Call:
    call = inbound(DIAL.format(BRIDGED).replace("<Client>", "<Client url='/screen'>"))
    return after(call, ChildAnswered(call=SID, child=dialled(call)))


def both(kind: type[CallMessage], follower: CallStatus, build: Callable[[CallStatus], Cell]) -> dict[Arrow, Cell]:
    """Return the cells of a message that leads out of `queued` and `ringing` alike."""
    return {(status, kind, follower): build(status) for status in (CallStatus.QUEUED, CallStatus.RINGING)}


Arrow = tuple[CallStatus, type[CallMessage], CallStatus]


def arrows() -> dict[Arrow, Cell]:
    """Return for each change of status, or choice, in the table a call and the message that leads along it."""
    found: dict[Arrow, Cell] = {}
    ringing, running = CallStatus.RINGING, CallStatus.IN_PROGRESS
    for (status, kind), followers in CALL_TRANSITIONS.items():
        if len(followers) > 2 and status is ringing and kind not in (LegRefused, DocumentFetchFailed):
            for each in followers:
                found[status, kind, each] = ends_verb(kind, NEXT_VERB[each], unanswered=True)
        elif status is running and followers.get(CallStatus.COMPLETED) == "the document ends":
            continued = ends_verb(kind, NEXT_VERB[running], unanswered=False)
            found[status, kind, CallStatus.COMPLETED] = ends_verb(kind, "<Hangup/>", unanswered=False)
            found[status, kind, running] = continued
    for after_code, code in ((CallStatus.BUSY, 486), (CallStatus.NO_ANSWER, 480), (CallStatus.FAILED, 404)):
        refused = LegRefused(call=SID, sip_code=code)
        found |= both(LegRefused, after_code, lambda status, refused=refused: (unanswered_leg(status), refused))  # type: ignore[misc]
    found |= both(LegEnded, CallStatus.NO_ANSWER, lambda status: (unanswered_leg(status), LegEnded(call=SID)))
    found |= both(EndCall, CallStatus.CANCELED, lambda status: (unanswered_leg(status), EndCall(call=SID)))
    found |= both(RoomLeft, CallStatus.CANCELED, lambda status: (unanswered_leg(status), SAMPLE[RoomLeft]))
    found |= both(LegAnswered, running, lambda status: (unanswered_leg(status), LegAnswered(call=SID)))
    found |= both(
        LegAnswered, CallStatus.COMPLETED, lambda status: (unanswered_leg(status, "<Hangup/>"), LegAnswered(call=SID))
    )
    found |= both(ReleaseChild, CallStatus.CANCELED, lambda status: (unanswered_child(status), ReleaseChild(call=SID)))
    late = ReleaseChild(call=SID, cause="timeout")
    found |= both(ReleaseChild, CallStatus.NO_ANSWER, lambda status: (unanswered_child(status), late))
    queued = placed(inline(PAUSE))
    found[CallStatus.QUEUED, LegRinging, ringing] = queued, LegRinging(call=SID)
    found[CallStatus.QUEUED, TimerFired, CallStatus.NO_ANSWER] = queued, TimerFired(token=Token(f"{SID}/ring"))
    turn = replace(queued, target=Target(to="client:bob"))
    found[CallStatus.QUEUED, TimerFired, CallStatus.QUEUED] = turn, TimerFired(token=Token(f"{SID}/turn"))

    over = ChangeCall(call=SID, time_limit_s=5)
    longer = ChangeCall(call=SID, time_limit_s=500)
    found[ringing, ChangeCall, ringing] = inbound(PAUSE), longer
    found[ringing, ChangeCall, CallStatus.NO_ANSWER] = inbound(PAUSE), over
    found[running, ChangeCall, running] = answered(PAUSE), longer
    found[running, ChangeCall, CallStatus.COMPLETED] = answered(PAUSE), over
    failed = ends_verb(DocumentFetchFailed, "", unanswered=True)
    for each in (running, CallStatus.FAILED, CallStatus.NO_ANSWER):
        found[ringing, DocumentFetchFailed, each] = failed
    with_fallback = replace(failed[0], scripts=(replace(failed[0].scripts[0], fallback=WebRequest(url=URL)),))
    found[ringing, DocumentFetchFailed, ringing] = with_fallback, failed[1]
    found[ringing, StartScript, ringing] = inbound(PAUSE), SAMPLE[StartScript]
    music = StartScript(call=SID, role="wait", request=None)
    found[ringing, StartScript, running] = inbound(PAUSE), music
    dialling = inbound(DIAL.format(BRIDGED))
    found[ringing, ChildAnswered, running] = dialling, ChildAnswered(call=SID, child=dialled(dialling))
    screened = inbound(DIAL.format(BRIDGED).replace("<Client>", "<Client url='/screen'>"))
    found[ringing, ChildAnswered, ringing] = screened, ChildAnswered(call=SID, child=dialled(screened))
    found[ringing, ChildScreened, running] = screening(), ChildScreened(call=SID, child=dialled(screening()))
    waiting = after(inbound("<Enqueue>q</Enqueue>"), SAMPLE[QueueEntered])
    found[ringing, QueueTaken, running] = waiting, SAMPLE[QueueTaken]

    found[running, PhoneRefers, running] = answered(PAUSE), SAMPLE[PhoneRefers]
    found[running, PhoneRefers, CallStatus.COMPLETED] = bridged(answered), SAMPLE[PhoneRefers]
    found[running, EndCall, CallStatus.COMPLETED] = answered(PAUSE), EndCall(call=SID)
    found[running, EndCall, running] = answered(PAUSE), EndCall(call=SID, status="canceled")
    found[running, ReleaseChild, CallStatus.COMPLETED] = child(LegAnswered(call=SID)), ReleaseChild(call=SID)
    found[running, ReleaseChild, running] = answered(PAUSE), ReleaseChild(call=SID)
    found[running, LegEnded, CallStatus.COMPLETED] = answered(PAUSE), LegEnded(call=SID)
    return found


ARROWS = arrows()


def named(cell: tuple[object, ...]) -> str:
    return " ".join(str(getattr(each, "__name__", each)) for each in cell)


def test_the_page_shows_the_table_with_its_conditions() -> None:
    drawn = draw_events("A call", "holdfast/voice/control/statuses.py", CALL_TRANSITIONS, CALL_STARTS)
    assert drawn in PAGE.read_text("utf-8"), "run: make diagrams"


def test_there_is_a_sample_of_each_message() -> None:
    assert set(SAMPLE) == set(KINDS)


def test_each_change_and_each_choice_of_the_table_is_walked() -> None:
    listed = {
        (status, kind, follower)
        for (status, kind), followers in CALL_TRANSITIONS.items()
        for follower in followers
        if len(followers) > 1 or follower is not status
    }
    assert set(ARROWS) == listed


@pytest.mark.parametrize("arrow", ARROWS, ids=named)
def test_a_listed_message_leads_to_its_status(arrow: Arrow, monkeypatch: pytest.MonkeyPatch) -> None:
    status, kind, follower = arrow
    call, message = ARROWS[arrow]
    if kind is DocumentFetchFailed and follower is CallStatus.NO_ANSWER:
        monkeypatch.setattr(twilio_assumptions, "FAILED_DOCUMENT_UNANSWERED", "no-answer")
    if follower is CallStatus.FAILED or (kind in (DocumentFetchFailed, SoundFailed) and follower in FINAL):
        say_nothing(monkeypatch)
    assert (call.status, type(message)) == (status, kind)
    moved = step(call, message)
    assert moved.noun.status is follower
    assert not any(isinstance(each, LogRefusal) for each in moved.emitted)
    assert (moved.noun.ended_at is not None) is (follower in FINAL)
    assert ends_of_legs(moved) == expected_end_of_leg(call, kind, follower)
    if follower in FINAL:
        assert moved.noun.scripts == ()
        assert {StopTimer(token=Token(f"{SID}/limit")), StopTimer(token=Token(f"{SID}/ring"))} <= set(moved.emitted)


def say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be said to a party whose document failed."""
    monkeypatch.setattr(twilio_assumptions, "FAILED_FIRST_PAGE_SAID", "")
    monkeypatch.setattr(twilio_assumptions, "FAILED_LATER_PAGE_SAID", "")


def ends_of_legs(moved: Transition[Call]) -> list[type]:
    return [type(each) for each in moved.emitted if isinstance(each, HangUpLeg | RefuseLeg)]


def expected_end_of_leg(call: Call, kind: type[CallMessage], follower: CallStatus) -> list[type]:
    """Return how we end the leg: not at all if it ended by itself, and an unanswered caller is refused."""
    if follower not in FINAL or kind in (LegRefused, LegEnded):
        return []
    unanswered = call.direction == "inbound" and call.status is CallStatus.RINGING
    return [RefuseLeg] if unanswered else [HangUpLeg]


@pytest.mark.parametrize(
    "cell", [cell for cell, followers in CALL_TRANSITIONS.items() if list(followers) == [cell[0]]], ids=named
)
def test_a_message_after_which_the_status_stays_is_taken(cell: tuple[CallStatus, type[CallMessage]]) -> None:
    status, kind = cell
    call = resting(status)
    moved = step(call, SAMPLE[kind])
    assert moved.noun.status is status
    assert not any(isinstance(each, LogRefusal) for each in moved.emitted)
    if status in FINAL:
        assert moved == (call, ())


@pytest.mark.parametrize(
    "cell", [cell for cell in product(CallStatus, KINDS) if cell not in CALL_TRANSITIONS], ids=named
)
def test_a_message_that_is_not_listed_is_refused_untouched(cell: tuple[CallStatus, type[CallMessage]]) -> None:
    status, kind = cell
    call, message = resting(status), SAMPLE[kind]
    if isinstance(message, RestCallCommand):
        with pytest.raises(CallNotInProgress, match="Cannot record" if kind is RecordCall else "Cannot redirect"):
            step(call, message)
        return
    moved = step(call, message)
    assert moved.noun is call
    assert moved.emitted == (LogRefusal(noun=SID, status=status.value, message=kind.__name__),)


@pytest.mark.parametrize("follower", CALL_STARTS[ReceiveCall])
def test_a_received_call_starts_as_its_first_verb_decides(
    follower: CallStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    if follower is CallStatus.FAILED:
        say_nothing(monkeypatch)
    assert inbound(NEXT_VERB[follower]).status is follower


def test_a_placed_call_and_a_child_start_queued() -> None:
    assert {placed(inline(PAUSE)).status, child().status} == {CallStatus.QUEUED}
    assert [*CALL_STARTS[CreateCall], *CALL_STARTS[CallChild]] == [CallStatus.QUEUED] * 2


def test_a_fact_that_names_a_token_finds_its_call() -> None:
    state = EngineState()
    state.apply(
        ReceiveCall(call=SID, account=ACCOUNT, from_="client:a", to="+1", instruction=inline("<Pause length='1'/>")),
        START,
    )
    token = opened(state.calls[SID], timer=True)
    assert isinstance(TimerFired(token=token), TokenFact)
    state.apply(TimerFired(token=token), LATER)
    assert state.calls[SID].status is CallStatus.NO_ANSWER


# --- what changes emit, and the codes they leave -------------------------------------------------------------

FAILING: Call = after(*ends_verb(DocumentFetchFailed, "", unanswered=True))
"""A call that is told that its document failed."""
ENDS: dict[str, tuple[Call, CallMessage, int]] = {
    "a leg that is refused": (unanswered_leg(CallStatus.RINGING), LegRefused(call=SID, sip_code=486), 486),
    "a caller that gives up": (inbound(PAUSE), LegEnded(call=SID, cause="canceled", sip_code=200), 487),
    "a party that hangs up": (answered(PAUSE), LegEnded(call=SID, sip_code=200), 200),
    "a leg that is lost": (answered(PAUSE), LegEnded(call=SID, cause="lost", sip_code=503), 503),
    "an end by REST": (answered(PAUSE), EndCall(call=SID), 200),
    "a cancel by REST": (unanswered_leg(CallStatus.QUEUED), EndCall(call=SID, status="canceled"), 487),
    "a phone that rings too long": (unanswered_leg(CallStatus.RINGING), TimerFired(token=Token(f"{SID}/ring")), 487),
    "the time limit": (answered(PAUSE), TimerFired(token=Token(f"{SID}/limit")), 200),
    "the time limit of a caller that rings": (inbound(PAUSE), TimerFired(token=Token(f"{SID}/limit")), 603),
    "a released child": (child(LegAnswered(call=SID)), ReleaseChild(call=SID), 200),
    "a released child that rings": (child(LegRinging(call=SID)), ReleaseChild(call=SID), 487),
    "a seat that is taken away": (unanswered_leg(CallStatus.QUEUED), SAMPLE[RoomLeft], 487),
    "a document that fails": (*ends_verb(DocumentFetchFailed, "", unanswered=True), 500),
    "a failure that was said": (FAILING, SoundEnded(token=opened(FAILING, timer=False)), 500),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_end_leaves_its_sip_code_and_its_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, message, code = ENDS[name]
    if name == "a document that fails":
        say_nothing(monkeypatch)
    ended = step(call, message).noun
    assert (ended.live, ended.sip_code, ended.ended_at, ended.updated_at) == (False, code, LATER, LATER)


def test_a_child_that_ends_is_reported_with_its_status_and_code() -> None:
    moved = step(child(LegRinging(call=SID)), LegRefused(call=SID, sip_code=486))
    reports = [each for each in moved.emitted if isinstance(each, ChildEnded)]
    assert [(each.call, each.child, each.status, each.sip_code) for each in reports] == [(PARENT, SID, "busy", 486)]


@pytest.mark.parametrize(
    ("sip_code", "code", "logged"), [(486, 0, []), (480, 0, []), (404, 0, [32011]), (486, 13224, [13224])]
)
def test_a_refusal_is_logged_when_it_is_a_failure_or_has_a_code(sip_code: int, code: int, logged: list[int]) -> None:
    moved = step(unanswered_leg(CallStatus.RINGING), LegRefused(call=SID, sip_code=sip_code, code=code))
    notes = [each for each in moved.emitted if isinstance(each, LogNotification)]
    assert [each.code for each in notes] == logged
    assert {each.log for each in notes} <= {0}


@pytest.mark.parametrize(("limit_s", "live"), [(9, False), (10, False), (11, True)])
def test_a_time_limit_that_is_just_over_ends_the_call(limit_s: int, live: bool) -> None:
    moved = step(answered(PAUSE), ChangeCall(call=SID, time_limit_s=limit_s))
    assert moved.noun.live is live
    timers = [each for each in moved.emitted if isinstance(each, StartTimer)]
    assert timers == ([StartTimer(token=Token(f"{SID}/limit"), after_s=1.0)] if live else [])
    notes = [each for each in moved.emitted if isinstance(each, LogNotification)]
    assert [(each.code, each.log) for each in notes] == ([] if live else [(13216, 1)])


def test_a_received_call_rings_and_starts_its_time_limit() -> None:
    state = EngineState()
    command = ReceiveCall(
        call=SID, account=ACCOUNT, from_="client:a", to="+1", instruction=inline(PAUSE), time_limit_s=77
    )
    emitted = machine.receive(command, START, state, state.runner).emitted
    assert emitted[:2] == (RingLeg(call=SID), StartTimer(token=Token(f"{SID}/limit"), after_s=77))


@pytest.mark.parametrize("wait_s", [0.0, 0.5])
def test_a_placed_call_waits_for_its_turn(wait_s: float) -> None:
    state, target = EngineState(), Target(to="client:bob")
    command = CreateCall(
        call=SID,
        account=ACCOUNT,
        target=target,
        from_="+1",
        instruction=inline(PAUSE),
        wait_s=wait_s,
        timeout_s=33,
    )
    moved = machine.create(command, START, state, state.runner)
    place = (
        PlaceLeg(call=SID, target=target, from_="+1"),
        StartTimer(token=Token(f"{SID}/ring"), after_s=33),
    )
    turn = Token(f"{SID}/turn")
    if not wait_s:
        assert moved.emitted == place
        return
    assert moved.emitted == (StartTimer(token=turn, after_s=wait_s),)
    placed_now = step(moved.noun, TimerFired(token=turn))
    assert placed_now.emitted == place
    assert step(placed_now.noun, TimerFired(token=turn)).emitted == ()
    canceled = step(moved.noun, EndCall(call=SID))
    assert StopTimer(token=turn) in canceled.emitted
    assert ends_of_legs(canceled) == []


@pytest.mark.parametrize(
    ("early_media", "reports"),
    [((False,), [False]), ((True,), [True]), ((False, False), [False]), ((False, True), [False, True])],
)
def test_a_ringing_child_is_reported_once_and_again_when_it_sends_audio(
    early_media: tuple[bool, ...], reports: list[bool]
) -> None:
    call, found = child(), []
    for each in early_media:
        moved = step(call, LegRinging(call=SID, early_media=each))
        call = moved.noun
        found += [report for report in moved.emitted if isinstance(report, ChildRinging)]
    assert [(report.call, report.child, report.early_media) for report in found] == [
        (PARENT, SID, early) for early in reports
    ]


def test_an_answer_ends_the_ring_timer_and_starts_the_time_limit() -> None:
    moved = step(unanswered_leg(CallStatus.RINGING), LegAnswered(call=SID))
    assert moved.emitted[:2] == (
        StopTimer(token=Token(f"{SID}/ring")),
        StartTimer(token=Token(f"{SID}/limit"), after_s=14400),
    )
    assert (moved.noun.started_at, moved.noun.answered_at) == (LATER, LATER)
    # A ring timer that fires meanwhile changes nothing.
    assert step(moved.noun, TimerFired(token=Token(f"{SID}/ring"))) == (moved.noun, ())
