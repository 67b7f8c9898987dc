"""The four transaction machines: which messages are repeated, absorbed or passed up, and for how long.

Each machine is a table, `TRANSITIONS`, from (state, trigger) to state; a trigger that the table does not list in a
state is absorbed. `step` adds the messages to send and the timers to run. Timers have the RFC's letters.
Source: RFC 3261 §17 and its table 4; RFC 6026 §7, §8.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from holdfast.voice.sip.effects import Address, SessionId
from holdfast.voice.sip.message.message import Request, Response, request

T1_S = 0.5
"""The estimated round-trip time."""
T2_S = 4.0
"""The longest interval between repetitions of a request other than INVITE, and of a response to INVITE."""
T4_S = 5.0
"""The longest time that a message stays in the network."""
TIMEOUT_S = 64 * T1_S
"""Timers B, F, H, J, L, M; D is at least that."""


class Machine(Enum):
    """The kind of a transaction."""

    INVITE_CLIENT = "INVITE client"
    CLIENT = "client"
    INVITE_SERVER = "INVITE server"
    SERVER = "server"


class State(Enum):
    """The states of transactions, named as in the RFC's figures."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    ACCEPTED = "Accepted"
    CONFIRMED = "Confirmed"
    TERMINATED = "Terminated"


class Trigger(Enum):
    """The events of a transaction. A client receives the responses, a server sends them."""

    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    REQUEST = "the request again"
    ACK = "ACK"
    TIMER_A = "A"
    TIMER_B = "B"
    TIMER_D = "D"
    TIMER_E = "E"
    TIMER_F = "F"
    TIMER_G = "G"
    TIMER_H = "H"
    TIMER_I = "I"
    TIMER_J = "J"
    TIMER_K = "K"
    TIMER_L = "L"
    TIMER_M = "M"


TRANSITIONS: dict[Machine, dict[tuple[State, Trigger], State]] = {
    Machine.INVITE_CLIENT: {
        (State.CALLING, Trigger.TIMER_A): State.CALLING,
        (State.CALLING, Trigger.TIMER_B): State.TERMINATED,
        (State.CALLING, Trigger.PROVISIONAL): State.PROCEEDING,
        (State.CALLING, Trigger.SUCCESS): State.ACCEPTED,
        (State.CALLING, Trigger.FAILURE): State.COMPLETED,
        (State.PROCEEDING, Trigger.PROVISIONAL): State.PROCEEDING,
        (State.PROCEEDING, Trigger.SUCCESS): State.ACCEPTED,
        (State.PROCEEDING, Trigger.FAILURE): State.COMPLETED,
        (State.COMPLETED, Trigger.FAILURE): State.COMPLETED,
        (State.COMPLETED, Trigger.TIMER_D): State.TERMINATED,
        (State.ACCEPTED, Trigger.SUCCESS): State.ACCEPTED,
        (State.ACCEPTED, Trigger.TIMER_M): State.TERMINATED,
    },
    Machine.CLIENT: {
        (State.TRYING, Trigger.TIMER_E): State.TRYING,
        (State.TRYING, Trigger.TIMER_F): State.TERMINATED,
        (State.TRYING, Trigger.PROVISIONAL): State.PROCEEDING,
        (State.TRYING, Trigger.SUCCESS): State.COMPLETED,
        (State.TRYING, Trigger.FAILURE): State.COMPLETED,
        (State.PROCEEDING, Trigger.TIMER_E): State.PROCEEDING,
        (State.PROCEEDING, Trigger.TIMER_F): State.TERMINATED,
        (State.PROCEEDING, Trigger.PROVISIONAL): State.PROCEEDING,
        (State.PROCEEDING, Trigger.SUCCESS): State.COMPLETED,
        (State.PROCEEDING, Trigger.FAILURE): State.COMPLETED,
        (State.COMPLETED, Trigger.TIMER_K): State.TERMINATED,
    },
    Machine.INVITE_SERVER: {
        (State.PROCEEDING, Trigger.REQUEST): State.PROCEEDING,
        (State.PROCEEDING, Trigger.PROVISIONAL): State.PROCEEDING,
        (State.PROCEEDING, Trigger.SUCCESS): State.ACCEPTED,
        (State.PROCEEDING, Trigger.FAILURE): State.COMPLETED,
        (State.COMPLETED, Trigger.REQUEST): State.COMPLETED,
        (State.COMPLETED, Trigger.TIMER_G): State.COMPLETED,
        (State.COMPLETED, Trigger.TIMER_H): State.TERMINATED,
        (State.COMPLETED, Trigger.ACK): State.CONFIRMED,
        (State.CONFIRMED, Trigger.TIMER_I): State.TERMINATED,
        (State.ACCEPTED, Trigger.TIMER_L): State.TERMINATED,
    },
    Machine.SERVER: {
        (State.TRYING, Trigger.PROVISIONAL): State.PROCEEDING,
        (State.TRYING, Trigger.SUCCESS): State.COMPLETED,
        (State.TRYING, Trigger.FAILURE): State.COMPLETED,
        (State.PROCEEDING, Trigger.REQUEST): State.PROCEEDING,
        (State.PROCEEDING, Trigger.PROVISIONAL): State.PROCEEDING,
        (State.PROCEEDING, Trigger.SUCCESS): State.COMPLETED,
        (State.PROCEEDING, Trigger.FAILURE): State.COMPLETED,
        (State.COMPLETED, Trigger.REQUEST): State.COMPLETED,
        (State.COMPLETED, Trigger.TIMER_J): State.TERMINATED,
    },
}


