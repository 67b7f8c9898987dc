"""Serve `/engine/explain/{call}`: why a call is silent and what it waits for, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from holdfast.voice.api.ops.json_errors import engine_router
from holdfast.voice.api.ports import SwitchPort
from holdfast.voice.diagnostics.explain import ReceivedPackets, explain
from holdfast.voice.diagnostics.explain_end import dialled_legs
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.ports import Journal, PendingCallbacks
from holdfast.voice.runtime.quality_reports import Quality

ALL_ENTRIES = 1_000_000
"""More entries than the journal of a call has: the explanation needs the newest."""
REJECTED = "It was rejected before it became a call: `holdfast ladder` shows its SIP, the log says why."


class Explanation(BaseModel):
    """A call explained in sentences, the causes of trouble first."""

    call: str
    says: list[str]


def make_explain(
    *,
    switch: SwitchPort,
    journal: Journal,
    quality: Quality,
    unsent: Callable[[CallSid], PendingCallbacks | None],
    account_sid: AccountSid,
    auth_token: str,
) -> APIRouter:
    """Return the router, to be included at the root. It needs the account's credentials, as all of `/engine/…` does."""
    engine = engine_router(account_sid, auth_token)

    @engine.get("/explain/{call}", summary="Why a call is silent, what it waits for", response_model=Explanation)
    async def explained(call: str, request: Request) -> Explanation | PlainTextResponse:
        noun = switch.state.calls.get(CallSid(call))
        if noun is None:
            if not switch.orphan_entries(call):
                raise NotFound(f"there is no call {call}")
            return _explanation(call, (REJECTED,), request)
        entries = await journal.entries(call, limit=ALL_ENTRIES)
        children = {child: await journal.entries(child, limit=ALL_ENTRIES) for child in dialled_legs(entries)}
        says = explain(
            switch.state.calls.get(noun.sid, noun),
            switch.state,
            entries,
            now=switch.now(),
            packets=arrivals(quality, noun.sid),
            children=children,
            pending=unsent(noun.sid),
        )
        return _explanation(call, says, request)

    return engine


def _explanation(call: str, says: Sequence[str], request: Request) -> Explanation | PlainTextResponse:
    if request.headers.get("accept", "").startswith("text/plain"):
        return PlainTextResponse("".join(f"{sentence}\n" for sentence in says))
    return Explanation(call=call, says=list(says))


def arrivals(quality: Quality, call: CallSid) -> ReceivedPackets | None:
    """Return what arrives from a call's party, or None before the first measurement."""
    statistics = quality.latest(call)
    if statistics is None:
        return None
    return ReceivedPackets(
        received=statistics.packets_received,
        silent=quality.is_silent(call),
        too_long=statistics.packets_too_long,
        rejected=statistics.strange,
        rejected_from=statistics.stranger,
        rtp_source=statistics.rtp_source,
    )
