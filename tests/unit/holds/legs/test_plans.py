"""Each plan of the legs planner, whole: both parties as they will be, and the steps in their order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.holds.ids import CallSid
from holdfast.holds.legs import planner
from holdfast.holds.legs.continuation import ContinuationRequest, ContinuationResult, continue_call
from holdfast.holds.steps.account_steps import (
    CloseQueue,
    ContinueDocument,
    Document,
    EndLeg,
    JoinConference,
    LegStep,
    OpenQueue,
    Park,
    RedirectLeg,
    Refusal,
    TakeFromQueue,
    WaitInQueue,
)
from holdfast.holds.steps.pair import Pair, Party, current_document, pair_of_dial

P, C = CallSid("CA" + "1" * 32), CallSid("CA" + "2" * 32)
AFTER = "https://app.example/after"
MUSIC = "https://cdn.example/m.mp3"
CALLS = {"P": P, "C": C}


def party_text(party: Party) -> str:
    """Return a party as `P:waiting@2 held? m 60s`; `?` stands for unconfirmed, `m` for its music."""
    flags = "held" * party.held + "?" * party.unconfirmed
    limit = "" if party.limit_s is None else f"{party.limit_s:g}s"
    words = [f"{party.call}:{party.state.value}@{party.generation}", flags, party.music or "", limit]
    return " ".join(word for word in words if word)


def pair_text(pair: Pair) -> str:
    assert pair.after == AFTER
    room = [] if pair.room is None else [pair.room]
    return ", ".join(
        [f"@{pair.generation} {party_text(pair.parent)}", party_text(pair.child), *room, *["over"][: pair.over]]
    )


def document_text(document: Document) -> str:
    match document:
        case WaitInQueue(queue=queue, music=music, generation=generation):
            return f"wait {queue}@{generation} {music}"
        case Park(limit_s=limit_s):
            return "park" if limit_s is None else f"park {limit_s:g}s"
        case TakeFromQueue(queue=queue, generation=generation):
            return f"take {queue}@{generation}"
        case JoinConference(room=room, generation=generation):
            return f"join {room}@{generation}"
        case ContinueDocument(url=url):
            return f"continue {url}"
        case EndLeg():
            return "end"


def step_text(step: LegStep) -> str:
    match step:
        case OpenQueue(name=name):
            return f"open {name}"
        case RedirectLeg(call=call, document=document):
            return f"{call}: {document_text(document)}"
        case CloseQueue(name=name):
            return f"close {name}"


def short(lines: list[str]) -> str:
    text = "; ".join(lines)
    shorter = {
        "ended_call": "ended",
        f"holdfast-{P}": "R",
        P: "P",
        C: "C",
        MUSIC: "m",
        AFTER: "A",
        " None": " -",
        "close hold-P; close hold-C": "close both",
    }
    for whole, part in shorter.items():
        text = text.replace(whole, part)
    return text


def plan_text(plan: planner.Plan | Refusal) -> str:
    if isinstance(plan, Refusal):
        return short(
            [f"refused: {plan.why}", *([plan.fix] if plan.fix else []), *["the call has ended"][: plan.call_ended]]
        )
    return short([pair_text(plan.pair), *map(step_text, plan.steps)])


def result_text(result: ContinuationResult) -> str:
    found = {name: getattr(result, name) for name in ("ended_call", "not_joined", "not_queued", "music_failed")}
    facts = [f"{name} {value}" for name, value in found.items() if value is not None]
    return short(
        [pair_text(result.pair), f"answer {document_text(result.document)}", *facts, *map(step_text, result.steps)]
    )


def planned(plan: planner.Plan | Refusal) -> Pair:
    assert isinstance(plan, planner.Plan), plan
    return plan.pair


FRESH = pair_of_dial(parent=P, child=C, after=AFTER)
CHILD_ASKED = planned(planner.hold(FRESH, C, music=MUSIC, limit_s=60.0))
"""The child was redirected, and the parent has not asked yet."""
CHILD_HELD = planner.confirm_waiting(continue_call(CHILD_ASKED, P, ContinuationRequest()).pair, C)
PARENT_ASKED = planned(planner.hold(FRESH, P, music=None))
PARENT_HELD = planner.confirm_waiting(continue_call(PARENT_ASKED, P, ContinuationRequest()).pair, P)
BOTH_HELD = planner.confirm_waiting(planned(planner.hold(CHILD_HELD, P, music=None, limit_s=9.0)), P)
TAKING = planned(planner.resume(CHILD_HELD, C))
"""The child is held no more, and the parent was sent to take it from its queue."""
TOGETHER = planner.confirm_joined(TAKING, C)
CONVERTED = planned(planner.convert(FRESH))
FELL_BACK = planned(planner.fall_back(CHILD_HELD, C))
OVER = planner.party_left(CHILD_HELD, C).pair

STATES = {
    "fresh": FRESH,
    "child asked": CHILD_ASKED,
    "child held": CHILD_HELD,
    "parent asked": PARENT_ASKED,
    "parent held": PARENT_HELD,
    "both held": BOTH_HELD,
    "taking": TAKING,
    "together": TOGETHER,
    "converted": CONVERTED,
    "fell back": FELL_BACK,
    "over": OVER,
}


ACTIONS: dict[str, Callable[[Pair, CallSid], planner.Plan | Refusal]] = {
    "hold": lambda pair, call: planner.hold(pair, call, music=MUSIC, limit_s=7.0),
    "resume": planner.resume,
    "convert": lambda pair, _: planner.convert(pair),
    "fall back": planner.fall_back,
    "fall back, answered": lambda pair, call: planner.fall_back(pair, call, answered=True),
    "abandon resume": planner.abandon_resume,
    "restore hold": lambda pair, call: planner.Plan(pair=planner.restore_hold(pair, call)),
    "party left": planner.party_left,
}

REQUESTS = {
    "ended": lambda party: ContinuationRequest(generation=party.generation),
    "hung up": lambda party: ContinuationRequest(generation=party.generation, call_status="completed"),
    "left queue": lambda party: ContinuationRequest(generation=party.generation, queue_result="hangup"),
    "redirected": lambda party: ContinuationRequest(generation=party.generation, queue_result="redirected"),
    "redirected, bridged": lambda party: ContinuationRequest(
        generation=party.generation, queue_result="redirected-from-bridged"
    ),
    "late": lambda party: ContinuationRequest(generation=party.generation - 1),
    "queue error": lambda party: ContinuationRequest(generation=party.generation, queue_result="error"),
    "queue full": lambda party: ContinuationRequest(generation=party.generation, queue_result="queue-full"),
    "no member": lambda party: ContinuationRequest(generation=party.generation, dial_status="no-answer"),
}

PLANS = """
hold | P | fresh | @1 P:waiting@0 held? m 7s, C:parked@1; open hold-P; C: park 7s
hold | C | fresh | @1 P:parked@0 ?, C:waiting@1 held? m 7s; open hold-C; C: wait hold-C@1 m
hold | P | child asked | @2 P:waiting@2 held? m 7s, C:waiting@1 held? m 60s; open hold-P; P: wait hold-P@2 m
hold | C | child asked | as it is
hold | P | child held | @2 P:waiting@2 held? m 7s, C:waiting@1 held m 60s; open hold-P; P: wait hold-P@2 m
hold | C | child held | as it is
hold | P | parent asked | as it is
hold | C | parent asked | @2 P:waiting@0 held?, C:waiting@2 held? m 7s; open hold-C; C: wait hold-C@2 m
hold | P | parent held | as it is
hold | C | parent held | @2 P:waiting@1 held, C:waiting@2 held? m 7s; open hold-C; C: wait hold-C@2 m
hold | P | both held | as it is
hold | C | both held | as it is
hold | P | taking | @3 P:waiting@3 held? m 7s, C:parked@1 ? m 60s; open hold-P; P: wait hold-P@3 m
hold | C | taking | @3 P:parked@2 ?, C:waiting@3 held? m 7s; open hold-C; C: wait hold-C@3 m
hold | P | together | @3 P:waiting@3 held? m 7s, C:parked@1 ? 60s; open hold-P; P: wait hold-P@3 m
hold | C | together | @3 P:parked@2 ?, C:waiting@3 held? m 7s; open hold-C; C: wait hold-C@3 m
hold | P | converted | refused: the pair is in a conference by now; Hold the party there.
hold | C | converted | refused: the pair is in a conference by now; Hold the party there.
hold | P | fell back | refused: the pair is in a conference by now; Hold the party there.
hold | C | fell back | refused: the pair is in a conference by now; Hold the party there.
hold | P | over | refused: P is not in this conversation any more; the call has ended
hold | C | over | refused: C is not in this conversation any more; the call has ended
resume | P | fresh | as it is
resume | C | fresh | as it is
resume | P | child asked | as it is
resume | C | child asked | @2 P:taking@2, C:waiting@1 m 60s; P: take hold-C@2
resume | P | child held | as it is
resume | C | child held | @2 P:taking@2, C:waiting@1 m 60s; P: take hold-C@2
resume | P | parent asked | @2 P:waiting@0, C:taking@2; C: take hold-P@2
resume | C | parent asked | as it is
resume | P | parent held | @2 P:waiting@1, C:taking@2; C: take hold-P@2
resume | C | parent held | as it is
resume | P | both held | @3 P:parked@3 9s, C:waiting@1 held m 60s; P: park 60s
resume | C | both held | @3 P:waiting@2 held 9s, C:parked@3 60s; C: park 9s
resume | P | taking | as it is
resume | C | taking | as it is
resume | P | together | as it is
resume | C | together | as it is
resume | P | converted | as it is
resume | C | converted | as it is
resume | P | fell back | as it is
resume | C | fell back | as it is
resume | P | over | refused: P has hung up; the call has ended
resume | C | over | refused: C has hung up; the call has ended
convert | P | fresh | @1 P:room@0 ?, C:room@1 ?, R; C: join R@1
convert | P | child held | as it is
convert | P | over | refused: P is not in this conversation any more; the call has ended
fall back | P | child asked | @2 P:parked@2, C:waiting@1 held? m 60s; P: park 60s
fall back | C | child asked | @2 P:room@2 ?, C:room@2 ? 60s, R; C: join R@2; P: join R@2
fall back | P | child held | @2 P:parked@2, C:waiting@1 held m 60s; P: park 60s
fall back | C | child held | @2 P:room@2 ?, C:room@2 ? 60s, R; C: join R@2; P: join R@2
fall back | P | parent asked | @2 P:room@2 ?, C:room@2 ?, R; P: join R@2; C: join R@2
fall back | C | parent asked | @2 P:waiting@0 held?, C:parked@2; C: park
fall back | P | parent held | @2 P:room@2 ?, C:room@2 ?, R; P: join R@2; C: join R@2
fall back | C | parent held | @2 P:waiting@1 held, C:parked@2; C: park
fall back | P | both held | @3 P:parked@3 9s, C:waiting@1 held m 60s; P: park 60s
fall back | C | both held | @3 P:waiting@2 held 9s, C:parked@3 60s; C: park 9s
fall back, answered | P | child asked | @2 P:parked@2, C:waiting@1 held? m 60s
fall back, answered | C | child asked | @2 P:room@2 ?, C:room@2 60s, R; P: join R@2
fall back, answered | P | child held | @2 P:parked@2, C:waiting@1 held m 60s
fall back, answered | C | child held | @2 P:room@2 ?, C:room@2 60s, R; P: join R@2
fall back, answered | P | parent asked | @2 P:room@2, C:room@2 ?, R; C: join R@2
fall back, answered | C | parent asked | @2 P:waiting@0 held?, C:parked@2
fall back, answered | P | parent held | @2 P:room@2, C:room@2 ?, R; C: join R@2
fall back, answered | C | parent held | @2 P:waiting@1 held, C:parked@2
fall back, answered | P | both held | @3 P:parked@3 9s, C:waiting@1 held m 60s
fall back, answered | C | both held | @3 P:waiting@2 held 9s, C:parked@3 60s
abandon resume | P | both held | @3 P:waiting@2 held 9s, C:waiting@1 held m 60s
abandon resume | C | both held | @3 P:waiting@2 held 9s, C:waiting@1 held m 60s
abandon resume | P | taking | @3 P:waiting@2 held, C:parked@3 m 60s; C: park
abandon resume | C | taking | @3 P:parked@3, C:waiting@1 held m 60s; P: park 60s
abandon resume | P | together | @3 P:waiting@2 held, C:parked@3 60s; C: park
abandon resume | C | together | @3 P:parked@3, C:waiting@1 held 60s; P: park 60s
restore hold | P | both held | @2 P:waiting@2 held 9s, C:parked@2 held m 60s
restore hold | C | both held | @2 P:parked@2 held 9s, C:waiting@1 held m 60s
restore hold | C | taking | @2 P:parked@2, C:waiting@1 held m 60s
party left | P | fresh | @0 P:gone@0, C:child@0, over
party left | C | fresh | @0 P:parent@0, C:gone@0, over
party left | P | child asked | @1 P:gone@0, C:waiting@1 held? m 60s, over; C: end; close both
party left | C | child asked | @1 P:parked@0 ?, C:gone@1 m 60s, over; close both
party left | P | child held | @1 P:gone@1, C:waiting@1 held m 60s, over; C: end; close both
party left | C | child held | @1 P:parked@1, C:gone@1 m 60s, over; P: continue A; close both
party left | P | parent asked | @1 P:gone@0, C:parked@1, over; C: end; close both
party left | C | parent asked | @1 P:waiting@0 held?, C:gone@1, over; close both
party left | P | parent held | @1 P:gone@1, C:parked@1, over; C: end; close both
party left | C | parent held | @1 P:waiting@1 held, C:gone@1, over; P: continue A; close both
party left | P | both held | @2 P:gone@2 9s, C:waiting@1 held m 60s, over; C: end; close both
party left | C | both held | @2 P:waiting@2 held 9s, C:gone@1 m 60s, over; P: continue A; close both
party left | P | taking | @2 P:gone@2, C:waiting@1 m 60s, over; C: end; close both
party left | C | taking | @2 P:taking@2, C:gone@1 m 60s, over; close both
party left | P | together | @2 P:gone@2, C:joined@1 60s, over; close both
party left | C | together | @2 P:taking@2, C:gone@1 60s, over; close both
party left | P | converted | @1 P:gone@0, C:room@1 ?, R, over; close both
party left | C | converted | @1 P:room@0 ?, C:gone@1, R, over; close both
party left | P | fell back | @2 P:gone@2, C:room@2 ? 60s, R, over; close both
party left | C | fell back | @2 P:room@2 ?, C:gone@2 60s, R, over; close both
party left | P | over | @1 P:gone@1, C:gone@1 m 60s, over; close both
party left | C | over | @1 P:parked@1, C:gone@1 m 60s, over; P: continue A; close both
"""

ANSWERS = """
ended | P | fresh | @0 P:gone@0, C:child@0, over; answer continue A
ended | C | fresh | @0 P:parent@0, C:gone@0, over; answer end
ended | P | child asked | @1 P:parked@1, C:waiting@1 held? m 60s; answer park 60s
ended | C | child asked | @1 P:parked@0 ?, C:gone@1 m 60s, over; answer end; close both
ended | P | child held | @1 P:gone@1, C:waiting@1 held m 60s, over; answer continue A; C: end; close both
ended | C | child held | @1 P:parked@1, C:gone@1 m 60s, over; answer end; P: continue A; close both
ended | P | parent asked | @1 P:waiting@1 held?, C:parked@1; answer wait hold-P@1 -
ended | C | parent asked | @1 P:waiting@0 held?, C:gone@1, over; answer end; close both
ended | P | parent held | @1 P:gone@1, C:parked@1, over; answer continue A; C: end; close both
ended | C | parent held | @1 P:waiting@1 held, C:gone@1, over; answer end; P: continue A; close both
ended | P | both held | @2 P:gone@2 9s, C:waiting@1 held m 60s, over; answer continue A; C: end; close both
ended | C | both held | @2 P:waiting@2 held 9s, C:gone@1 m 60s, over; answer end; P: continue A; close both
ended | P | taking | @2 P:gone@2, C:waiting@1 m 60s, over; answer continue A; C: end; close both
ended | C | taking | @2 P:taking@2, C:gone@1 m 60s, over; answer end; close both
ended | P | together | @2 P:gone@2, C:joined@1 60s, over; answer continue A; close both
ended | C | together | @2 P:taking@2, C:gone@1 60s, over; answer end; close both
ended | P | converted | @1 P:room@1 ?, C:room@1 ?, R; answer join R@1
ended | C | converted | @1 P:room@0 ?, C:gone@1, R, over; answer end; close both
ended | P | fell back | @2 P:gone@2, C:room@2 ? 60s, R, over; answer continue A; close both
ended | C | fell back | @2 P:room@2 ?, C:gone@2 60s, R, over; answer end; close both
ended | P | over | @1 P:gone@1, C:gone@1 m 60s, over; answer continue A
ended | C | over | @1 P:parked@1, C:gone@1 m 60s, over; answer end
hung up | P | fresh | @0 P:gone@0, C:child@0, over; answer end; ended P
hung up | C | fresh | @0 P:parent@0, C:gone@0, over; answer end; ended C
hung up | P | child asked | @1 P:gone@0, C:waiting@1 held? m 60s, over; answer end; ended P; C: end; close both
hung up | C | child asked | @1 P:parked@0 ?, C:gone@1 m 60s, over; answer end; ended C; close both
hung up | P | child held | @1 P:gone@1, C:waiting@1 held m 60s, over; answer end; ended P; C: end; close both
hung up | C | child held | @1 P:parked@1, C:gone@1 m 60s, over; answer end; ended C; P: continue A; close both
hung up | P | parent asked | @1 P:gone@0, C:parked@1, over; answer end; ended P; C: end; close both
hung up | C | parent asked | @1 P:waiting@0 held?, C:gone@1, over; answer end; ended C; close both
hung up | P | parent held | @1 P:gone@1, C:parked@1, over; answer end; ended P; C: end; close both
hung up | C | parent held | @1 P:waiting@1 held, C:gone@1, over; answer end; ended C; P: continue A; close both
hung up | P | both held | @2 P:gone@2 9s, C:waiting@1 held m 60s, over; answer end; ended P; C: end; close both
hung up | C | both held | @2 P:waiting@2 held 9s, C:gone@1 m 60s, over; answer end; ended C; P: continue A; close both
hung up | P | taking | @2 P:gone@2, C:waiting@1 m 60s, over; answer end; ended P; C: end; close both
hung up | C | taking | @2 P:taking@2, C:gone@1 m 60s, over; answer end; ended C; close both
hung up | P | together | @2 P:gone@2, C:joined@1 60s, over; answer end; ended P; close both
hung up | C | together | @2 P:taking@2, C:gone@1 60s, over; answer end; ended C; close both
hung up | P | converted | @1 P:gone@0, C:room@1 ?, R, over; answer end; ended P; close both
hung up | C | converted | @1 P:room@0 ?, C:gone@1, R, over; answer end; ended C; close both
hung up | P | fell back | @2 P:gone@2, C:room@2 ? 60s, R, over; answer end; ended P; close both
hung up | C | fell back | @2 P:room@2 ?, C:gone@2 60s, R, over; answer end; ended C; close both
hung up | P | over | @1 P:gone@1, C:gone@1 m 60s, over; answer end; ended P; close both
hung up | C | over | @1 P:parked@1, C:gone@1 m 60s, over; answer end; ended C; P: continue A; close both
left queue | P | child asked | @1 P:gone@0, C:waiting@1 held? m 60s, over; answer end; ended P; C: end; close both
left queue | C | child asked | @1 P:parked@0 ?, C:gone@1 m 60s, over; answer end; ended C; close both
left queue | P | child held | @1 P:gone@1, C:waiting@1 held m 60s, over; answer end; ended P; C: end; close both
left queue | C | child held | @1 P:parked@1, C:gone@1 m 60s, over; answer end; ended C; P: continue A; close both
left queue | P | together | @2 P:gone@2, C:joined@1 60s, over; answer end; ended P; close both
left queue | C | together | @2 P:taking@2, C:gone@1 60s, over; answer end; ended C; close both
left queue | P | fell back | @2 P:gone@2, C:room@2 ? 60s, R, over; answer end; ended P; close both
left queue | C | fell back | @2 P:room@2 ?, C:gone@2 60s, R, over; answer end; ended C; close both
left queue | P | over | @1 P:gone@1, C:gone@1 m 60s, over; answer end; ended P; close both
left queue | C | over | @1 P:parked@1, C:gone@1 m 60s, over; answer end; ended C; P: continue A; close both
redirected | P | child asked | @1 P:parked@0 ?, C:waiting@1 held? m 60s; answer park 60s
redirected | C | child asked | @1 P:parked@0 ?, C:waiting@1 held? m 60s; answer wait hold-C@1 m
redirected | P | child held | @1 P:parked@1, C:waiting@1 held m 60s; answer park 60s
redirected | C | child held | @1 P:parked@1, C:waiting@1 held m 60s; answer wait hold-C@1 m
redirected | P | together | @2 P:taking@2, C:joined@1 60s; answer take hold-C@2
redirected | C | together | @2 P:taking@2, C:joined@1 60s; answer wait hold-C@1 -
redirected | P | fell back | @2 P:room@2, C:room@2 ? 60s, R; answer join R@2
redirected | C | fell back | @2 P:room@2 ?, C:room@2 60s, R; answer join R@2
redirected | P | over | @1 P:parked@1, C:gone@1 m 60s, over; answer continue A
redirected | C | over | @1 P:parked@1, C:gone@1 m 60s, over; answer end
redirected, bridged | P | child asked | @1 P:parked@0 ?, C:waiting@1 held? m 60s; answer park 60s
redirected, bridged | C | child asked | @1 P:parked@0 ?, C:waiting@1 held? m 60s; answer wait hold-C@1 m
redirected, bridged | P | child held | @1 P:parked@1, C:waiting@1 held m 60s; answer park 60s
redirected, bridged | C | child held | @1 P:parked@1, C:waiting@1 held m 60s; answer wait hold-C@1 m
redirected, bridged | P | together | @2 P:taking@2, C:joined@1 60s; answer take hold-C@2
redirected, bridged | C | together | @2 P:taking@2, C:joined@1 60s; answer wait hold-C@1 -
redirected, bridged | P | fell back | @2 P:room@2, C:room@2 ? 60s, R; answer join R@2
redirected, bridged | C | fell back | @2 P:room@2 ?, C:room@2 60s, R; answer join R@2
redirected, bridged | P | over | @1 P:parked@1, C:gone@1 m 60s, over; answer continue A
redirected, bridged | C | over | @1 P:parked@1, C:gone@1 m 60s, over; answer end
late | P | fresh | @0 P:parent@0, C:child@0; answer continue A
late | C | fresh | @0 P:parent@0, C:child@0; answer end
late | P | child asked | @1 P:parked@0 ?, C:waiting@1 held? m 60s; answer park 60s
late | C | child asked | @1 P:parked@0 ?, C:waiting@1 held? m 60s; answer wait hold-C@1 m
late | P | child held | @1 P:parked@1, C:waiting@1 held m 60s; answer park 60s
late | C | child held | @1 P:parked@1, C:waiting@1 held m 60s; answer wait hold-C@1 m
late | P | parent asked | @1 P:waiting@0 held?, C:parked@1; answer wait hold-P@0 -
late | C | parent asked | @1 P:waiting@0 held?, C:parked@1; answer park
late | P | parent held | @1 P:waiting@1 held, C:parked@1; answer wait hold-P@1 -
late | C | parent held | @1 P:waiting@1 held, C:parked@1; answer park
late | P | both held | @2 P:waiting@2 held 9s, C:waiting@1 held m 60s; answer wait hold-P@2 -
late | C | both held | @2 P:waiting@2 held 9s, C:waiting@1 held m 60s; answer wait hold-C@1 m
late | P | taking | @2 P:taking@2, C:waiting@1 m 60s; answer take hold-C@2
late | C | taking | @2 P:taking@2, C:waiting@1 m 60s; answer wait hold-C@1 m
late | P | together | @2 P:taking@2, C:joined@1 60s; answer take hold-C@2
late | C | together | @2 P:taking@2, C:joined@1 60s; answer wait hold-C@1 -
late | P | converted | @1 P:room@0, C:room@1 ?, R; answer join R@0
late | C | converted | @1 P:room@0 ?, C:room@1, R; answer join R@1
late | P | fell back | @2 P:room@2, C:room@2 ? 60s, R; answer join R@2
late | C | fell back | @2 P:room@2 ?, C:room@2 60s, R; answer join R@2
late | P | over | @1 P:parked@1, C:gone@1 m 60s, over; answer continue A
late | C | over | @1 P:parked@1, C:gone@1 m 60s, over; answer end
queue error | P | child asked | @1 P:parked@1, C:waiting@1 held? m 60s; answer park 60s
queue error | C | child asked | @1 P:parked@0 ?, C:waiting@1 held? 60s; answer wait hold-C@1 -; music_failed m
queue error | C | child held | @1 P:parked@1, C:waiting@1 held 60s; answer wait hold-C@1 -; music_failed m
queue error | P | parent asked | @2 P:room@2, C:room@2 ?, R; answer join R@2; not_queued P; C: join R@2
queue error | P | parent held | @2 P:room@2, C:room@2 ?, R; answer join R@2; not_queued P; C: join R@2
queue error | P | both held | @3 P:parked@3 9s, C:waiting@1 held m 60s; answer park 60s; not_queued P
queue error | C | both held | @2 P:waiting@2 held 9s, C:waiting@1 held 60s; answer wait hold-C@1 -; music_failed m
queue error | P | together | @2 P:gone@2, C:joined@1 60s, over; answer continue A; close both
queue error | C | together | @2 P:taking@2, C:gone@1 60s, over; answer end; close both
queue full | P | child asked | @1 P:parked@1, C:waiting@1 held? m 60s; answer park 60s
queue full | C | child asked | @2 P:room@2 ?, C:room@2 60s, R; answer join R@2; not_queued C; P: join R@2
queue full | C | child held | @2 P:room@2 ?, C:room@2 60s, R; answer join R@2; not_queued C; P: join R@2
queue full | P | parent asked | @2 P:room@2, C:room@2 ?, R; answer join R@2; not_queued P; C: join R@2
queue full | P | parent held | @2 P:room@2, C:room@2 ?, R; answer join R@2; not_queued P; C: join R@2
queue full | P | both held | @3 P:parked@3 9s, C:waiting@1 held m 60s; answer park 60s; not_queued P
queue full | C | both held | @3 P:waiting@2 held 9s, C:parked@3 60s; answer park 9s; not_queued C
queue full | P | together | @2 P:gone@2, C:joined@1 60s, over; answer continue A; close both
queue full | C | together | @2 P:taking@2, C:gone@1 60s, over; answer end; close both
no member | P | child held | @1 P:gone@1, C:waiting@1 held m 60s, over; answer continue A; C: end; close both
no member | C | child held | @1 P:parked@1, C:gone@1 m 60s, over; answer end; P: continue A; close both
no member | P | taking | @2 P:parked@2, C:waiting@1 held m 60s; answer park 60s; not_joined C
no member | C | taking | @2 P:taking@2, C:gone@1 m 60s, over; answer end; close both
no member | P | together | @2 P:parked@2, C:waiting@1 held 60s; answer park 60s; not_joined C
no member | C | together | @2 P:taking@2, C:gone@1 60s, over; answer end; close both
"""


def rows(text: str) -> list[tuple[str, ...]]:
    return [tuple(line.split(" | ")) for line in text.strip().splitlines()]


@pytest.mark.parametrize(("action", "party", "state", "wanted"), rows(PLANS))
def test_a_plan_is_whole(action: str, party: str, state: str, wanted: str) -> None:
    pair = STATES[state]
    plan = ACTIONS[action](pair, CALLS[party])
    unchanged = plan == planner.Plan(pair=pair)
    assert ("as it is" if unchanged else plan_text(plan)) == wanted


@pytest.mark.parametrize(("request_", "party", "state", "wanted"), rows(ANSWERS))
def test_a_continuation_is_answered_whole(request_: str, party: str, state: str, wanted: str) -> None:
    pair, call = STATES[state], CALLS[party]
    assert result_text(continue_call(pair, call, REQUESTS[request_](pair.party(call)))) == wanted


@pytest.mark.parametrize("state", STATES)
def test_a_request_without_a_change_gets_the_document_of_the_present_state(state: str) -> None:
    for call in CALLS.values():
        result = continue_call(STATES[state], call, ContinuationRequest(generation=-1))
        assert result.document == current_document(STATES[state], call)
        assert result.steps == ()
