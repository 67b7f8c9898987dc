"""The ports of the engine as tests give them to its parts: a mailbox to read, and an executor that keeps effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.voice.control.read_only_state import Message
from holdfast.voice.model.effects import Effect, MediaEffect
from holdfast.voice.model.ports import SipMessageTrace, WebhookTrace
from holdfast.voice.runtime.counters import Counters
from holdfast.voice.runtime.mailbox import Mailbox
from holdfast.voice.runtime.notification_log import Notifications


def make_mailbox(now: Callable[[], float] = lambda: 1000.0) -> Mailbox:
    return Mailbox(now=now, notifications=Notifications(clock=now, seed="seed"), counters=Counters())


def posted(mailbox: Mailbox) -> list[Message]:
    """Take all that was posted, without the traces."""
    found: list[Message] = []
    while (item := mailbox.take()) is not None:
        if not isinstance(item, SipMessageTrace | WebhookTrace):
            found.append(item)
    return found


class KeptEffects:
    """An executor that keeps the effects, audio apart from all others."""

    def __init__(self) -> None:
        self.audio: list[MediaEffect] = []
        self.others: list[Effect] = []

    def carry_out_audio(self, effects: Sequence[MediaEffect]) -> None:
        self.audio += effects

    def carry_out(self, effect: Effect) -> None:
        self.others.append(effect)
