"""The statuses of calls, conferences, participants and recordings, each with its table of events.

A table says for a status and the type of a message which statuses may follow, each with its condition ("" where there
is no other). To stay in a status is listed too. What a table does not list is refused: the noun stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, get_args

from holdfast.voice.model.commands import (
    AnnounceToRoom,
    ChangeCall,
    ChangeParticipant,
    ChangeRecording,
    CreateCall,
    DeleteRecording,
    EndCall,
    EndRoom,
    ReceiveCall,
    RecordCall,
    RedirectCall,
    RemoveParticipant,
    ReserveParticipant,
)
from holdfast.voice.model.facts import (
    CaptureBegan,
    CaptureEnded,
    CaptureFact,
    CaptureQuiet,
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
    LegSpeaks,
    MemberLost,
    MemberPrepared,
    MemberReached,
    NounFact,
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
from holdfast.voice.model.internal_commands import (
    BeginRecording,
    Bridge,
    CallChild,
    EndRecording,
    EnterConference,
    LeaveRoom,
    NoteAnnounced,
    NoteAnnouncing,
    NoteParticipant,
    NotePhoneHold,
    RefuseEntry,
    ReleaseChild,
    RunOwnDocument,
    StartScript,
    StopScript,
)

# --- calls ------------------------------------------------------------------------------------------------


class CallStatus(StrEnum):
    """The status of a call is one of Twilio's words. Source: Twilio API, Call `status`."""

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"
    FAILED = "failed"


FINAL: Final = frozenset(
    {CallStatus.COMPLETED, CallStatus.BUSY, CallStatus.NO_ANSWER, CallStatus.CANCELED, CallStatus.FAILED}
)

RestCallCommand = RedirectCall | EndCall | ChangeCall | RecordCall
LegChange = LegRinging | LegAnswered | LegRefused | LegEnded | PhoneHeld | HolderSounds | PhoneResumed
TokenFact = TimerFired | DocumentFetched | DocumentFetchFailed | SoundEnded | SoundFailed
"""The facts that name a token, and not a call."""
VerbFact = NounFact | LegReferred | ReferralNotified
"""The facts that only the running verb of a call's own document handles."""
CallMessage = (
    RestCallCommand
    | ReleaseChild
    | RunOwnDocument
    | StartScript
    | StopScript
    | LegChange
    | TokenFact
    | DigitPressed
    | PhoneRefers
    | VerbFact
)
CallTable = Mapping[tuple[CallStatus, type[CallMessage]], Mapping[CallStatus, str]]

_SIGNALLING: tuple[type[CallMessage], ...] = (PhoneHeld, HolderSounds, PhoneResumed, PhoneRefers, DigitPressed)
"""What a phone may send at any time."""
_BESIDE: tuple[type[CallMessage], ...] = (StartScript, StopScript)
_OF_BESIDE: tuple[type[CallMessage], ...] = (DocumentFetched, DocumentFetchFailed, SoundEnded, SoundFailed)
"""What reaches an announcement to a participant that does not ring yet."""
_ENDS_VERB_UNANSWERED: tuple[type[CallMessage], ...] = (
    *(RedirectCall, TimerFired, DocumentFetched),
    *(ChildEnded, ChildDetached, QueueRefused, QueueLeft),
)
"""What may end a verb of a caller that still rings, so that any other verb may begin."""
_ENDS_VERB: tuple[type[CallMessage], ...] = (
    *(RedirectCall, RunOwnDocument, TimerFired, DocumentFetched, DocumentFetchFailed, SoundEnded, SoundFailed),
    *(DigitPressed, ChildEnded, ChildDetached, RoomLeft, RoomRefused, QueueRefused, QueueLeft, QueueMissing),
    *(MemberLost, RecordingFinished, LegReferred, ReferralNotified),
)
"""What may end a verb of an answered call."""
_WITHIN_VERB_UNANSWERED: tuple[type[CallMessage], ...] = (
    *(SoundEnded, SoundFailed, ChildRinging, ChildDigitsStarted, QueueEntered, RecordingBegan, RecordingFinished),
)
_WITHIN_VERB: tuple[type[CallMessage], ...] = (
    *(ChildRinging, ChildDigitsStarted, ChildAnswered, ChildScreened, ChildRefers, RoomEntered, QueueEntered),
    *(QueueTaken, QueueReturned, WhisperEnded, MemberPrepared, MemberReached, RecordingBegan, RecordingQuiet),
)
"""What a verb waits for, or passes over, and continues."""
_LATE: tuple[type[CallMessage], ...] = (
    *(ReleaseChild, *_BESIDE, *_SIGNALLING, *get_args(LegChange), *get_args(TokenFact)),
    *(kind for kind in get_args(VerbFact) if kind is not Interrupted),
)
"""What may be under way when a call ends: facts of its leg, its timers, and of nouns that it was part of."""

