"""Keep the newest messages that programs sent, and report for each that it was not delivered.

Nothing of a message leaves the machine, but the callback that its program asked for. Source: Twilio API, Message
resource, "Message status values".
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import LogNotification, PostCallback, WebEffect
from holdfast.voice.runtime.directory.collection import Collection
from holdfast.voice.runtime.messages.message_record import MessageRecord

CAPACITY: Final = 1000
NOT_SENT: Final[Literal["failed"]] = "failed"
"""The status of a message that could not be sent. `undelivered` is Twilio's word for one that a carrier refused."""
NOT_DELIVERED: Final = 30006
"""Twilio's code for a carrier that cannot be reached. There is none here."""


class WebEffects(Protocol):
    """Carries out web effects."""

    def carry_out(self, effect: WebEffect) -> None:
        """Start an effect."""


class MessageLog:
    """A bounded list of messages, which is stored. `accepts` is whether programs may send messages at all."""

    def __init__(
        self, records: Collection[MessageRecord], web: WebEffects, *, accepts: bool = True, capacity: int = CAPACITY
    ) -> None:
        self.accepts = accepts
        self._records = records
        self._web = web
        self._capacity = capacity

    def all(self) -> tuple[MessageRecord, ...]:
        """Return the messages, the newest first."""
        return self._records.all()

    def with_sid(self, sid: str) -> MessageRecord | None:
        """Return the message with this SID, or None."""
        return self._records.get(sid)

    async def put(self, record: MessageRecord) -> None:
        """Add or replace a message, and remove those beyond the bound. Raises: StoreFailed."""
        await self._records.put(record)
        for old in self._records.all()[self._capacity :]:
            await self._records.remove(old.key)

    async def remove(self, key: str) -> None:
        """Remove a message. Raises: StoreFailed."""
        await self._records.remove(key)

    def report(self, record: MessageRecord, *, account: str, callback: str | None) -> None:
        """Warn that a message was not delivered, and post its status to the callback, if it has one."""
        warning = f"Message {record.sid} to {record.to} was not delivered: this server records messages and sends none"
        self._web.carry_out(LogNotification(call=None, code=NOT_DELIVERED, log=1, message=warning))
        if callback is None:
            return
        form = [
            *(("MessageSid", record.sid), ("MessageStatus", NOT_SENT), ("ErrorCode", str(NOT_DELIVERED))),
            *(("SmsSid", record.sid), ("SmsStatus", NOT_SENT), ("AccountSid", account), ("ApiVersion", "2010-04-01")),
            *(("To", record.to), ("From", record.from_ or "")),
        ]
        if record.messaging_service_sid:
            form.append(("MessagingServiceSid", record.messaging_service_sid))
        request = WebRequest(url=callback, form=tuple(form))
        self._web.carry_out(PostCallback(call=None, kind="message", request=request))
