"""Announcements are played to one participant, or to a whole conference, in place of its other audio.

A room's announcement is one request: the script of its first listener fetches the document, and all hear that.
Source: Twilio API, Conference AnnounceUrl and Participant AnnounceUrl.
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.control.conference.step import RoomStep
from holdfast.voice.control.entities import Announcement, Participant, Room
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import Instruction, WebRequest
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.internal_commands import NoteAnnounced, StartScript, StopScript

WEB_FAILED = range(11200, 11300)
"""The codes of a failed web server: they make a log entry, and no event of the conference."""


def announce(step: RoomStep, request: WebRequest) -> None:
    """Play a document to every connected participant that is not on hold."""
    reaches_held = twilio_assumptions.HELD_HEARS_ROOM_ANNOUNCEMENT
    step.put_all(
        replace(each, announcement=None, announced=each.status == "connected" and (reaches_held or not each.held))
        for each in step.room.participants
    )
    _start(step, request)


def _listeners(room: Room) -> list[CallSid]:
    """Return the calls that are to hear the room's announcement, or still hear it."""
    return [participant.call for participant in room.participants if participant.announced]


def _start(step: RoomStep, request: WebRequest) -> None:
    """Fetch the document for the first listener; end the announcement if there is none."""
    listeners = _listeners(step.room)
    if not listeners:
        _end(step, request)
        return
    step.room = replace(step.room, announcement=Announcement(request=request, leader=listeners[0]))
    step.emit(StartScript(call=listeners[0], role="announce", request=request))


def handle_announcement_start(step: RoomStep, call: CallSid, instruction: Instruction) -> None:
    """Play the fetched document to this listener, and, for the first of a room, to all others."""
    participant = step.participant(call)
    step.put(replace(participant, hears_announcement=True))
    if participant.held:
        step.emit(StopScript(call=call, role="hold"))
    announcement = step.room.announcement
    if announcement is not None and announcement.leader == call:
        step.room = replace(step.room, announcement=replace(announcement, leader=None))
        others = (listener for listener in _listeners(step.room) if listener != call)
        step.emit(
            *(StartScript(call=listener, role="announce", request=None, instruction=instruction) for listener in others)
        )


def handle_announcement_end(step: RoomStep, note: NoteAnnounced) -> None:
    """Handle the end or the failure of a participant's announcement: its earlier audio returns."""
    participant = step.participant(note.call)
    step.put(replace(participant, hears_announcement=False, announcement=None))
    if participant.held and participant.hears_announcement:
        step.emit(StartScript(call=participant.call, role="hold", request=participant.hold))
    if participant.announcement is not None:
        _send_callback(step, participant, participant.announcement, note)
        return
    announcement = step.room.announcement
    if announcement is not None and announcement.leader == note.call:
        # No other listener requests a document that failed.
        step.put_all(replace(each, announced=False) for each in step.room.participants)
        step.room = replace(step.room, announcement=None)
        _send_callback(step, None, announcement.request, note)
    else:
        remove_listener(step, participant)


def remove_listener(step: RoomStep, participant: Participant) -> None:
    """Remove a listener of the room's announcement, which may have left the room; without listeners it ends."""
    announcement = step.room.announcement
    if announcement is None or not participant.announced:
        return
    if (inside := step.room.participant(participant.call)) is not None:
        step.put(replace(inside, announced=False))
    if announcement.leader == participant.call:
        _start(step, announcement.request)
    elif not _listeners(step.room):
        _end(step, announcement.request)


def _end(step: RoomStep, request: WebRequest) -> None:
    step.room = replace(step.room, announcement=None)
    step.send_callback("announcement-end", None, ("AnnounceUrl", request.url))


def _send_callback(step: RoomStep, participant: Participant | None, request: WebRequest, note: NoteAnnounced) -> None:
    """Send the event of an announcement's end. Source: conference status callback, announcement events."""
    if not note.code:
        step.send_callback("announcement-end", participant, ("AnnounceUrl", request.url))
    elif note.code not in WEB_FAILED:
        failed = (("AnnounceUrl", request.url), ("ReasonAnnouncementFailed", note.message))
        step.send_callback("announcement-fail", participant, *failed)
