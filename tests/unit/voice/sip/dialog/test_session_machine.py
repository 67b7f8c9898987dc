"""Every cell of the table of sessions: what each input does in each state."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_machine import (
    TOO_LATE,
    TRANSITIONS,
    PeerRequest,
    SessionInput,
    SessionState,
    TimerKind,
    word_of,
)
from holdfast.voice.sip.dialog.session_state import (
    EarlyDialog,
    OwnReoffer,
    PeerReoffer,
    PendingOk,
    PendingProvisional,
    Session,
)
from holdfast.voice.sip.dispatch import command_dispatch, response_dispatch
from holdfast.voice.sip.dispatch.uas import UserAgentServer
from holdfast.voice.sip.effects import Headers, InputRefused, SessionId
from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.digest import DigestCredentials
from holdfast.voice.sip.message.message import Request, respond
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AcknowledgeOffer,
    AnswerRefer,
    AnswerReoffer,
    CancelInvite,
    EndSession,
    NotifyRefer,
    RecordAudio,
    RefuseInvite,
    RefuseReoffer,
    SendDigit,
    SendRefer,
    SendReoffer,
    SendRinging,
    SessionCommand,
)
from holdfast.voice.sip.settings import AgentSettings, AllowEveryCall
from holdfast.voice.sip.stack import SipStack
from holdfast.voice.sip.transaction.machines import Machine, Purpose, State, Transaction, Trigger
from tests.unit.voice.sip.wire import ANSWER, BOB, PROXY, SDP, FixedRandom, encode, invite

S = SessionId("s")
CALLING, CANCELLING, CALLED = SessionState.CALLING, SessionState.CANCELLING, SessionState.CALLED
ANSWERED, RUNNING, ENDING, OVER = SessionState.ANSWERED, SessionState.RUNNING, SessionState.ENDING, SessionState.OVER
COMMANDS: dict[type[SessionCommand], SessionCommand] = {
    type(command): command
    for command in (
        AcknowledgeOffer(sdp=SDP),
        CancelInvite(),
        SendRinging(),
        AcceptInvite(sdp=ANSWER),
        RefuseInvite(status=486),
        EndSession(),
        SendReoffer(sdp=SDP),
        AnswerReoffer(sdp=ANSWER),
        RefuseReoffer(status=488),
        SendDigit(digit="5"),
        RecordAudio(),
        SendRefer(target="sip:carol@10.0.0.9"),
        AnswerRefer(status=202),
        NotifyRefer(status=200),
    )
}
OUTCOMES = (Purpose.REOFFER, Purpose.BYE, Purpose.INFO, Purpose.REFER, Purpose.REFRESH, Purpose.KEEPALIVE)
INPUTS: tuple[SessionInput, ...] = (
    *COMMANDS,
    *PeerRequest,
    *(Trigger.PROVISIONAL, Trigger.SUCCESS, Trigger.FAILURE),
    *OUTCOMES,
    *TimerKind,
)
CELLS = list(itertools.product(SessionState, INPUTS))
CHALLENGE = (("WWW-Authenticate", 'Digest realm="far", nonce="n", algorithm=MD5'),)
CREDENTIALS = DigestCredentials(user="us", password="secret")


def name_of(cell: tuple[SessionState, SessionInput]) -> str:
    return f"{cell[0].value}: {word_of(cell[1])}"


def request(**given: Any) -> Request:
    message = decode(encode(invite("Content-Type: application/sdp", **{"body": SDP.decode()} | given)))
    assert isinstance(message, Request)
    return message


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way in which an input arrives: what the session holds, and the response to our request."""

    holds: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: Headers = ()


