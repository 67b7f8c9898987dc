"""What stores make of what they are given: holds and pairs as plain JSON values and back, and lines of history."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from holdfast.holds.hold import Hold, RecordEvent, Status, WayName
from holdfast.holds.ids import CallSid
from holdfast.holds.ports import HoldEvent
from holdfast.holds.steps.pair import Pair, Party, Place


def hold_record(hold: Hold) -> dict[str, Any]:
    """A hold as a JSON object: one key per field."""
    return asdict(hold)


def hold_of(record: dict[str, Any]) -> Hold:
    """The hold a record describes.

    Raises: KeyError, TypeError, ValueError for what is no record of ours.
    """
    way = record.get("way")
    return Hold(**{**record, "status": Status(record["status"]), "way": None if way is None else WayName(way)})


def pair_record(pair: Pair) -> dict[str, Any]:
    """A pair as a JSON object."""
    return asdict(pair)


def pair_of(record: dict[str, Any]) -> Pair:
    """The pair a record describes.

    Raises: KeyError, TypeError, ValueError for what is no record of ours.
    """
    return Pair(**{**record, "parent": _party_of(record["parent"]), "child": _party_of(record["child"])})


def _party_of(record: dict[str, Any]) -> Party:
    return Party(**{**record, "call": CallSid(record["call"]), "place": Place(record["place"])})


def numbered(hold: Hold, tells: Sequence[RecordEvent], *, after: int, at: float) -> list[HoldEvent]:
    """New lines of a hold's history, numbered on from `after`."""
    return [
        HoldEvent(
            id=number,
            at=at,
            hold=hold.id,
            call=hold.call,
            kind=tell.kind,
            status=hold.status,
            by=hold.resumed_by or hold.by,
            detail=tell.detail,
        )
        for number, tell in enumerate(tells, start=after + 1)
    ]