class Purpose(Enum):
    """The purpose of a client transaction, by which its outcome is dispatched."""

    INVITE = "INVITE"
    REOFFER = "re-INVITE"
    BYE = "BYE"
    CANCEL = "CANCEL"
    INFO = "INFO"
    REFER = "REFER"
    REFRESH = "UPDATE that refreshes"
    KEEPALIVE = "OPTIONS in a dialog"
    REGISTER = "REGISTER"
    OPTIONS = "OPTIONS"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One transaction. `last` is the message it repeats: a client's request or its ACK, a server's response."""

    key: str
    machine: Machine
    state: State
    request: Request
    peer: Address
    reliable: bool = False
    """Whether it began over a transport that delivers by itself: then no message is repeated."""
    last: bytes = b""
    interval_s: float = T1_S
    session: SessionId | None = None
    purpose: Purpose = Purpose.NOTHING
    subject: str = ""
    """The registration or ping that waits for the outcome, outside sessions."""
    attempt: int = 0
    """The number of challenges that this request answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionStep:
    """The outcome of one trigger: the new state, bytes to send, timers to run, and whether it is passed up.

    Invariant: in TERMINATED no timer runs, and none is started.
    """

    transaction: Transaction
    sends: tuple[bytes, ...] = ()
    repeated: bool = False
    """Whether `sends` repeats earlier bytes."""
    starts: tuple[tuple[Trigger, float], ...] = ()
    stops: tuple[Trigger, ...] = ()
    notifies: bool = False


def client_key(branch: str, method: str) -> str:
    """Return the key of the client transaction of a response. Source: RFC 3261 §17.1.3."""
    return f"c {branch} {method}"


def server_key(received: Request) -> str:
    """Return the key of the server transaction of a request; an ACK has that of its INVITE.

    Source: RFC 3261 §17.2.3, and its last paragraphs for branches without the magic cookie.
    """
    method = "INVITE" if received.method == "ACK" else received.method
    via = received.via
    if via.branch.startswith("z9hG4bK") and via.branch != "z9hG4bK":
        return f"s {via.branch} {via.sent_by} {method}"
    return f"s - {via.sent_by} {received.call_id} {received.from_.tag} {received.cseq} {method}"


def begin_client(begun: Transaction) -> TransactionStep:
    """Send the request for the first time."""
    invite = begun.machine is Machine.INVITE_CLIENT
    repeat, give_up = (Trigger.TIMER_A, Trigger.TIMER_B) if invite else (Trigger.TIMER_E, Trigger.TIMER_F)
    begun = replace(begun, last=begun.request.encode())
    repeats = () if begun.reliable else ((repeat, T1_S),)
    return TransactionStep(transaction=begun, sends=(begun.last,), starts=(*repeats, (give_up, TIMEOUT_S)))


def step(before: Transaction, trigger: Trigger, response: Response | None = None) -> TransactionStep:
    """Apply a trigger to a transaction. The three response triggers come with their response."""
    state = TRANSITIONS[before.machine].get((before.state, trigger))
    if state is None:
        return TransactionStep(transaction=before)
    after = replace(before, state=state)
    match before.machine:
        case Machine.INVITE_CLIENT:
            return _invite_client(before, after, trigger, response)
        case Machine.CLIENT:
            return _client(before, after, trigger)
        case Machine.INVITE_SERVER:
            return _invite_server(before, after, trigger, response)
        case Machine.SERVER:
            return _server(before, after, trigger, response)
        case _:
            assert_never(before.machine)


def _invite_client(
    before: Transaction, after: Transaction, trigger: Trigger, response: Response | None
) -> TransactionStep:
    waiting = (Trigger.TIMER_A, Trigger.TIMER_B)
    match trigger:
        case Trigger.TIMER_A:
            return _repeat(after, trigger, before.interval_s * 2)
        case Trigger.TIMER_B:
            return TransactionStep(transaction=after, stops=(Trigger.TIMER_A,), notifies=True)
        case Trigger.PROVISIONAL:
            return TransactionStep(transaction=after, stops=waiting, notifies=True)
        case Trigger.SUCCESS if before.state is State.ACCEPTED:
            return TransactionStep(transaction=after, notifies=True)
        case Trigger.SUCCESS:
            return TransactionStep(
                transaction=after, stops=waiting, starts=((Trigger.TIMER_M, TIMEOUT_S),), notifies=True
            )
        case Trigger.FAILURE if before.state is State.COMPLETED:
            return TransactionStep(transaction=after, sends=(before.last,), repeated=True)
        case Trigger.FAILURE if response is not None:
            after = replace(after, last=acknowledge_failure(before.request, response).encode())
            linger = T4_S if before.reliable else TIMEOUT_S
            starts = ((Trigger.TIMER_D, linger),)
            return TransactionStep(transaction=after, sends=(after.last,), stops=waiting, starts=starts, notifies=True)
        case _:
            return TransactionStep(transaction=after)


