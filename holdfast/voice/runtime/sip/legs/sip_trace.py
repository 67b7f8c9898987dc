"""Whose message is whose: SIP sessions to calls, and each message as a line of its call's ladder."""

from __future__ import annotations

import re
import secrets

from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import RecordTrace, SipMessageTrace
from holdfast.voice.sip.effects import MessageSeen, SessionId

MAX_SESSIONS = 20_000
"""Sessions whose late messages still find their call."""
_SPACE = rb"(?:[ \t]|\r?\n[ \t])*"
"""Between the parts of a field, which may go on in the next line. Source: RFC 3261 §25.1 (LWS)."""
_KEY = re.compile(rb"(?i)(inline:[ \t]*)[^|\s;]+")
"""A key of SRTP: whoever reads the journal need not be able to open the sound. Source: RFC 4568 §6.1, §9.1."""
_PROOF = re.compile(rb"(?i)(\bresponse%b=%b)(?!%b\")[^\",\s]+" % (_SPACE, _SPACE, _SPACE))
"""What proves a password, and with its nonce is enough to guess at one. Source: RFC 7616 §3.4, §5.13."""
_QUOTED_PROOF = re.compile(rb"(?is)(\bresponse%b=%b\")(?:[^\"\\]|\\.)+" % (_SPACE, _SPACE))
_OTHER_PROOF = re.compile(
    rb"(?im)^((?:proxy-)?authorization[ \t]*:%b)(?=\S)(?!digest\b)[^\r\n]+(?:\r?\n[ \t]+[^\r\n]*)*" % _SPACE
)
"""All that follows any other scheme, which some write in one word with the proof. Source: RFC 3261 §20.7."""


class SipTrace:
    """The calls of the latest sessions."""

    def __init__(self, on_trace: RecordTrace) -> None:
        self._on_trace = on_trace
        self._calls: dict[SessionId, CallSid] = {}

    def assign(self, session: SessionId, call: CallSid) -> None:
        """A session of ours is of this call."""
        if len(self._calls) >= MAX_SESSIONS:
            del self._calls[next(iter(self._calls))]
        self._calls[session] = call

    def call_of(self, session: SessionId) -> CallSid:
        """The call of a session; a session not noted is a call in that begins, and gets its SID."""
        if session not in self._calls:
            self.assign(session, CallSid(f"CA{secrets.token_hex(16)}"))
        return self._calls[session]

    def record(self, message: MessageSeen) -> None:
        """One message went over the wire."""
        again = " (again)" if message.repeated else ""
        self._on_trace(
            SipMessageTrace(
                call=self.call_of(message.session),
                received=message.direction == "in",
                summary=f"{message.start_line} · {message.cseq}{again}",
                peer=f"{message.peer[0]}:{message.peer[1]}",
                text=_without_secrets(message.data).decode("utf-8", "replace"),
            )
        )


def _without_secrets(data: bytes) -> bytes:
    for secret in (_KEY, _QUOTED_PROOF, _PROOF, _OTHER_PROOF):
        data = secret.sub(rb"\1***", data)
    return data
