"""The machine of a session: its states, and which input may lead from each state to which others.

Everything that may change the state of a session stands in `TRANSITIONS`. `SipStack.admit` looks there before any part
of the agent handles an input, and `SipStack.change_state` makes only a change that the table lists for that input. An
input that the table does not list in a state is refused: the session stays as it is, and the owner is notified.
Source: RFC 3261 §12, §13, §14, §15.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

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
from holdfast.voice.sip.transaction.machines import Purpose, Trigger


class SessionState(Enum):
    """The state of a session."""

    CALLING = "calling"
    """Our INVITE has no final response yet."""
    CANCELLING = "cancelling"
    """Our INVITE is cancelled and has no final response yet."""
    CALLED = "called"
    """The peer's INVITE has no final response from us yet."""
    ANSWERED = "answered"
    """We sent 200; the peer's ACK is due."""
    RUNNING = "running"
    ENDING = "ending"
    """We sent BYE."""
    OVER = "over"
    """The event of its end was emitted. It is kept while a 2xx to our INVITE could still arrive."""


class PeerRequest(Enum):
    """A request of the peer in a session; each is answered, in whatever state it arrives."""

    ACK = "ACK"
    BYE = "BYE"
    CANCEL = "CANCEL"
    INFO = "INFO"
    INVITE = "INVITE"
    NOTIFY = "NOTIFY"
    OPTIONS = "OPTIONS"
    PRACK = "PRACK"
    REFER = "REFER"
    SUBSCRIBE = "SUBSCRIBE"
    UPDATE = "UPDATE"
    OTHER = "another request"

    @classmethod
    def _missing_(cls, value: object) -> PeerRequest:
        return cls.OTHER


class TimerKind(Enum):
    """The timers of a session."""

    REPEAT_OK = "repeat-ok"
    """Our 2xx has no ACK yet: it is sent again."""
    ANSWER = "answer"
    """The owner has left the peer's INVITE unanswered."""
    RING = "ring"
    """Our provisional response is due again."""
    PRACK = "prack"
    """Our provisional response has no PRACK yet: it is sent again."""
    CANCEL = "cancel"
    """Our cancelled INVITE has no final response."""
    GLARE = "glare"
    """The wait after a 491 to our change is over."""
    REOFFER = "reoffer"
    """The owner has left a change of the peer unanswered."""
    REFRESH = "refresh"
    """It is our turn to refresh the session."""
    EXPIRE = "expire"
    """The peer has not refreshed the session."""
    IDLE = "idle"
    """The peer has sent no message for long."""
    REFER = "refer"
    """The owner has left the peer's REFER unanswered."""
    REFERRAL = "referral"
    """The wait after a 491 to our REFER is over."""


SessionInput = type[SessionCommand] | PeerRequest | Trigger | Purpose | TimerKind
"""An input of a session: a command of the owner, a request of the peer, the outcome of our INVITE (1xx, 2xx, or a
failure, timeouts included), the outcome of another request of ours by its purpose, or a timer."""

Followers = Mapping[SessionState, str]
"""The states that may follow, each with its condition; "" where there is no other."""

TOO_LATE = "too late"
"""The condition of an input that has no effect, since the session ends already or has ended."""

_CALLING, _CANCELLING = SessionState.CALLING, SessionState.CANCELLING
_CALLED, _ANSWERED = SessionState.CALLED, SessionState.ANSWERED
_RUNNING, _ENDING, _OVER = SessionState.RUNNING, SessionState.ENDING, SessionState.OVER
_LIVE = tuple(state for state in SessionState if state is not _OVER)
_CHANGEABLE = (_CALLING, _CALLED, _ANSWERED, _RUNNING)
_IN_DIALOG = (Purpose.INFO, Purpose.REFER, Purpose.REFRESH, Purpose.KEEPALIVE)

_Row = tuple[tuple[SessionState, ...], tuple[SessionInput, ...], Mapping[SessionState | None, str]]
"""States, inputs, and what may follow in each of these cells; None is the state of the cell itself."""
_STAYS: Mapping[SessionState | None, str] = {None: ""}
_LATE: Mapping[SessionState | None, str] = {None: TOO_LATE}

