"""This module serves the documents that the account requests. Each request must carry the account's signature.

Source: Twilio, "Webhooks security"; TwiML <Dial> action, <Enqueue> waitUrl and action.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response
from starlette.background import BackgroundTask
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from holdfast.holds.clock import SystemClock
from holdfast.holds.errors import BadInput, HoldsError
from holdfast.holds.ids import CallSid, QueueSid
from holdfast.holds.legs.continuation import FINAL_STATUSES, ContinuationRequest, ContinuationResult
from holdfast.holds.service import Holds
from holdfast.holds.steps.account_steps import ContinueDocument, Document, EndLeg
from holdfast.holds.steps.documents import Documents
from holdfast.holds.validation import checked_url, is_call_sid

MAX_FIELDS = 200
LOG_INTERVAL_S = 60.0
"""How often the log reports requests without our signature: any client can send as many as it likes."""

_log = logging.getLogger("holdfast.holds.web.document_endpoints")


class SignatureInvalid(HoldsError):
    """The request does not carry the signature of our account."""

    code = "not_signed"
    http = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedWebhook:
    """A checked webhook is a request with a valid signature: its call and its parameters."""

    call: CallSid
    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """Return a parameter, or None when it is missing or empty."""
        return self.values.get(name) or None


class RejectedSignatures:
    """Rejected signatures are logged: the first request at once, those that follow by their number."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._logged_at = float("-inf")
        self._unlogged = 0

    def log(self, path: str, public_url: str | None) -> None:
        """Count one rejected request, and log it unless the last log line is recent."""
        self._unlogged += 1
        if self._now() - self._logged_at < LOG_INTERVAL_S:
            return
        _log.warning("path=%s fact=SignatureWrong count=%d public_url=%s", path, self._unlogged, public_url)
        self._logged_at, self._unlogged = self._now(), 0


def make_webhooks(holds: Holds) -> APIRouter:
    """Return the routes under `/twiml`."""
    router = APIRouter(prefix="/twiml", include_in_schema=False)
    validator = RequestValidator(holds.account.token)
    rejected = RejectedSignatures(now=SystemClock().now)

    async def signed(request: Request) -> CheckedWebhook:
        return await _check_webhook(request, validator, holds, rejected)

    Signed = Annotated[CheckedWebhook, Depends(signed)]

    @router.api_route("/continue", methods=["GET", "POST"])
    async def continue_call(webhook: Signed) -> Response:
        report = ContinuationRequest(
            generation=_generation(webhook),
            call_status=webhook.get("CallStatus") or "in-progress",
            queue_result=webhook.get("QueueResult"),
            dial_status=webhook.get("DialCallStatus"),
        )
        await holds.load()
        result = None if holds.legs is None else await holds.legs.continue_call(webhook.call, report)
        if result is None:
            return _twiml(_documents(holds).write(_document_without_pair(webhook)))
        pair = result.pair
        after = pair.after if webhook.call == pair.parent.call else None
        return _twiml(_documents(holds).write(result.document, after=after), _follow_up(holds, webhook.call, result))

    @router.api_route("/wait", methods=["GET", "POST"])
    async def wait(webhook: Signed) -> Response:
        await holds.load()
        queue = webhook.get("QueueSid")
        music = None
        if holds.legs is not None:
            music = await holds.legs.confirm_waiting(webhook.call, None if queue is None else QueueSid(queue))
        if music is None:
            # The pair is not known any more: the call leaves the queue for its continuation.
            return _twiml('<?xml version="1.0" encoding="UTF-8"?><Response><Leave /></Response>')
        return _twiml(_documents(holds).music(music))

    @router.api_route("/park", methods=["GET", "POST"])
    async def park(webhook: Signed) -> Response:
        await holds.load()
        document: Document | None = None if holds.legs is None else holds.legs.document(webhook.call)
        return _twiml(_documents(holds).write(document or _document_without_pair(webhook)))

    @router.get("/music")
    async def music(webhook: Signed) -> Response:
        url = checked_url("url", webhook.get("url") or "")
        documents = _documents(holds)
        return _twiml(documents.music(url, repeat_url=documents.music_url(url)), cache=True)

    @router.api_route("/dial", methods=["GET", "POST"])
    async def dial(webhook: Signed) -> Response:
        to = webhook.get("to")
        if to is None:
            raise BadInput("`to` is missing: no party to dial", fix="/twiml/dial?to=client:alice")
        after = webhook.get("after")
        if after is not None:
            checked_url("after", after)
        holds.pairs.add_served(webhook.call, after)
        return _twiml(_documents(holds).dial(to, caller_id=webhook.get("caller_id"), after=after))

    @router.post("/child")
    async def child(webhook: Signed) -> Response:
        await holds.load()
        parent, status = webhook.get("ParentCallSid"), webhook.get("CallStatus")
        if status in FINAL_STATUSES:
            return Response(
                status_code=204, background=BackgroundTask(_in_background, holds.handle_call_ended, webhook.call)
            )
        if status == "in-progress" and parent is not None and is_call_sid(parent):
            await holds.add_child(CallSid(parent), webhook.call, after=webhook.get("after"))
        return Response(status_code=204)

    return router


