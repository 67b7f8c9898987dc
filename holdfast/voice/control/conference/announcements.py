"""Announcements: played to one participant, or to a whole conference, over what they hear otherwise.

A room's announcement is one request: the first of its ears asks for the document, and all hear that.
Source: Twilio API, Conference AnnounceUrl and Participant AnnounceUrl.
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.control.conference.step import RoomStep
from holdfast.voice.control.entities import Announcement, Participant
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import Instruction, WebRequest
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.internal_commands import NoteAnnounced, StartScript, StopScript

WEB_FAILED = range(11200, 11300)
"""Codes of a web server that failed: an ordinary line of the log, and no event of the conference."""


def announce(stage: RoomStep, request: WebRequest) -> None:
    """Play something to everybody who is connected, and not on hold."""
    for one in stage.room.participants:
        stage.put(replace(one, announcement=None))
    heldness = twilio_assumptions.HELD_HEARS_ROOM_ANNOUNCEMENT
    ears = [one.call for one in stage.room.participants if one.status == "connected" and (heldness or not one.held)]
    _ask(stage, request, tuple(ears))


def _ask(stage: RoomStep, request: WebRequest, ears: tuple[CallSid, ...]) -> None:
    """Let the first of these ears ask for the document; with nobody there it is over."""
    if not ears:
        _room_end(stage, request)
        return
    announcement = Announcement(request=request, leader=ears[0], ears=ears)
    stage.room = replace(stage.room, announcement=announcement)
    stage.say(StartScript(call=ears[0], role="announce", request=request))


def begin_to_hear(stage: RoomStep, call: CallSid, instruction: Instruction) -> None:
    """The document is there: this ear hears it from now on, and with the first of a room all others."""
    one = stage.one(call)
    stage.put(replace(one, announcing=True))
    if one.held:
        stage.say(StopScript(call=call, role="hold"))
    whole = stage.room.announcement
    if whole is not None and whole.leader == call:
        stage.room = replace(stage.room, announcement=replace(whole, leader=None))
        others = (ear for ear in whole.ears if ear != call)
        stage.say(*(StartScript(call=ear, role="announce", request=None, instruction=instruction) for ear in others))


def end_hearing(stage: RoomStep, note: NoteAnnounced) -> None:
    """An ear has heard its announcement, or cannot; it hears again what it heard before."""
    one = stage.one(note.call)
    stage.put(replace(one, announcing=False, announcement=None))
    if one.held and one.announcing:
        stage.say(StartScript(call=one.call, role="hold", request=one.hold))
    if one.announcement is not None:
        _tell(stage, one, one.announcement, note)
        return
    whole = stage.room.announcement
    if whole is not None and whole.leader == note.call:
        # Nobody else asks for a document that cannot be had.
        stage.room = replace(stage.room, announcement=None)
        _tell(stage, None, whole.request, note)
    else:
        leave_announcement(stage, note.call)


def leave_announcement(stage: RoomStep, call: CallSid) -> None:
    """This ear hears the room's announcement no more; when none is left it is over."""
    whole = stage.room.announcement
    if whole is None or call not in whole.ears:
        return
    ears = tuple(ear for ear in whole.ears if ear != call)
    if whole.leader == call:
        _ask(stage, whole.request, ears)
    elif ears:
        stage.room = replace(stage.room, announcement=replace(whole, ears=ears))
    else:
        _room_end(stage, whole.request)


def _room_end(stage: RoomStep, request: WebRequest) -> None:
    stage.room = replace(stage.room, announcement=None)
    stage.tell("announcement-end", None, ("AnnounceUrl", request.url))


def _tell(stage: RoomStep, one: Participant | None, request: WebRequest, note: NoteAnnounced) -> None:
    """Source: conference status callback, announcement events."""
    if not note.code:
        stage.tell("announcement-end", one, ("AnnounceUrl", request.url))
    elif note.code not in WEB_FAILED:
        failed = (("AnnounceUrl", request.url), ("ReasonAnnouncementFailed", note.message))
        stage.tell("announcement-fail", one, *failed)
