"""This module defines the JSON that the web application receives and sends, as its OpenAPI page describes it."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from holdfast.holds.call_overview import CallView
from holdfast.holds.hold import Hold, Status, WayName
from holdfast.holds.ports import HoldEvent
from holdfast.holds.steps.pair import Pair

A_CALL = "CA" + "0f" * 16
A_HOLD = "HO" + "7c" * 16
A_TIME = 1764067200.0
NOT_AN_OBJECT = "send a JSON object, with Content-Type: application/json"


class RequestBody(BaseModel):
    """A request as a JSON object. Any other body is refused in words of ours."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_known(cls, body: object) -> object:
        if not isinstance(body, dict):
            raise PydanticCustomError("no_object", NOT_AN_OBJECT)
        for name in body:
            if name not in cls.model_fields:
                context = {"name": str(name)[:60], "allowed": ", ".join(cls.model_fields)}
                raise PydanticCustomError("unknown_field", "there is no field {name}; allowed: {allowed}", context)
        return body


class HoldRequest(RequestBody):
    """A request to hold a call."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"call": A_CALL, "music": "https://example.com/music.mp3", "by": "alice", "reason": "lookup"}]
        },
    )
    call: str = Field(description="The SID of the live call to hold.")
    music: str | None = Field(
        None, description="URL of an audio file, or of TwiML, that the party hears. None: the account's own music."
    )
    by: str | None = Field(None, description="Who holds: a name, or the SID of the owner's own call.")
    reason: str | None = Field(None, description="Why, for the history.")
    limit_s: float | None = Field(
        None, description="Longest time on hold, in seconds, checked every 5 s. None: the service's limit."
    )


class ResumeRequest(RequestBody):
    """A request to resume a party."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "alice"}]})
    by: str | None = Field(None, description="Who resumes.")


class PairRequest(RequestBody):
    """A report that the continuation of a call's `<Dial>` is `/twiml/continue`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"parent": A_CALL, "after": "https://example.com/after"}]}
    )
    parent: str = Field(description="The SID of the call that runs the Dial.")
    child: str | None = Field(None, description="The SID of the call the Dial made. None: its one answered child.")
    after: str | None = Field(None, description="URL with which the parent continues when the conversation is over.")


class HoldResponse(BaseModel):
    """One hold. Times are seconds since the Unix epoch."""

    model_config = ConfigDict(from_attributes=True)
    id: str = Field(examples=[A_HOLD])
    call: str = Field(examples=[A_CALL])
    status: Status
    by: str | None
    reason: str | None
    music: str | None
    limit_s: float | None
    way: WayName | None = Field(description="How the hold is carried out.")
    conference: str | None
    queue: str | None
    owner_call: str | None
    asked_at: float = Field(examples=[A_TIME])
    held_at: float | None
    ended_at: float | None
    reminded_at: float | None
    resumed_by: str | None
    cause: str | None = Field(description="The reason for its status, in words.")

    @classmethod
    def of(cls, hold: Hold) -> Self:
        """Return the response for a hold."""
        return cls.model_validate(hold)


class HoldsResponse(BaseModel):
    """Holds, newest first."""

    holds: list[HoldResponse]


class AudioQualityResponse(BaseModel):
    """The audio quality of a call so far."""

    model_config = ConfigDict(from_attributes=True)
    mos: float | None = Field(description="The listener's estimated opinion score: 1 (bad) to 4.5 (excellent).")
    loss: float = Field(description="The share of its packets that were lost, 0 to 1.")
    jitter_ms: float


class CallResponse(BaseModel):
    """One live call."""

    model_config = ConfigDict(populate_by_name=True, from_attributes=True)
    sid: str = Field(examples=[A_CALL])
    parent: str | None = Field(description="The call whose Dial made this one.")
    peer: str | None = Field(description="The one call it talks to, where that is known.")
    from_: str = Field(alias="from")
    to: str
    direction: str
    status: str = Field(examples=["in-progress"])
    conference: str | None
    conference_name: str | None
    muted: bool
    queue: str | None = Field(description="The name of the queue it waits in.")
    held: bool
    held_by_phone: bool = Field(description="Its own phone holds: the others hear music until the phone resumes.")
    hold: str | None = Field(description="The id of its hold, when it is one of ours or of its own phone.")
    by: str | None
    since: float | None = Field(description="Held since, in seconds since the Unix epoch.")
    music: str | None
    hears: str | None = Field(description="`music`, `the other party`, `silence`, `ringing`, or null: not known.")
    can_hold: bool
    why_not: str | None
    fix: str | None = Field(description="What would make it possible to hold the call.")
    sound: AudioQualityResponse | None = Field(
        description="Its audio quality, where the account reports it: the engine does."
    )

    @classmethod
    def of(cls, view: CallView) -> Self:
        """Return the response for a call."""
        return cls.model_validate(view)


class CallsResponse(BaseModel):
    """Live calls."""

    calls: list[CallResponse]


class PairResponse(BaseModel):
    """Two legs that can be held from now on."""

    parent: str
    child: str
    after: str | None

    @classmethod
    def of(cls, pair: Pair) -> Self:
        """Return the response for a pair."""
        return cls(parent=pair.parent.call, child=pair.child.call, after=pair.after)


class EventResponse(BaseModel):
    """One line of history: the `data` of an event of the stream."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    at: float = Field(examples=[A_TIME])
    hold: str = Field(examples=[A_HOLD])
    call: str = Field(examples=[A_CALL])
    kind: str = Field(examples=["held"], description="A status, or `reminder`, `still-held` or `music-failed`.")
    status: Status
    by: str | None
    detail: str | None

    @classmethod
    def of(cls, event: HoldEvent) -> Self:
        """Return the response for an event."""
        return cls.model_validate(event)


class ErrorResponse(BaseModel):
    """The reason why a request failed."""

    code: str = Field(examples=["hold_refused"], description="For programs.")
    message: str = Field(description="For people.")
    fix: str | None = Field(description="What would make it work.")
    hold: str | None = Field(None, description="The hold this happened to.")


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of the errors that an operation may respond with."""
    words = {
        400: "A value has the wrong form.",
        403: "The policy does not allow it.",
        404: "There is no such hold.",
        409: "The call is over, or cannot be held without harm: nothing was touched.",
        502: "The account refused.",
        503: "The store failed, or the server is being stopped.",
        504: "The account did not answer.",
    }
    return {status: {"model": ErrorResponse, "description": words[status]} for status in statuses}