async def _check_webhook(
    request: Request, validator: RequestValidator, holds: Holds, rejected: RejectedSignatures
) -> CheckedWebhook:
    try:
        fields = parse_qsl(
            (await request.body()).decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=False,
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise BadInput("the body is no form") from error
    form: ImmutableMultiDict[str, str] = ImmutableMultiDict(fields)
    signature = request.headers.get("X-Twilio-Signature", "")
    if not any(_is_signed(validator, url, form, signature) for url in _signed_urls(request, holds.public_url)):
        rejected.log(request.url.path, holds.public_url)
        raise SignatureInvalid(
            "the X-Twilio-Signature of this request is missing or wrong",
            fix="public_url must be the address the account uses for us, and the auth token the account's own.",
        )
    values = {**dict(request.query_params), **dict(form)}
    call = values.get("CallSid", "")
    if values.get("AccountSid") != holds.account.sid or not is_call_sid(call):
        raise BadInput("the request is about no call of this account")
    return CheckedWebhook(call=CallSid(call), values=values)


def _signed_urls(request: Request, public_url: str | None) -> list[str]:
    """Return the URLs that the account may have signed: with our public address, or with the request's own."""
    target = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
    if request.url.query:
        target += f"?{request.url.query}"
    bases = [] if public_url is None else [public_url.rstrip("/")]
    host = request.headers.get("host")
    if host is not None:
        bases += [f"{scheme}://{host}" for scheme in ("http", "https")]
    return [base + target for base in bases]


def _is_signed(validator: RequestValidator, url: str, form: ImmutableMultiDict[str, str], signature: str) -> bool:
    try:
        return bool(validator.validate(url, form, signature))
    except ValueError:
        # A Host header that makes no URL.
        return False


def _generation(webhook: CheckedWebhook) -> int:
    text = webhook.get("turn") or "0"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _document_without_pair(webhook: CheckedWebhook) -> Document:
    """Return the document of a call whose pair is unknown: its own continuation URL says it, else it hangs up."""
    after = webhook.get("after")
    if after is None:
        return EndLeg()
    return ContinueDocument(url=checked_url("after", after))


def _documents(holds: Holds) -> Documents:
    if holds.documents is None:
        raise BadInput("this service has no address of its own", fix="Give Holds(…, public_url=…).")
    return holds.documents


def _follow_up(holds: Holds, call: CallSid, result: ContinuationResult) -> BackgroundTask | None:
    if not (result.steps or result.ended_call or result.pair.over or result.not_queued or result.music_failed):
        return None
    return BackgroundTask(_in_background, holds.apply_continuation, call, result)


async def _in_background(work: Callable[..., Awaitable[None]], *arguments: object) -> None:
    """Run work in the background: its errors are logged, and the next check of the service handles them."""
    try:
        await work(*arguments)
    except HoldsError as error:
        _log.warning("fact=FollowUpFailed why=%s", error.message)


def _twiml(document: str, background: BackgroundTask | None = None, *, cache: bool = False) -> Response:
    headers = {"Cache-Control": "max-age=3600" if cache else "no-store"}
    return Response(document, media_type="text/xml", headers=headers, background=background)
