"""This module converts holds and pairs to plain JSON values and back, and numbers lines of history."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from holdfast.holds.hold import Hold, RecordEvent, Status, WayName
from holdfast.holds.ids import CallSid
from holdfast.holds.ports import HoldEvent
from holdfast.holds.steps.pair import LegState, Pair, Party


def hold_record(hold: Hold) -> dict[str, Any]:
    """Return a hold as a JSON object: one key per field."""
    return asdict(hold)


def hold_from_record(record: dict[str, Any]) -> Hold:
    """Return the hold that a record describes.

    Raises: KeyError, TypeError, ValueError for an object that is no record of ours.
    """
    way = record.get("way")
    return Hold(**{**record, "status": Status(record["status"]), "way": None if way is None else WayName(way)})


def pair_record(pair: Pair) -> dict[str, Any]:
    """Return a pair as a JSON object."""
    return asdict(pair)


def pair_from_record(record: dict[str, Any]) -> Pair:
    """Return the pair that a record describes.

    Raises: KeyError, TypeError, ValueError for an object that is no record of ours.
    """
    return Pair(**{**record, "parent": _party_of(record["parent"]), "child": _party_of(record["child"])})


def _party_of(record: dict[str, Any]) -> Party:
    return Party(**{**record, "call": CallSid(record["call"]), "state": LegState(record["state"])})


def number_events(hold: Hold, records: Sequence[RecordEvent], *, after: int, at: float) -> list[HoldEvent]:
    """Return new lines of a hold's history, numbered from the one after `after`."""
    return [
        HoldEvent(
            id=number,
            at=at,
            hold=hold.id,
            call=hold.call,
            kind=record.kind,
            status=hold.status,
            by=hold.resumed_by or hold.by,
            detail=record.detail,
        )
        for number, record in enumerate(records, start=after + 1)
    ]