DUE = PendingOk(cseq=1, transaction="gone", interval_s=0.5, waited_s=0.0, offered=False, initial=True)
WAITS = PendingProvisional(rseq=1, interval_s=0.5, waited_s=0.0, described=True)
ACCEPTS: dict[str, Any] = {"accept_due": (ANSWER, ())}
CHANGE = PeerReoffer(transaction="gone", method="PRACK", cseq=2, offerless=False)
OWN = OwnReoffer(transaction="change", sdp=SDP)
BOTH = (Case(holds=ACCEPTS | {"peer_reoffer": CHANGE}), Case(holds={"peer_reoffer": replace(CHANGE, method="UPDATE")}))
LOST = (Case(), Case(status=481))
CASES: dict[tuple[SessionState, SessionInput], tuple[Case, ...]] = {
    (CALLED, AcceptInvite): (Case(), Case(holds={"pending_provisional": WAITS})),
    (CALLED, AnswerReoffer): BOTH,
    (CALLED, RefuseReoffer): BOTH,
    (CALLED, TimerKind.REOFFER): BOTH,
    (CALLED, PeerRequest.PRACK): (Case(holds=ACCEPTS | {"pending_provisional": WAITS}), Case()),
    (ANSWERED, PeerRequest.ACK): (
        Case(),
        Case(holds={"bye_due": True}),
        Case(holds={"pending_ok": replace(DUE, cseq=9)}),
    ),
    (ANSWERED, PeerRequest.INVITE): (Case(), Case(holds={"bye_due": True})),
    (CALLING, Trigger.PROVISIONAL): (Case(status=180),),
    (CANCELLING, Trigger.PROVISIONAL): (Case(status=180),),
    (CALLING, Trigger.FAILURE): (Case(status=486), Case(status=401, headers=CHALLENGE)),
    (CANCELLING, Trigger.FAILURE): (Case(status=487),),
    (ENDING, Purpose.BYE): (Case(), Case(status=401, headers=CHALLENGE)),
    (RUNNING, Purpose.REOFFER): (Case(holds={"own_reoffer": OWN}), Case(holds={"own_reoffer": OWN}, status=481)),
    (RUNNING, Purpose.INFO): LOST,
    (RUNNING, Purpose.REFER): LOST,
    (RUNNING, Purpose.REFRESH): LOST,
    (RUNNING, Purpose.KEEPALIVE): LOST,
    (ANSWERED, TimerKind.REPEAT_OK): (Case(), Case(holds={"pending_ok": replace(DUE, waited_s=31.5)})),
    (RUNNING, TimerKind.REPEAT_OK): (
        Case(holds={"pending_ok": replace(DUE, initial=False)}),
        Case(holds={"pending_ok": replace(DUE, initial=False, waited_s=31.5)}),
    ),
    (CALLED, TimerKind.PRACK): (
        Case(holds={"pending_provisional": WAITS}),
        Case(holds={"pending_provisional": replace(WAITS, waited_s=31.5)}),
    ),
    (RUNNING, TimerKind.GLARE): (Case(holds={"own_reoffer": replace(OWN, transaction="", backing_off=True)}),),
}


class Scene:
    """A stack with one session in a state, and its first INVITE."""

    def __init__(self, state: SessionState, case: Case) -> None:
        settings = AgentSettings(address=BOB, secret=b"k", keepalive_s=20)
        self.stack = SipStack(settings, FixedRandom())
        self.uas = UserAgentServer(self.stack, AllowEveryCall())
        self.case = case
        self.we_called = state in (CALLING, CANCELLING, OVER)
        first = request(from_tag="ours") if self.we_called else request()
        if self.we_called:
            key = self.stack.request(first, PROXY, purpose=Purpose.INVITE, session=S)
            dialog = dialogs.as_caller(first, respond(first, 180, tag="ptag"), PROXY)
        else:
            key = self.stack.begin_server_transaction(first, PROXY, S)
            dialog = dialogs.as_callee(first, "ours", PROXY)
        self.first = first
        session = Session(
            id=S,
            state=state,
            invite=first,
            transaction=key,
            peer=PROXY,
            we_called=self.we_called,
            local_tag="ours",
            dialog=None if self.we_called else dialog,
            credentials=CREDENTIALS,
            pending_ok=DUE if state is ANSWERED else None,
            has_provisional=True,
        )
        self.stack.index_dialog(replace(session, **case.holds))
        if state in (CALLING, CANCELLING):
            self.stack.index_early_dialog(self.stack.sessions[S], EarlyDialog(dialog=dialog))
        self.stack.drain()

    @property
    def state(self) -> SessionState:
        """The session's state; one that is gone is over."""
        found = self.stack.sessions.get(S)
        return OVER if found is None else found.state

    def feed(self, received: SessionInput) -> None:
        """Let the input arrive, as the agent passes it on."""
        match received:
            case PeerRequest():
                self._receive(received)
            case Trigger() | Purpose():
                transaction = self._transaction(received)
                made = respond(transaction.request, self.case.status, tag="ptag", headers=self.case.headers)
                response_dispatch.handle_response(self.stack, {}, transaction, made, PROXY)
            case TimerKind():
                response_dispatch.handle_session_timer(self.stack, received, S)
            case command:
                found = self.stack.admit(S, command)
                if found is not None:
                    command_dispatch.handle_command(self.stack, found, COMMANDS[command])

    def time_out(self, received: Trigger | Purpose) -> None:
        """Let the request that the input is the outcome of time out."""
        transaction = self._transaction(received)
        self.stack.transactions[transaction.key] = transaction
        timer = Trigger.TIMER_B if transaction.machine is Machine.INVITE_CLIENT else Trigger.TIMER_F
        response_dispatch.handle_transaction_timer(self.stack, {}, timer, transaction.key)

    def _transaction(self, received: Trigger | Purpose) -> Transaction:
        """Return our request in the session."""
        if isinstance(received, Trigger):
            made, purpose = self.first, Purpose.INVITE
        else:
            method = "INVITE" if received is Purpose.REOFFER else "OPTIONS"
            made, purpose = request(method=method, from_tag="ours", to_tag="ptag", cseq=7), received
        is_invite = made.method == "INVITE"
        return Transaction(
            key="change",
            machine=Machine.INVITE_CLIENT if is_invite else Machine.CLIENT,
            state=State.CALLING if is_invite else State.TRYING,
            request=made,
            peer=PROXY,
            session=S,
            purpose=purpose,
        )

    def _receive(self, kind: PeerRequest) -> None:
        method = "PUBLISH" if kind is PeerRequest.OTHER else kind.value
        given: dict[str, Any] = {"method": method, "branch": "z9hG4bKnext", "to_tag": "ours", "cseq": 2}
        if kind is PeerRequest.ACK:
            given |= {"cseq": 1}
        elif kind is PeerRequest.CANCEL and self.we_called:
            # Only a refused re-INVITE of the peer can be cancelled before the answer.
            self.stack.begin_server_transaction(request(branch="z9hG4bKnext", to_tag="ours", cseq=2), PROXY, S)
        elif kind is PeerRequest.CANCEL:
            given |= {"branch": "z9hG4bKpeer1", "cseq": 1}
        rack = () if kind is not PeerRequest.PRACK else ("RAck: 1 1 INVITE",)
        data = encode(invite(*rack, "Event: refer", "Refer-To: <sip:c@10.0.0.9>", **given))
        message = decode(data)
        assert isinstance(message, Request)
        self.uas.handle_request(message, data, PROXY)