_RELEASED: Mapping[CallStatus, str] = {
    CallStatus.CANCELED: "it is not needed any more",
    CallStatus.NO_ANSWER: "it did not answer in time",
}
_ANSWERED: Mapping[CallStatus, str] = {
    CallStatus.IN_PROGRESS: "its document begins",
    CallStatus.COMPLETED: "its document ends at once",
}
_REFUSED: Mapping[CallStatus, str] = {
    CallStatus.BUSY: "486, 600, 603",
    CallStatus.NO_ANSWER: "408, 480, 487",
    CallStatus.FAILED: "any other status",
}
_NEXT_VERB_UNANSWERED: Mapping[CallStatus, str] = {
    CallStatus.RINGING: "the document continues",
    CallStatus.IN_PROGRESS: "a verb answers, or its failure is said",
    CallStatus.BUSY: "a verb rejects as busy",
    CallStatus.NO_ANSWER: "the document ends, or rejects",
    CallStatus.FAILED: "the document fails, and nothing is said",
}
_NEXT_VERB: Mapping[CallStatus, str] = {
    CallStatus.IN_PROGRESS: "the document continues",
    CallStatus.COMPLETED: "the document ends",
}

CALL_STARTS: Mapping[type[CreateCall | CallChild | ReceiveCall], Mapping[CallStatus, str]] = {
    CreateCall: {CallStatus.QUEUED: ""},
    CallChild: {CallStatus.QUEUED: ""},
    ReceiveCall: _NEXT_VERB_UNANSWERED,
}
CALL_TRANSITIONS: CallTable = {
    **{
        (CallStatus.QUEUED, kind): {CallStatus.QUEUED: ""} for kind in (ChangeCall, *_BESIDE, *_OF_BESIDE, *_SIGNALLING)
    },
    (CallStatus.QUEUED, EndCall): {CallStatus.CANCELED: ""},
    (CallStatus.QUEUED, ReleaseChild): _RELEASED,
    (CallStatus.QUEUED, LegRinging): {CallStatus.RINGING: ""},
    (CallStatus.QUEUED, LegAnswered): _ANSWERED,
    (CallStatus.QUEUED, LegRefused): _REFUSED,
    (CallStatus.QUEUED, LegEnded): {CallStatus.NO_ANSWER: ""},
    (CallStatus.QUEUED, RoomLeft): {CallStatus.CANCELED: ""},
    (CallStatus.QUEUED, TimerFired): {
        CallStatus.QUEUED: "its turn to be placed has come",
        CallStatus.NO_ANSWER: "it rang for too long",
    },
    **{(CallStatus.RINGING, kind): {CallStatus.RINGING: ""} for kind in (LegRinging, StopScript, *_SIGNALLING)},
    **{(CallStatus.RINGING, kind): {CallStatus.RINGING: ""} for kind in _WITHIN_VERB_UNANSWERED},
    **{(CallStatus.RINGING, kind): _NEXT_VERB_UNANSWERED for kind in _ENDS_VERB_UNANSWERED},
    (CallStatus.RINGING, EndCall): {CallStatus.CANCELED: ""},
    (CallStatus.RINGING, ChangeCall): {
        CallStatus.RINGING: "its time limit is not over",
        CallStatus.NO_ANSWER: "its time limit is over",
    },
    (CallStatus.RINGING, ReleaseChild): _RELEASED,
    (CallStatus.RINGING, LegAnswered): _ANSWERED,
    (CallStatus.RINGING, LegRefused): _REFUSED,
    (CallStatus.RINGING, LegEnded): {CallStatus.NO_ANSWER: ""},
    (CallStatus.RINGING, RoomLeft): {CallStatus.CANCELED: ""},
    (CallStatus.RINGING, DocumentFetchFailed): {
        CallStatus.RINGING: "there is a fallback",
        CallStatus.IN_PROGRESS: "there is no fallback: it is said",
        CallStatus.FAILED: "there is no fallback, and nothing is said",
        CallStatus.NO_ANSWER: "as before, and FAILED_DOCUMENT_UNANSWERED says so",
    },
    (CallStatus.RINGING, StartScript): {
        CallStatus.RINGING: "the wait document is requested",
        CallStatus.IN_PROGRESS: "the wait document plays",
    },
    (CallStatus.RINGING, ChildAnswered): {
        CallStatus.RINGING: "the child hears its screening first",
        CallStatus.IN_PROGRESS: "the two are bridged",
    },
    (CallStatus.RINGING, ChildScreened): {CallStatus.IN_PROGRESS: ""},
    (CallStatus.RINGING, QueueTaken): {CallStatus.IN_PROGRESS: ""},
    **{(CallStatus.IN_PROGRESS, kind): _NEXT_VERB for kind in _ENDS_VERB},
    **{(CallStatus.IN_PROGRESS, kind): {CallStatus.IN_PROGRESS: ""} for kind in (RecordCall, *_BESIDE, *_WITHIN_VERB)},
    **{
        (CallStatus.IN_PROGRESS, kind): {CallStatus.IN_PROGRESS: ""} for kind in (PhoneHeld, HolderSounds, PhoneResumed)
    },
    (CallStatus.IN_PROGRESS, PhoneRefers): {
        CallStatus.IN_PROGRESS: "it is refused, or its peer decides",
        CallStatus.COMPLETED: "its Dial transfers the peer",
    },
    (CallStatus.IN_PROGRESS, EndCall): {
        CallStatus.COMPLETED: "",
        CallStatus.IN_PROGRESS: "only an unanswered call was to be canceled",
    },
    (CallStatus.IN_PROGRESS, ChangeCall): {
        CallStatus.IN_PROGRESS: "its time limit is not over",
        CallStatus.COMPLETED: "its time limit is over",
    },
    (CallStatus.IN_PROGRESS, ReleaseChild): {
        CallStatus.COMPLETED: "",
        CallStatus.IN_PROGRESS: "it has a document of its own",
    },
    (CallStatus.IN_PROGRESS, LegEnded): {CallStatus.COMPLETED: ""},
    **{(status, kind): {status: ""} for status in CallStatus if status in FINAL for kind in _LATE},
}

