"""The runner delivers to a verb the facts that it hears and needs, and stores no others."""

from __future__ import annotations

import pytest

from holdfast.voice.model.commands import Instruction
from holdfast.voice.model.effects import PlaySound
from holdfast.voice.model.facts import ChildAnswered, DigitPressed, Fact, LegSpeaks, RoomLeft, SoundFailed, TimerFired
from holdfast.voice.model.ids import AccountSid, CallSid, RoomSid, Token
from holdfast.voice.twiml.document import VERBS
from holdfast.voice.twiml.runner import MAX_FACTS, Runner
from holdfast.voice.twiml.script import Script, ScriptSubject, ScriptTurn
from holdfast.voice.twiml.verb import Verb

CALL = CallSid("CA1")
SUBJECT = ScriptSubject(call=CALL, account=AccountSid("AC1"), from_="a", to="b", direction="inbound", form=lambda: ())


def begin(runner: Runner, document: str) -> ScriptTurn:
    script = Script(call=CALL, role="main", serial=1)
    return runner.begin(script, Instruction(twiml=f"<Response>{document}</Response>"), SUBJECT, 0.0)


@pytest.mark.parametrize(
    ("document", "fact"),
    [
        ("<Pause/>", DigitPressed(call=CALL, digit="1")),
        ("<Pause/>", LegSpeaks(call=CALL, speaks=True)),
        ("<Gather finishOnKey='#'/>", RoomLeft(call=CALL, room=RoomSid("CF1"), reason="ended")),
        ("<Gather input='speech'/>", DigitPressed(call=CALL, digit="1")),
        ("<Record playBeep='false' finishOnKey='1'/>", DigitPressed(call=CALL, digit="2")),
        ("<Dial hangupOnStar='true'>+15550100</Dial>", DigitPressed(call=CALL, digit="1")),
        ("<Dial>+15550100</Dial>", DigitPressed(call=CALL, digit="*")),
        ("<Refer><Sip>sip:a@example.com</Sip></Refer>", ChildAnswered(call=CALL, child=CALL)),
    ],
)
def test_a_fact_that_the_verb_does_not_need_changes_nothing(document: str, fact: Fact) -> None:
    runner = Runner()
    script = begin(runner, document).script
    assert runner.handle(script, fact, SUBJECT, 1.0) == ScriptTurn(script, ())


def test_a_sound_that_failed_is_not_stopped_again_although_the_verb_does_not_hear_of_it() -> None:
    runner = Runner()
    turn = begin(runner, "<Dial>+15550100</Dial>")
    (ringback,) = [action.token for action in turn.actions if isinstance(action, PlaySound)]
    after = runner.handle(turn.script, SoundFailed(token=ringback, code=11200, message="gone"), SUBJECT, 1.0)
    assert after.script.facts == ()
    open_before = {resource.key for resource in turn.script.open_resources}
    assert open_before - {resource.key for resource in after.script.open_resources} == {ringback}


def test_a_flood_of_digits_is_not_stored_without_end() -> None:
    runner = Runner()
    script = begin(runner, "<Gather finishOnKey='' numDigits='256'/>").script
    waits = TimerFired(token=Token("another"))
    for _ in range(MAX_FACTS):
        script = runner.handle(script, waits, SUBJECT, 1.0).script
    digit = DigitPressed(call=CALL, digit="1")
    assert runner.handle(script, digit, SUBJECT, 1.0) == ScriptTurn(script, ())


def test_every_verb_names_itself_and_its_documents() -> None:
    """`<Dial>` is read as one of three verbs; the others are their own."""
    assert {name: kind.name for name, kind in VERBS.items()} == {name: name for name in VERBS}
    assert [name for name, kind in VERBS.items() if "main" not in kind.roles] == []
    assert [name for name, kind in VERBS.items() if not issubclass(kind, Verb)] == ["Dial"]
