"""The two acts: the holds and resumes they request, and what each party should hear then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from holdfast.holds.errors import HoldsError
from holdfast.testing.calls import CallFailed
from holdfast.testing.clock import now_s
from holdfast.testing.demo.stage import AGENT_LINE, AGENT_PASSWORD, MEETING, SUPPORT, DemoStage
from holdfast.testing.demo.story import Act, Phase
from holdfast.testing.phone import NotHeard, Phone
from holdfast.testing.signals import ALICE, BOB, HOLD_MUSIC, SECOND_MUSIC, Chord

CUSTOMER, AGENT = ALICE.named("customer"), BOB.named("agent")
SOUNDS = (CUSTOMER, AGENT, HOLD_MUSIC, SECOND_MUSIC)
PARTIES = (CUSTOMER.name, AGENT.name)

HEAR_TIMEOUT_S = 4.0

TALK = {CUSTOMER.name: AGENT.name, AGENT.name: CUSTOMER.name}


def conference_act(*, listen_s: float) -> Act:
    """Return the act in which both parties call in and meet in a conference, the way that Twilio recommends."""
    how = "both called in and met in a conference"
    return Act(title="Act 1, conference", how=how, parties=PARTIES, listen_s=listen_s)


def legs_act(*, listen_s: float) -> Act:
    """Return the act in which the customer calls in, and the agent is the child that its call dials."""
    how = "the customer called in, the agent is the dialled child"
    return Act(title="Act 2, independent legs", how=how, parties=PARTIES, listen_s=listen_s)


async def play_conference(act: Act, stage: DemoStage) -> None:
    """Hold the customer with an MP3, resume, hold with a TwiML document, resume."""
    async with _phones(act, stage, register_agent=False) as (customer, agent):
        for phone in (customer, agent):
            await (await phone.call(MEETING)).answered()
        held = await stage.call_of(CUSTOMER.name, MEETING)
        await _phase(act, "talk", TALK, customer, agent)
        for title, resume_title, music, sound in (
            ("hold customer, MP3", "resume", stage.mp3_url, HOLD_MUSIC.name),
            ("hold customer, TwiML", "resume again", stage.twiml_url, SECOND_MUSIC.name),
        ):
            _begin(act, title, {CUSTOMER.name: sound, AGENT.name: "silence"}, held=CUSTOMER.name)
            hold = await stage.holds.hold(held, music=music, by=AGENT.name)
            await _listen(act, customer, agent)
            _begin(act, resume_title, TALK)
            await stage.holds.resume(hold, by=AGENT.name)
            await _listen(act, customer, agent)


async def play_legs(act: Act, stage: DemoStage) -> None:
    """Hold the customer, resume, hold the agent, resume."""
    async with _phones(act, stage, register_agent=True) as (customer, agent):
        await (await customer.call(SUPPORT)).answered()
        await (await agent.called()).answered()
        parent = await stage.call_of(CUSTOMER.name, SUPPORT)
        child = await stage.child_of(parent)
        await stage.holds.adopt(parent, child)
        await _phase(act, "talk", TALK, customer, agent)
        for title, resume_title, party, other, call in (
            ("hold customer", "resume", CUSTOMER.name, AGENT.name, parent),
            ("hold agent", "resume again", AGENT.name, CUSTOMER.name, child),
        ):
            _begin(act, title, {party: HOLD_MUSIC.name, other: "silence"}, held=party)
            hold = await stage.holds.hold(call, music=stage.mp3_url, by=other)
            await _listen(act, customer, agent)
            _begin(act, resume_title, TALK)
            await stage.holds.resume(hold, by=other)
            await _listen(act, customer, agent)


@asynccontextmanager
async def _phones(act: Act, stage: DemoStage, *, register_agent: bool) -> AsyncIterator[tuple[Phone, Phone]]:
    """Provide the two phones of an act; an error between them becomes the act's failure."""
    try:
        async with (
            _phone(act, stage, CUSTOMER) as customer,
            _phone(act, stage, AGENT, password=AGENT_PASSWORD if register_agent else None) as agent,
        ):
            if register_agent:
                await agent.register()
            yield customer, agent
            act.phases[-1] = replace(act.phases[-1], until_s=now_s())
    except (HoldsError, CallFailed, TimeoutError, LookupError) as error:
        act.failure = f"{type(error).__name__}: {error}"
        if act.phases:
            act.phases[-1] = replace(act.phases[-1], until_s=now_s())


@asynccontextmanager
async def _phone(act: Act, stage: DemoStage, hum: Chord, password: str | None = None) -> AsyncIterator[Phone]:
    user = AGENT_LINE if password is not None else hum.name
    async with Phone(hum.name, server=stage.server.sip, hum=hum, sounds=SOUNDS, user=user, password=password) as phone:
        act.ears[hum.name], act.phones[hum.name] = phone.ear, phone
        yield phone


async def _phase(act: Act, title: str, expected: Mapping[str, str], customer: Phone, agent: Phone) -> None:
    _begin(act, title, expected)
    await _listen(act, customer, agent)


def _begin(act: Act, title: str, expected: Mapping[str, str], *, held: str | None = None) -> None:
    """End the current phase, and begin the next one, whose hold or resume is requested now."""
    asked_s = now_s()
    if act.phases:
        act.phases[-1] = replace(act.phases[-1], until_s=asked_s)
    act.phases.append(Phase(title=title, asked_s=asked_s, until_s=float("inf"), expected=expected, held=held))
    act.held = held


async def _listen(act: Act, *phones: Phone) -> None:
    """Wait until the phase is heard. If it is not, the act goes on all the same, and the verdict reports it."""
    expected = act.phases[-1].expected
    for phone in phones:
        try:
            await phone.hears(expected[phone.name], within_s=HEAR_TIMEOUT_S)
        except NotHeard:
            break
    await asyncio.sleep(act.listen_s)