# --- conferences ------------------------------------------------------------------------------------------


class RoomStatus(StrEnum):
    """The status of a conference is one of Twilio's words. Source: Twilio API, Conference `status`."""

    INIT = "init"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"


RoomMessage = (
    Bridge
    | EnterConference
    | ReserveParticipant
    | LeaveRoom
    | RefuseEntry
    | RemoveParticipant
    | ChangeParticipant
    | EndRoom
    | AnnounceToRoom
    | NoteAnnouncing
    | NoteAnnounced
    | NotePhoneHold
    | NoteParticipant
    | LegSpeaks
)
RoomTable = Mapping[tuple[RoomStatus, type[RoomMessage]], Mapping[RoomStatus, str]]

_LEAVES: tuple[type[RoomMessage], ...] = (LeaveRoom, RemoveParticipant, RefuseEntry)
_CHANGES: tuple[type[RoomMessage], ...] = (
    *(ReserveParticipant, ChangeParticipant, NoteParticipant, NotePhoneHold, LegSpeaks),
    *(AnnounceToRoom, NoteAnnouncing, NoteAnnounced),
)
_LIVE_ROOM = (RoomStatus.INIT, RoomStatus.IN_PROGRESS)

ROOM_STARTS: Mapping[type[EnterConference | ReserveParticipant | Bridge], Mapping[RoomStatus, str]] = {
    kind: {RoomStatus.INIT: ""} for kind in (EnterConference, ReserveParticipant, Bridge)
}
ROOM_TRANSITIONS: RoomTable = {
    **{(status, kind): {status: ""} for status in _LIVE_ROOM for kind in _CHANGES},
    **{
        (status, kind): {status: "others stay", RoomStatus.COMPLETED: "it was the last, or ends the conference"}
        for status in _LIVE_ROOM
        for kind in _LEAVES
    },
    (RoomStatus.INIT, Bridge): {RoomStatus.INIT: ""},
    (RoomStatus.INIT, EnterConference): {
        RoomStatus.INIT: "it waits for another, or for one that starts it",
        RoomStatus.IN_PROGRESS: "two are inside, and one of them starts it",
        RoomStatus.COMPLETED: "the only one is refused",
    },
    (RoomStatus.IN_PROGRESS, EnterConference): {
        RoomStatus.IN_PROGRESS: "",
        RoomStatus.COMPLETED: "the only one is refused",
    },
    (RoomStatus.INIT, EndRoom): {RoomStatus.COMPLETED: ""},
    (RoomStatus.IN_PROGRESS, EndRoom): {RoomStatus.COMPLETED: ""},
    (RoomStatus.COMPLETED, EndRoom): {RoomStatus.COMPLETED: ""},
}
"""A bridge has the same table: it stays in `init` until it is completed."""

