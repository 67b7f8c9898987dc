"""The documents the account asks us for. Each request must carry the account's signature.

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
from holdfast.holds.ids import CallSid, QueueSid, is_call_sid
from holdfast.holds.legs.continuation import FINAL, Continued, Report
from holdfast.holds.service import Holds
from holdfast.holds.steps.account_steps import ContinueDocument, Document, HangUp
from holdfast.holds.steps.documents import Documents, checked_url

MOST_FIELDS = 200
TOLD_EVERY_S = 60.0
"""How often the log tells of requests without our signature: anybody can send as many as they like."""

_log = logging.getLogger("holdfast.holds.web.webhooks")


class SignatureInvalid(HoldsError):
    """The request does not carry the signature of our account."""

    code = "not_signed"
    http = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedWebhook:
    """A webhook that was checked: whose call it is about, and what it says."""

    call: CallSid
    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """A parameter, or None when it is missing or empty."""
        return self.values.get(name) or None


class Forgeries:
    """Requests without our signature, for the log: the first at once, those that follow by their number."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._told_at = float("-inf")
        self._untold = 0

    def tell(self, path: str, public_url: str | None) -> None:
        """One more came."""
        self._untold += 1
        if self._now() - self._told_at < TOLD_EVERY_S:
            return
        _log.warning("path=%s fact=SignatureWrong count=%d public_url=%s", path, self._untold, public_url)
        self._told_at, self._untold = self._now(), 0


def make_webhooks(holds: Holds) -> APIRouter:
    """The routes under `/twiml`."""
    router = APIRouter(prefix="/twiml", include_in_schema=False)
    validator = RequestValidator(holds.account.token)
    forgeries = Forgeries(now=SystemClock().now)

    async def signed(request: Request) -> CheckedWebhook:
        return await _checked(request, validator, holds, forgeries)

    Signed = Annotated[CheckedWebhook, Depends(signed)]

    @router.api_route("/continue", methods=["GET", "POST"])
    async def go_on(hook: Signed) -> Response:
        report = Report(
            turn=_turn(hook),
            call_status=hook.get("CallStatus") or "in-progress",
            queue_result=hook.get("QueueResult"),
            dial_status=hook.get("DialCallStatus"),
        )
        await holds.load()
        result = None if holds.legs is None else await holds.legs.answer(hook.call, report)
        if result is None:
            return _twiml(_documents(holds).write(_without_pair(hook)))
        pair = result.pair
        after = pair.after if hook.call == pair.parent.call else None
        return _twiml(_documents(holds).write(result.answer, after=after), _follow(holds, hook.call, result))

    @router.api_route("/wait", methods=["GET", "POST"])
    async def wait(hook: Signed) -> Response:
        await holds.load()
        queue = hook.get("QueueSid")
        music = None
        if holds.legs is not None:
            music = await holds.legs.seen_waiting(hook.call, None if queue is None else QueueSid(queue))
        if music is None:
            # Nobody knows this call any more: it leaves the queue for its continuation, rather than wait for ever.
            return _twiml('<?xml version="1.0" encoding="UTF-8"?><Response><Leave /></Response>')
        return _twiml(_documents(holds).music(music))

    @router.api_route("/park", methods=["GET", "POST"])
    async def park(hook: Signed) -> Response:
        await holds.load()
        document: Document | None = None if holds.legs is None else holds.legs.document(hook.call)
        return _twiml(_documents(holds).write(document or _without_pair(hook)))

    @router.get("/music")
    async def music(hook: Signed) -> Response:
        url = checked_url("url", hook.get("url") or "")
        documents = _documents(holds)
        return _twiml(documents.music(url, again=documents.music_url(url)), cache=True)

    @router.api_route("/dial", methods=["GET", "POST"])
    async def dial(hook: Signed) -> Response:
        to = hook.get("to")
        if to is None:
            raise BadInput("nobody to dial: `to` is missing", fix="/twiml/dial?to=client:alice")
        after = hook.get("after")
        if after is not None:
            checked_url("after", after)
        holds.pairs.serve(hook.call, after)
        return _twiml(_documents(holds).dial(to, caller_id=hook.get("caller_id"), after=after))

    @router.post("/child")
    async def child(hook: Signed) -> Response:
        await holds.load()
        parent, status = hook.get("ParentCallSid"), hook.get("CallStatus")
        if status in FINAL:
            return Response(status_code=204, background=BackgroundTask(_quietly, holds.ended, hook.call))
        if status == "in-progress" and parent is not None and is_call_sid(parent):
            await holds.introduce(CallSid(parent), hook.call, after=hook.get("after"))
        return Response(status_code=204)

    return router


async def _checked(request: Request, validator: RequestValidator, holds: Holds, forgeries: Forgeries) -> CheckedWebhook:
    try:
        fields = parse_qsl(
            (await request.body()).decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=False,
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise BadInput("the body is no form") from error
    form: ImmutableMultiDict[str, str] = ImmutableMultiDict(fields)
    signature = request.headers.get("X-Twilio-Signature", "")
    if not any(_valid(validator, url, form, signature) for url in _addresses(request, holds.public_url)):
        forgeries.tell(request.url.path, holds.public_url)
        raise SignatureInvalid(
            "the X-Twilio-Signature of this request is missing or wrong",
            fix="public_url must be the address the account uses for us, and the auth token the account's own.",
        )
    values = {**dict(request.query_params), **dict(form)}
    call = values.get("CallSid", "")
    if values.get("AccountSid") != holds.account.sid or not is_call_sid(call):
        raise BadInput("the request is about no call of this account")
    return CheckedWebhook(call=CallSid(call), values=values)


def _addresses(request: Request, public_url: str | None) -> list[str]:
    """What the account may have signed: our public address, or the one this request came to."""
    target = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
    if request.url.query:
        target += f"?{request.url.query}"
    bases = [] if public_url is None else [public_url.rstrip("/")]
    host = request.headers.get("host")
    if host is not None:
        bases += [f"{scheme}://{host}" for scheme in ("http", "https")]
    return [base + target for base in bases]


def _valid(validator: RequestValidator, url: str, form: ImmutableMultiDict[str, str], signature: str) -> bool:
    try:
        return bool(validator.validate(url, form, signature))
    except ValueError:
        # A Host header that makes no URL.
        return False


def _turn(hook: CheckedWebhook) -> int:
    text = hook.get("turn") or "0"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _without_pair(hook: CheckedWebhook) -> Document:
    """What a call does whose pair is over and forgotten: what its own address says, else it hangs up."""
    after = hook.get("after")
    if after is None:
        return HangUp()
    return ContinueDocument(url=checked_url("after", after))


def _documents(holds: Holds) -> Documents:
    if holds.documents is None:
        raise BadInput("this service has no address of its own", fix="Give Holds(…, public_url=…).")
    return holds.documents


def _follow(holds: Holds, call: CallSid, result: Continued) -> BackgroundTask | None:
    if not (result.steps or result.gone or result.pair.over or result.not_queued or result.music_failed):
        return None
    return BackgroundTask(_quietly, holds.follow, call, result)


async def _quietly(work: Callable[..., Awaitable[None]], *arguments: object) -> None:
    """Work that nobody waits for: its trouble is logged, and looked after at the next round."""
    try:
        await work(*arguments)
    except HoldsError as error:
        _log.warning("fact=FollowUpFailed why=%s", error.message)


def _twiml(document: str, background: BackgroundTask | None = None, *, cache: bool = False) -> Response:
    headers = {"Cache-Control": "max-age=3600" if cache else "no-store"}
    return Response(document, media_type="text/xml", headers=headers, background=background)
