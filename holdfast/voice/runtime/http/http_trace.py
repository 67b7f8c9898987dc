"""An exchange with a web server as the ladder shows it."""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import WebSeen
from holdfast.voice.runtime.http import content_sniffing
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.http.exchange import HttpAnswer

BODY_SHOWN = 4096


def exchange_seen(
    *,
    kind: str,
    call: CallSid | None,
    request: WebRequest,
    took_s: float,
    answer: HttpAnswer | None,
    error: VoiceError | None,
) -> list[WebSeen]:
    """Each redirect on the way, then what it came to. No password, and no sound, is shown."""
    first = WebSeen(
        call=call,
        kind=kind,
        method=request.method,
        url=without_secrets(request.url),
        form=request.form,
        status=0,
        took_ms=round(took_s * 1000),
    )
    shown_error = f"{error.code} {error.message}" if error is not None else ""
    if answer is None:
        return [replace(first, error=shown_error)]
    hops = [
        replace(first, method=hop.method, url=hop.url, status=hop.status, body=f"→ {hop.location}")
        for hop in answer.hops
    ]
    is_sound = answer.content_type.startswith("audio/") or content_sniffing.recognised(answer.body) is not None
    body = "" if is_sound else answer.body[:BODY_SHOWN].decode("utf-8", "replace")
    last = replace(
        first,
        method=answer.method,
        url=answer.url,
        status=answer.status,
        content_type=answer.content_type,
        body=body,
        error=shown_error,
    )
    return [*hops, last]