def listed() -> Iterator[tuple[SessionState, SessionInput]]:
    yield from (cell for cell in CELLS if cell in TRANSITIONS)


def is_late(cell: tuple[SessionState, SessionInput]) -> bool:
    return TOO_LATE in TRANSITIONS[cell].values()


def test_the_table_lists_no_input_that_this_test_does_not_know() -> None:
    assert set(TRANSITIONS) <= set(CELLS)
    reached = {after for (before, _), followers in TRANSITIONS.items() for after in followers if after is not before}
    assert set(SessionState) - reached == {CALLING, CALLED}, "a session begins with an INVITE, ours or the peer's"


def test_a_state_that_may_follow_is_the_only_one_or_has_a_condition() -> None:
    """A condition may be missing for the usual one of several states, and for no other."""
    for followers in TRANSITIONS.values():
        assert list(followers.values()).count("") <= 1


@pytest.mark.parametrize("cell", list(listed()), ids=name_of)
def test_a_listed_input_leads_to_each_listed_state_and_to_no_other(cell: tuple[SessionState, SessionInput]) -> None:
    state, received = cell
    reached = set()
    for case in CASES.get(cell, (Case(),)):
        scene = Scene(state, case)
        before = scene.stack.sessions[S]
        scene.feed(received)
        reached.add(scene.state)
        effects = scene.stack.drain()
        assert not any(isinstance(effect, InputRefused) for effect in effects)
        if is_late(cell):
            assert (scene.stack.sessions[S], effects) == (before, [])
    assert reached == set(TRANSITIONS[cell])


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in TRANSITIONS], ids=name_of)
def test_an_input_that_is_not_listed_is_refused_and_changes_nothing(cell: tuple[SessionState, SessionInput]) -> None:
    state, received = cell
    scene = Scene(state, Case())
    before = dict(scene.stack.sessions)
    assert scene.stack.admit(S, received) is None
    assert scene.stack.sessions == before
    assert scene.stack.drain() == [InputRefused(session=S, state=state.value, received=word_of(received))]


@pytest.mark.parametrize("received", [Trigger.FAILURE, *OUTCOMES], ids=word_of)
@pytest.mark.parametrize("state", list(SessionState))
def test_a_request_that_times_out_ends_in_a_listed_state(state: SessionState, received: Trigger | Purpose) -> None:
    scene = Scene(state, CASES.get((state, received), (Case(),))[0])
    scene.time_out(received)
    assert scene.state in TRANSITIONS.get((state, received), {state: ""})


def test_an_input_of_a_session_that_is_gone_has_no_effect() -> None:
    scene = Scene(RUNNING, Case())
    assert scene.stack.admit(SessionId("gone"), EndSession) is None
    assert scene.stack.drain() == []
