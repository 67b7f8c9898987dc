"""Assign SIP messages to calls, and write each one into the trace of its call, without secrets."""

from __future__ import annotations

import re
import secrets

from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import RecordTrace, SipMessageTrace
from holdfast.voice.sip.effects import MessageSeen, SessionId

MAX_SESSIONS = 20_000
"""How many sessions are remembered, so that late messages find their call."""
_SPACE = rb"(?:[ \t]|\r?\n[ \t])*"
"""White space between the parts of a field, which may go on in the next line. Source: RFC 3261 §25.1 (LWS)."""
_SRTP_KEY = re.compile(rb"(?i)(inline:[ \t]*)[^|\s;]+")
"""An SRTP key: a reader of the journal must not be able to decrypt the audio. Source: RFC 4568 §6.1, §9.1."""
_DIGEST_RESPONSE = re.compile(rb"(?i)(\bresponse%b=%b)(?!%b\")[^\",\s]+" % (_SPACE, _SPACE, _SPACE))
"""A digest response: with its nonce it is enough to guess the password. Source: RFC 7616 §3.4, §5.13."""
_QUOTED_DIGEST_RESPONSE = re.compile(rb"(?is)(\bresponse%b=%b\")(?:[^\"\\]|\\.)+" % (_SPACE, _SPACE))
_OTHER_CREDENTIALS = re.compile(
    rb"(?im)^((?:proxy-)?authorization[ \t]*:%b)(?=\S)(?!digest\b)[^\r\n]+(?:\r?\n[ \t]+[^\r\n]*)*" % _SPACE
)
"""All credentials of another scheme, which some peers write in one word with it. Source: RFC 3261 §20.7."""


class SipTrace:
    """The calls of the latest sessions."""

    def __init__(self, on_trace: RecordTrace) -> None:
        self._on_trace = on_trace
        self._calls: dict[SessionId, CallSid] = {}

    def assign(self, session: SessionId, call: CallSid) -> None:
        """Assign a session to a call."""
        if len(self._calls) >= MAX_SESSIONS:
            del self._calls[next(iter(self._calls))]
        self._calls[session] = call

    def call_of(self, session: SessionId) -> CallSid:
        """Return the call of a session. An unknown session is a new inbound call, and gets a SID."""
        if session not in self._calls:
            self.assign(session, CallSid(f"CA{secrets.token_hex(16)}"))
        return self._calls[session]

    def record(self, message: MessageSeen) -> None:
        """Write one sent or received message into the trace."""
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
    for secret in (_SRTP_KEY, _QUOTED_DIGEST_RESPONSE, _DIGEST_RESPONSE, _OTHER_CREDENTIALS):
        data = secret.sub(rb"\1***", data)
    return data
