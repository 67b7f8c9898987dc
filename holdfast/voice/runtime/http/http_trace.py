"""Trace exchanges with web servers for the ladder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import WebhookTrace
from holdfast.voice.runtime.http import content_sniffing
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.http.exchange import HttpResponse
from holdfast.voice.runtime.mailbox import EngineEvents

MAX_BODY_BYTES = 4096


@dataclass(slots=True)
class TracedExchange:
    """An exchange in progress: its response, and what was wrong with it, as far as they are known."""

    response: HttpResponse | None = None
    error: VoiceError | None = None


@contextmanager
def traced_exchange(
    events: EngineEvents, *, kind: str, call: CallSid | None, request: WebRequest
) -> Iterator[TracedExchange]:
    """Trace the exchange of this block at its end, with the error that the block sets or raises."""
    exchange, began = TracedExchange(), events.now()
    try:
        yield exchange
    except VoiceError as error:
        exchange.error = error
        raise
    finally:
        for trace in traces_of_exchange(
            kind=kind,
            call=call,
            request=request,
            took_s=events.now() - began,
            response=exchange.response,
            error=exchange.error,
        ):
            events.trace(trace)


def traces_of_exchange(
    *,
    kind: str,
    call: CallSid | None,
    request: WebRequest,
    took_s: float,
    response: HttpResponse | None,
    error: VoiceError | None,
) -> list[WebhookTrace]:
    """Return a trace of each redirect and of the final response, without passwords and without audio."""
    first = WebhookTrace(
        call=call,
        kind=kind,
        method=request.method,
        url=without_secrets(request.url),
        form=request.form,
        status=0,
        took_ms=round(took_s * 1000),
    )
    shown_error = f"{error.code} {error.message}" if error is not None else ""
    if response is None:
        return [replace(first, error=shown_error)]
    hops = [
        replace(first, method=hop.method, url=hop.url, status=hop.status, body=f"→ {hop.location}")
        for hop in response.hops
    ]
    is_audio = response.content_type.startswith("audio/") or content_sniffing.is_binary(response.body)
    body = "" if is_audio else response.body[:MAX_BODY_BYTES].decode("utf-8", "replace")
    last = replace(
        first,
        method=response.method,
        url=response.url,
        status=response.status,
        content_type=response.content_type,
        body=body,
        error=shown_error,
    )
    return [*hops, last]
