"""Twilio's public pages leave some behaviour open: each choice is one constant here, to be changed when it is known.

Read them as `twilio_assumptions.NAME` where the behaviour is needed, never by importing the name, so that a change of
one changes the engine. A test changes each of them and sees the other behaviour.
"""

from __future__ import annotations

from typing import Literal

# --- a <Dial> of numbers, clients and SIP addresses ----------------------------------------------------------

CHILD_REDIRECTED: Literal["completed", "answered"] = "completed"
"""The DialCallStatus of the parent when its child received a document of its own.
Source: TwiML <Dial> names both words without this case."""

PARENT_HANGUP_REQUESTS_ACTION = True
"""Whether the `action` of a parent that hangs up while bridged is requested, the answer unused.
Source: TwiML <Dial>, changelog 2020-12; stated for a ringing child only."""

CHILD_STATUS_AFTER_PARENT_HANGUP: Literal["canceled", "no-answer"] = "canceled"
"""The final status of a child that rings when its parent hangs up. Source: TwiML <Dial>."""

RINGING_PARENT_REDIRECTED: Literal["canceled", "completed"] = "canceled"
"""The DialCallStatus of a parent redirected while the child rings. Source: changelog 2021-05, "dial behaviour"."""

SCREENED_CHILD_BRIDGED: Literal["false", "true"] = "false"
"""The DialBridged of a child redirected out of its screening document. Source: TwiML <Dial>, DialBridged."""

LOST_RACE_STATUS: Literal["canceled", "no-answer"] = "canceled"
"""The final status of legs that rang when another answered first. Source: TwiML <Dial>, simultaneous dialling."""

FAILED_DIAL_NAMES_LAST_LEG = False
"""Whether DialCallSid names the last of several legs when none answered. Source: TwiML <Dial>."""

FAILED_SCREENING_TRIES_NEXT = True
"""Whether a sequential Dial continues with its next noun when a leg answered and did not pass its screening.
Source: TwiML <Dial> sequential, <Number> url; neither says."""

DIAL_ACTION_HAS_RECORDING_LENGTH = True
"""Whether the action of a recorded Dial carries RecordingSid and RecordingDuration besides RecordingUrl.
Source: TwiML <Dial> names RecordingUrl alone."""

# --- a redirect out of other verbs -----------------------------------------------------------------------------

REDIRECTED_CONFERENCE_REQUESTS_ACTION = True
"""Whether the Dial `action` of a participant redirected by REST is requested, the answer unused, as in a plain Dial.
Source: changelog 2021-05, "dial behaviour"."""

REDIRECTED_QUEUE_DIAL_REQUESTS_ACTION = True
"""Whether the Dial `action` of a queue's dialler redirected by REST is requested, the answer unused.
Source: changelog 2021-05, "dial behaviour"."""

REDIRECTED_GATHER_REQUESTS_ACTION = False
"""Whether the `action` of a Gather that a redirect interrupts is requested, the answer unused.
Source: "Modify a live call"; TwiML <Gather>."""

REDIRECTED_RECORD_REQUESTS_ACTION = True
"""Whether the `action` of a Record that a redirect interrupts is requested, the answer unused; the recording is kept.
Source: "Modify a live call"; TwiML <Record>."""

REDIRECTED_REFER_REQUESTS_ACTION = True
"""Whether the `action` of a Refer that a redirect interrupts is requested, the answer unused, as when the caller
hangs up. Source: TwiML <Refer> action."""

REFERRAL_CUT_SHORT = "ringing"
"""The ReferCallStatus when the phone's notifications stop before the other call was answered or refused.
Source: TwiML <Refer> action."""

# --- conferences ----------------------------------------------------------------------------------------------

LAST_PARTICIPANT_HEARS_WAIT = False
"""Whether the last participant of a conference that has begun hears the wait document again, or silence.
Source: TwiML <Conference> waitUrl."""

WAIT_FILE_LOOPS = True
"""Whether a waitUrl that is an audio file is played in a loop. Source: TwiML <Conference> waitUrl."""

HELD_HEARS_ROOM_ANNOUNCEMENT = False
"""Whether a held participant hears an announcement to the conference. Source: Conference resource, AnnounceUrl."""

HELD_HEARS_OWN_ANNOUNCEMENT = True
"""Whether a held participant hears an announcement to it alone before its hold continues.
Source: Participant resource, AnnounceUrl."""

KICKED_CONTINUES_DOCUMENT = True
"""Whether a removed participant continues its document, or is hung up. Source: Participant resource, DELETE."""

ENTRANT_HEARS_OWN_BEEP = True
"""Whether a participant that enters hears its own beep, or the others alone. Source: TwiML <Conference> beep:
"played to the conference"."""

BEEPS_BEFORE_START = False
"""Whether participants that wait for a conference to begin hear the beeps. Source: TwiML <Conference> beep."""

INAUDIBLE_HAS_SPEAKER_EVENTS = False
"""Whether a muted or held participant has speaker events. Source: TwiML <Conference> statusCallbackEvent."""

FIRST_EVENT_NUMBER = 1
"""The SequenceNumber of a conference's first event. Source: samples of conference status callbacks."""

CONFERENCE_SID_MALFORMED: Literal[405, 404] = 405
"""The HTTP status for a path that names a conference by what has not the form of its SID: 405 has code 20004, 404 has
20404. Source: twilio-ruby#580, twilio-php#474; Twilio's pages do not say."""

# --- queues -----------------------------------------------------------------------------------------------------

QUEUE_UNKNOWN = "failed"
"""The DialCallStatus when the dialled queue does not exist. Source: TwiML <Queue>."""

QUEUE_TIMEOUT = "no-answer"
"""The DialCallStatus when no call entered the queue in time. Source: TwiML <Queue>."""

QUEUE_DIAL_ACTION_HAS_QUEUE = True
"""Whether the action of a Dial of a queue carries QueueSid, QueueTime and the member's SID. Source: TwiML <Queue>."""

DIALLER_WAIT_AUDIO = ""
"""The audio for the dialler of an empty queue: "" is silence; `builtin:ringback` would be ringing.
Source: TwiML <Queue>."""

MEMBER_LOST_TRIES_NEXT = True
"""Whether a dialler whose member left during the `url` document gets the next member. Source: TwiML <Queue> url."""

BRIDGING_INTERRUPTED = "bridging-in-process"
"""The QueueResult of a member that leaves during the dialler's `url` document. Source: TwiML <Enqueue> action."""

QUEUE_DEFAULT_SIZE = 1000
"""The MaxSize of a queue that states none; Twilio's older pages say 100. Source: Queue resource."""

# --- a call without a document ------------------------------------------------------------------------------------

FAILED_FIRST_PAGE_SAID = "Sorry. The application of this number has an error, so your call cannot begin. Goodbye."
"""What the party hears, in our own words, when the first page of its call fails without a fallback, before it is hung
up; the call is answered for it. "": it is not answered, or hung up at once. Source: public reports."""

FAILED_LATER_PAGE_SAID = "Sorry. The application of this number has an error, so your call has to end. Goodbye."
"""What the party hears, in our own words, when a later page of its call, or a verb, fails without a fallback, before
it is hung up. "": nothing. Source: public reports."""

FAILED_DOCUMENT_UNANSWERED: Literal["failed", "no-answer"] = "failed"
"""The final status of a call whose document failed unanswered, without a fallback, when nothing is said to it.
Source: fallback URLs."""

FALLBACK_PARAMETERS = ("ErrorCode", "ErrorUrl")
"""The fallback request's parameters for the error and the failed address. Source: TwiML Voice fallback URLs."""