_ROWS: tuple[_Row, ...] = (
    # commands of the owner
    ((_CALLING,), (CancelInvite, EndSession), {_CANCELLING: ""}),
    ((_CANCELLING,), (CancelInvite, EndSession), _LATE),
    ((_CALLED,), (SendRinging,), _STAYS),
    ((_CALLED,), (AcceptInvite,), {_ANSWERED: "", None: "a description waits for its PRACK"}),
    ((_CALLED,), (RefuseInvite, EndSession), {_OVER: ""}),
    ((_ANSWERED,), (EndSession,), _STAYS),
    ((_RUNNING,), (EndSession,), {_ENDING: ""}),
    ((_ENDING,), (EndSession,), _LATE),
    ((_RUNNING,), (AcknowledgeOffer, SendDigit, AnswerRefer, NotifyRefer), _STAYS),
    ((_ANSWERED, _RUNNING), (SendRefer,), _STAYS),
    (_CHANGEABLE, (SendReoffer,), _STAYS),
    ((_CALLING, _CANCELLING, _ANSWERED, _RUNNING), (AnswerReoffer, RefuseReoffer), _STAYS),
    ((_CALLED,), (AnswerReoffer, RefuseReoffer), {_ANSWERED: "the 200 waited for it", None: "nothing waited"}),
    (_LIVE, (RecordAudio,), _STAYS),
    # requests of the peer
    ((_ANSWERED,), (PeerRequest.ACK,), {_RUNNING: "", _ENDING: "our BYE waited for it", None: "of another 200"}),
    ((_RUNNING, _ENDING), (PeerRequest.ACK,), _STAYS),
    ((_CALLING, _CANCELLING), (PeerRequest.BYE,), _STAYS),
    ((_CALLED, _ANSWERED, _RUNNING, _ENDING), (PeerRequest.BYE,), {_OVER: ""}),
    ((_CALLED,), (PeerRequest.CANCEL,), {_OVER: ""}),
    ((_ANSWERED,), (PeerRequest.INVITE,), {_RUNNING: "it shows that our 200 arrived", None: "its ACK is needed"}),
    (tuple(state for state in _LIVE if state is not _ANSWERED), (PeerRequest.INVITE,), _STAYS),
    ((_CALLED,), (PeerRequest.PRACK,), {_ANSWERED: "the 200 waited for it", None: "nothing waited"}),
    (tuple(state for state in _LIVE if state is not _CALLED), (PeerRequest.CANCEL, PeerRequest.PRACK), _STAYS),
    (
        _LIVE,
        (
            PeerRequest.UPDATE,
            PeerRequest.INFO,
            PeerRequest.OPTIONS,
            PeerRequest.REFER,
            PeerRequest.NOTIFY,
            PeerRequest.SUBSCRIBE,
            PeerRequest.OTHER,
        ),
        _STAYS,
    ),
    # outcomes of our requests
    ((_CALLING, _CANCELLING), (Trigger.PROVISIONAL,), _STAYS),
    ((_CALLING,), (Trigger.SUCCESS,), {_RUNNING: ""}),
    ((_CANCELLING,), (Trigger.SUCCESS,), {_OVER: ""}),
    ((_RUNNING, _ENDING, _OVER), (Trigger.SUCCESS,), _STAYS),
    ((_CALLING,), (Trigger.FAILURE,), {_OVER: "", None: "the INVITE is sent again"}),
    ((_CANCELLING,), (Trigger.FAILURE,), {_OVER: ""}),
    ((_CALLING, _CALLED, _ANSWERED, _ENDING, _OVER), (Purpose.REOFFER,), _STAYS),
    ((_RUNNING,), (Purpose.REOFFER, *_IN_DIALOG), {None: "", _OVER: "the peer is lost"}),
    ((_CANCELLING,), (Purpose.REOFFER,), _LATE),
    ((_ENDING, _OVER), _IN_DIALOG, _LATE),
    ((_ENDING,), (Purpose.BYE,), {_OVER: "", None: "the BYE is sent again"}),
    ((_OVER,), (Purpose.BYE,), _LATE),
    # timers
    ((_ANSWERED, _RUNNING), (TimerKind.REPEAT_OK,), {None: "the 2xx is sent again", _OVER: "no ACK"}),
    ((_CALLED,), (TimerKind.ANSWER,), {_OVER: ""}),
    ((_CALLED,), (TimerKind.RING,), _STAYS),
    ((_CALLED,), (TimerKind.PRACK,), {None: "the response is sent again", _OVER: "no PRACK"}),
    ((_CANCELLING,), (TimerKind.CANCEL,), {_OVER: ""}),
    ((_CALLED,), (TimerKind.REOFFER,), {_ANSWERED: "the 200 waited for it", None: "nothing waited"}),
    ((_CALLING, _CANCELLING, _ANSWERED, _RUNNING), (TimerKind.REOFFER,), _STAYS),
    ((_RUNNING,), (TimerKind.GLARE, TimerKind.REFRESH, TimerKind.IDLE, TimerKind.REFER, TimerKind.REFERRAL), _STAYS),
    ((_RUNNING,), (TimerKind.EXPIRE,), {_OVER: ""}),
)


def _cells(rows: Iterable[_Row]) -> dict[tuple[SessionState, SessionInput], Followers]:
    """Return one entry for each cell of the rows."""
    return {
        (state, each): {after or state: condition for after, condition in followers.items()}
        for states, inputs, followers in rows
        for state in states
        for each in inputs
    }


TRANSITIONS: Mapping[tuple[SessionState, SessionInput], Followers] = _cells(_ROWS)


def word_of(each: SessionInput) -> str:
    """Return the name of an input, for the log and the drawing."""
    if isinstance(each, Purpose):
        return f"outcome of our {each.value}"
    if isinstance(each, Trigger):
        return f"{each.value} to our INVITE"
    if isinstance(each, TimerKind):
        return f"timer {each.value}"
    return each.value if isinstance(each, PeerRequest) else each.__name__