# --- participants -----------------------------------------------------------------------------------------

ParticipantStatus = Literal["queued", "connecting", "ringing", "connected"]
"""The status of a participant is one of Twilio's words. Source: Twilio API, Participant `status`."""
ParticipantMessage = ReserveParticipant | NoteParticipant | EnterConference

PARTICIPANT_STARTS: Mapping[type[ReserveParticipant | EnterConference], Mapping[ParticipantStatus, str]] = {
    ReserveParticipant: {"queued": ""},
    EnterConference: {"connected": ""},
}
PARTICIPANT_TRANSITIONS: Mapping[
    tuple[ParticipantStatus, type[ParticipantMessage]], Mapping[ParticipantStatus, str]
] = {
    ("queued", NoteParticipant): {"connecting": "it is called", "ringing": "its phone rings"},
    ("connecting", NoteParticipant): {"ringing": ""},
    ("ringing", NoteParticipant): {"ringing": "its phone sends audio before it answers"},
    ("queued", EnterConference): {"connected": ""},
    ("connecting", EnterConference): {"connected": ""},
    ("ringing", EnterConference): {"connected": ""},
}

# --- recordings -------------------------------------------------------------------------------------------


class RecordingStatus(StrEnum):
    """The status of a recording is one of Twilio's words. Source: Twilio API, Recording `status`."""

    IN_PROGRESS = "in-progress"
    PAUSED = "paused"
    STOPPED = "stopped"
    PROCESSING = "processing"
    COMPLETED = "completed"
    ABSENT = "absent"
    FAILED = "failed"
    DELETED = "deleted"


RecordingMessage = CaptureFact | EndRecording | ChangeRecording | DeleteRecording
RecordingTable = Mapping[tuple[RecordingStatus, type[RecordingMessage]], Mapping[RecordingStatus, str]]

_LIVE_RECORDING = (RecordingStatus.IN_PROGRESS, RecordingStatus.PAUSED)
_UNFINISHED = (RecordingStatus.STOPPED, RecordingStatus.PROCESSING)
_FINISHED = (RecordingStatus.COMPLETED, RecordingStatus.ABSENT, RecordingStatus.FAILED)
_BOTH: tuple[type[RecordingMessage], ...] = (CaptureBegan, CaptureQuiet)

RECORDING_STARTS: Mapping[type[BeginRecording], Mapping[RecordingStatus, str]] = {
    BeginRecording: {RecordingStatus.IN_PROGRESS: ""}
}
RECORDING_TRANSITIONS: RecordingTable = {
    **{(status, kind): {status: ""} for status in (*_LIVE_RECORDING, *_UNFINISHED) for kind in _BOTH},
    **{
        (status, CaptureEnded): {
            RecordingStatus.COMPLETED: "there is audio",
            RecordingStatus.ABSENT: "there is no audio",
            RecordingStatus.FAILED: "it could not be written",
        }
        for status in (*_LIVE_RECORDING, *_UNFINISHED)
    },
    **{(status, EndRecording): {RecordingStatus.PROCESSING: ""} for status in _LIVE_RECORDING},
    (RecordingStatus.IN_PROGRESS, ChangeRecording): {
        RecordingStatus.PAUSED: "paused",
        RecordingStatus.STOPPED: "stopped",
        RecordingStatus.IN_PROGRESS: "in-progress",
    },
    (RecordingStatus.PAUSED, ChangeRecording): {
        RecordingStatus.IN_PROGRESS: "in-progress",
        RecordingStatus.STOPPED: "stopped",
        RecordingStatus.PAUSED: "paused",
    },
    **{(status, DeleteRecording): {RecordingStatus.DELETED: ""} for status in (*_FINISHED, RecordingStatus.DELETED)},
    **{(status, EndRecording): {status: ""} for status in (*_UNFINISHED, *_FINISHED, RecordingStatus.DELETED)},
    **{(status, CaptureEnded): {status: ""} for status in (*_FINISHED, RecordingStatus.DELETED)},
}
