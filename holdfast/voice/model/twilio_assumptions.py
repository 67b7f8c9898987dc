"""What Twilio's public pages leave open: each choice is one constant here, to be turned when the truth is known.

Read them as `unconfirmed.NAME` when the behaviour is needed, never by importing the name, so that turning one turns
the engine. A test turns each of them and sees the other behaviour.
"""

from __future__ import annotations

from typing import Literal

# --- a <Dial> of numbers, clients and SIP addresses ----------------------------------------------------------

CHILD_REDIRECTED: Literal["completed", "answered"] = "completed"
"""DialCallStatus of the parent when its child was given a document of its own.
Source: TwiML <Dial> names both words without this case."""

PARENT_GONE_ASKS_ACTION = True
"""A parent that hangs up while bridged still has `action` requested, its answer unused.
Source: TwiML <Dial>, changelog 2020-12; stated for a ringing child only."""

CHILD_OF_GONE_PARENT: Literal["canceled", "no-answer"] = "canceled"
"""Final status of a child that rings when its parent hangs up. Source: TwiML <Dial>."""

PARENT_REDIRECTED_RINGING: Literal["canceled", "completed"] = "canceled"
"""DialCallStatus when the parent is redirected while the child rings. Source: changelog 2021-05, "dial behaviour"."""

SCREENED_CHILD_BRIDGED: Literal["false", "true"] = "false"
"""DialBridged when a child is redirected out of its screening document. Source: TwiML <Dial>, DialBridged."""

RACE_LOSER: Literal["canceled", "no-answer"] = "canceled"
"""Final status of legs that rang beside the one that answered first. Source: TwiML <Dial>, simultaneous dialling."""

SEVERAL_TRIED_NAME_LAST = False
"""Whether DialCallSid names the last of several legs none of which answered. Source: TwiML <Dial>."""

SCREENED_OFF_TRIES_NEXT = True
"""Whether a sequential Dial goes on to its next noun when a leg answered and did not get past its screening.
Source: TwiML <Dial> sequential, <Number> url; neither says."""

DIAL_ACTION_TELLS_LENGTH = True
"""Whether the action of a recorded Dial carries RecordingSid and RecordingDuration besides RecordingUrl.
Source: TwiML <Dial> names RecordingUrl alone."""

# --- a redirect out of other verbs -----------------------------------------------------------------------------

CONFERENCE_LEFT_ASKS_ACTION = True
"""A participant redirected by REST has its Dial's `action` requested, the answer unused, as with a plain Dial.
Source: changelog 2021-05, "dial behaviour"."""

QUEUE_DIAL_LEFT_ASKS_ACTION = True
"""A dialler of a queue redirected by REST has its Dial's `action` requested, the answer unused.
Source: changelog 2021-05, "dial behaviour"."""

GATHER_LEFT_ASKS_ACTION = False
"""Whether a Gather that is cut off by a redirect has its `action` requested, the answer unused.
Source: "Modify a live call"; TwiML <Gather>."""

RECORD_LEFT_ASKS_ACTION = True
"""Whether a Record that is cut off by a redirect has its `action` requested, the answer unused; what was recorded is
kept. Source: "Modify a live call"; TwiML <Record>."""

REFER_LEFT_ASKS_ACTION = True
"""Whether a Refer that is cut off by a redirect has its `action` requested, the answer unused, as when the caller
hangs up. Source: TwiML <Refer> action."""

REFERRAL_CUT_SHORT = "ringing"
"""ReferCallStatus when the phone stops telling before the other call was answered or refused.
Source: TwiML <Refer> action."""

# --- conferences ----------------------------------------------------------------------------------------------

LAST_PARTICIPANT_HEARS_WAIT = False
"""Whether the last one in a conference that has begun hears the wait document again, or silence.
Source: TwiML <Conference> waitUrl."""

WAIT_FILE_LOOPS = True
"""Whether a waitUrl that is a sound file is played again and again. Source: TwiML <Conference> waitUrl."""

HELD_HEARS_ROOM_ANNOUNCEMENT = False
"""Whether an announcement to a whole conference reaches those on hold. Source: Conference resource, AnnounceUrl."""

HELD_HEARS_OWN_ANNOUNCEMENT = True
"""Whether an announcement to one who is on hold is heard before its hold goes on.
Source: Participant resource, AnnounceUrl."""

KICKED_GOES_ON = True
"""Whether a removed participant goes on with its document, or is hung up. Source: Participant resource, DELETE."""

ENTRANT_HEARS_OWN_BEEP = True
"""Whether who enters a conference hears the beep that announces it, or the others alone. Source: TwiML <Conference>
beep: "played to the conference"."""

BEEPS_BEFORE_START = False
"""Whether those who still wait for a conference to begin hear others come and go. Source: TwiML <Conference> beep."""

UNHEARD_SPEAKS = False
"""Whether one who is muted or on hold has speaker events. Source: TwiML <Conference> statusCallbackEvent."""

FIRST_EVENT_NUMBER = 1
"""SequenceNumber of a conference's first event. Source: samples of conference status callbacks."""

# --- queues -----------------------------------------------------------------------------------------------------

QUEUE_UNKNOWN = "failed"
"""DialCallStatus when the queue to be dialled does not exist. Source: TwiML <Queue>."""

QUEUE_TIMEOUT = "no-answer"
"""DialCallStatus when nobody entered the queue in time. Source: TwiML <Queue>."""

QUEUE_DIAL_TELLS_QUEUE = True
"""Whether the action of a Dial of a queue carries QueueSid, QueueTime and the member's SID. Source: TwiML <Queue>."""

DIALLER_HEARS = ""
"""What the dialler of an empty queue hears: "" is silence; `builtin:ringback` would be ringing.
Source: TwiML <Queue>."""

MEMBER_LOST_TRIES_NEXT = True
"""Whether a dialler whose member left during the `url` document gets the next one. Source: TwiML <Queue> url."""

BRIDGING_INTERRUPTED = "bridging-in-process"
"""QueueResult when a member leaves while the dialler's `url` document plays to it. Source: TwiML <Enqueue> action."""

QUEUE_DEFAULT_SIZE = 1000
"""MaxSize of a queue that states none; Twilio's older pages say 100. Source: Queue resource."""

# --- a call without a document ------------------------------------------------------------------------------------

BROKEN_UNANSWERED: Literal["failed", "no-answer"] = "failed"
"""Final status of a call whose document failed before it was answered, with no fallback. Source: fallback URLs."""

FALLBACK_TELLS = ("ErrorCode", "ErrorUrl")
"""What the request to a fallback calls the error and the address that failed. Source: TwiML Voice fallback URLs."""
