"""Run `<Refer>`: ask the caller's phone to call another party in place of us, and wait for its notifications."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, assert_never, get_args
from urllib.parse import unquote_plus

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import ReferLeg, StartTimer, StopTimer
from holdfast.voice.model.facts import Fact, LegReferred, ReferralNotified, TimerFired
from holdfast.voice.model.header_names import setter_of
from holdfast.voice.model.ids import Token
from holdfast.voice.model.sip_status_mapping import call_status_of
from holdfast.voice.twiml.attributes import AttributeReader
from holdfast.voice.twiml.verb import (
    AnswerCaller,
    Continue,
    Failed,
    GoToDocument,
    Interruption,
    Outcome,
    Run,
    Verb,
    VerbContext,
    next_fact,
)
from holdfast.voice.twiml.verbs.dial_nouns import MAX_HEADERS, MAX_URI, is_sip_uri, sip_text

NOTIFY_TIMEOUT_S = 60.0
"""The time that a phone may be silent about the call it was asked for, unless it names a time of its own."""
MAX_NOTIFY_TIMEOUT_S = 600.0
Heard = LegReferred | ReferralNotified | TimerFired


@dataclass(slots=True)
class ReferProgress:
    """The SIP statuses that the phone has sent so far. Units: 0 is none yet."""

    answered: int = 0
    notified: int = 0

    @property
    def status(self) -> str:
        """Return the status of the other call in the words of CallStatus; "" when it is unknown."""
        if self.answered >= 300 or self.notified >= 300:
            return call_status_of(self.notified) if self.notified else "failed"
        if self.notified >= 200:
            return "in-progress"
        return twilio_assumptions.REFERRAL_CUT_SHORT if self.notified else ""

    def form(self, status: str) -> tuple[tuple[str, str], ...]:
        """Return the parameters for `action`, without unknown ones. Source: TwiML <Refer> action."""
        params = (
            ("ReferCallStatus", status),
            ("ReferSipResponseCode", str(self.answered or "")),
            ("NotifySipResponseCode", str(self.notified or "")),
        )
        return tuple((name, value) for name, value in params if value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refer(Verb):
    """This verb refers the phone to another party, until that call is answered or refused, or notifications stop.

    Source: TwiML <Refer>; RFC 3515.
    """

    name: ClassVar[str] = "Refer"
    has_children: ClassVar[bool] = True
    hears: ClassVar[tuple[type[Fact], ...]] = get_args(Heard)
    target: str
    action: WebRequest | None = None

    @classmethod
    def parse(cls, reader: AttributeReader) -> Refer | None:
        action = reader.request("action", "method")
        nouns = [node for node in reader.node.children if node.tag == "Sip"]
        for node in reader.node.children:
            if node.tag != "Sip" or node is not nouns[0]:
                reader.warn(f"<{node.tag[:60]}> may not stand in it, or not twice; it is ignored")
        if not nouns:
            reader.warn("there is no <Sip> that names the target")
            return None
        uri, _, query = sip_text(nouns[0]).partition("?")
        if not is_sip_uri(uri) or len(uri) >= MAX_URI or len(query) >= MAX_HEADERS or not is_sip_uri(f"{uri}?{query}"):
            named = repr(uri[:60]) if uri else "an empty value"
            reader.warn(f"{named} is no SIP URI that a phone can be referred to", code=13243)
            return None
        fields = [field for field in query.split("&") if not _is_ours(reader, field)]
        return cls(target=f"{uri}?{'&'.join(fields)}" if query and fields else uri, action=action)

    def run(self, context: VerbContext) -> Run:
        if context.direction != "inbound" and not context.to.lower().startswith(("sip:", "sips:")):
            message = "<Refer> is for calls of SIP phones: one placed to a number or a client cannot be referred"
            return Failed(code=13801, message=message)
        yield AnswerCaller()
        progress = ReferProgress()
        timer = context.token()
        yield StartTimer(token=timer, after_s=NOTIFY_TIMEOUT_S)
        yield ReferLeg(call=context.call, target=self.target)
        try:
            while True:
                fact: Heard = yield from next_fact()
                match fact:
                    case LegReferred(sip_code=code):
                        progress.answered = code
                        if code >= 300:
                            return self._outcome(progress, progress.status)
                    case ReferralNotified(sip_code=code, is_over=is_over, expires_s=lasts_s):
                        progress.notified = code or progress.notified
                        if is_over:
                            return self._outcome(progress, progress.status)
                        yield from _restart_timer(timer, lasts_s)
                    case TimerFired(token=token) if token == timer:
                        return self._outcome(progress, progress.status)
                    case TimerFired():
                        pass
                    case _:
                        assert_never(fact)
        except Interruption as interruption:
            if interruption.cause != "hangup" and not twilio_assumptions.REDIRECTED_REFER_REQUESTS_ACTION:
                raise
            return self._outcome(progress, "canceled")

    def _outcome(self, progress: ReferProgress, status: str) -> Outcome:
        if self.action is None:
            return Continue()
        return GoToDocument(request=replace(self.action, form=(*self.action.form, *progress.form(status))))


def _restart_timer(timer: Token, lasts_s: float | None) -> Run:
    """Restart the timer with the time that the phone names, or with the default."""
    yield StopTimer(token=timer)
    yield StartTimer(token=timer, after_s=min(max(lasts_s or NOTIFY_TIMEOUT_S, 1.0), MAX_NOTIFY_TIMEOUT_S))
    return Continue()


def _is_ours(reader: AttributeReader, field: str) -> bool:
    """Tell whether only the engine sets this header field of an address; a warning when it is. Source: error 13252."""
    name = unquote_plus(field.partition("=")[0]).strip()
    if setter_of(name) != "us":
        return False
    reader.warn(f"the header field {name[:60]!r} may not be set", code=13252)
    return True