def _repeat(after: Transaction, timer: Trigger, longer_s: float) -> TransactionStep:
    """Send the last message again, and run its timer for the longer interval."""
    after = replace(after, interval_s=longer_s)
    return TransactionStep(transaction=after, sends=(after.last,), repeated=True, starts=((timer, longer_s),))


def _client(before: Transaction, after: Transaction, trigger: Trigger) -> TransactionStep:
    waiting = (Trigger.TIMER_E, Trigger.TIMER_F)
    match trigger:
        case Trigger.TIMER_E:
            longer = T2_S if before.state is State.PROCEEDING else min(before.interval_s * 2, T2_S)
            return _repeat(after, trigger, longer)
        case Trigger.TIMER_F:
            return TransactionStep(transaction=after, stops=(Trigger.TIMER_E,), notifies=True)
        case Trigger.PROVISIONAL:
            return TransactionStep(transaction=after)
        case Trigger.SUCCESS | Trigger.FAILURE:
            linger = 0.0 if before.reliable else T4_S
            return TransactionStep(transaction=after, stops=waiting, starts=((Trigger.TIMER_K, linger),), notifies=True)
        case _:
            return TransactionStep(transaction=after)


def _invite_server(
    before: Transaction, after: Transaction, trigger: Trigger, response: Response | None
) -> TransactionStep:
    sends = () if response is None else (response.encode(),)
    match trigger:
        case Trigger.REQUEST:
            return TransactionStep(transaction=after, sends=(before.last,) if before.last else (), repeated=True)
        case Trigger.PROVISIONAL if sends:
            return TransactionStep(transaction=replace(after, last=sends[0]), sends=sends)
        case Trigger.SUCCESS if sends and before.state is State.PROCEEDING:
            after = replace(after, last=sends[0])
            return TransactionStep(transaction=after, sends=sends, starts=((Trigger.TIMER_L, TIMEOUT_S),))
        case Trigger.FAILURE if sends:
            repeats = () if before.reliable else ((Trigger.TIMER_G, T1_S),)
            return TransactionStep(
                transaction=replace(after, last=sends[0], interval_s=T1_S),
                sends=sends,
                starts=(*repeats, (Trigger.TIMER_H, TIMEOUT_S)),
            )
        case Trigger.TIMER_G:
            return _repeat(after, trigger, min(before.interval_s * 2, T2_S))
        case Trigger.TIMER_H:
            return TransactionStep(transaction=after, stops=(Trigger.TIMER_G,))
        case Trigger.ACK:
            linger = 0.0 if before.reliable else T4_S
            stops = (Trigger.TIMER_G, Trigger.TIMER_H)
            return TransactionStep(transaction=after, stops=stops, starts=((Trigger.TIMER_I, linger),))
        case _:
            return TransactionStep(transaction=after)


def _server(before: Transaction, after: Transaction, trigger: Trigger, response: Response | None) -> TransactionStep:
    sends = () if response is None else (response.encode(),)
    match trigger:
        case Trigger.REQUEST:
            return TransactionStep(transaction=after, sends=(before.last,), repeated=True)
        case Trigger.PROVISIONAL if sends:
            return TransactionStep(transaction=replace(after, last=sends[0]), sends=sends)
        case Trigger.SUCCESS | Trigger.FAILURE if sends:
            linger = 0.0 if before.reliable else TIMEOUT_S
            starts = ((Trigger.TIMER_J, linger),)
            return TransactionStep(transaction=replace(after, last=sends[0]), sends=sends, starts=starts)
        case _:
            return TransactionStep(transaction=after)


def trigger_of(status: int) -> Trigger:
    """Return the response trigger of a status."""
    if status < 200:
        return Trigger.PROVISIONAL
    return Trigger.SUCCESS if status < 300 else Trigger.FAILURE


def acknowledge_failure(invite: Request, response: Response) -> Request:
    """Make the ACK of a final response other than 2xx, on the path of the INVITE.

    Source: RFC 3261 §17.1.1.3.
    """
    top_via = next(value for name, value in invite.headers if name == "Via")
    routes = [(name, value) for name, value in invite.headers if name == "Route"]
    headers = (
        ("Via", top_via),
        *routes,
        ("Max-Forwards", "70"),
        ("From", invite.from_.text),
        ("To", response.to.text),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{invite.cseq} ACK"),
    )
    return request("ACK", invite.uri, headers)
