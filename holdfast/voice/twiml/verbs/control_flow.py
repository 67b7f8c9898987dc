"""Run the verbs that control a document's flow: `<Pause>`, `<Redirect>`, `<Hangup>`, `<Reject>`, `<Leave>`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from holdfast.voice.model.commands import Role, WebRequest
from holdfast.voice.model.effects import StartTimer
from holdfast.voice.model.facts import Fact, TimerFired
from holdfast.voice.twiml.attributes import AttributeReader
from holdfast.voice.twiml.verb import (
    AUDIO_DOCUMENTS,
    Continue,
    DeclineCaller,
    Failed,
    GoToDocument,
    HangUp,
    QuitQueue,
    Run,
    Verb,
    VerbContext,
    until,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(Verb):
    """This verb waits in silence. It does not answer a call that rings.

    Units: `length_s` in seconds, at least 1. Source: TwiML <Pause>.
    """

    name: ClassVar[str] = "Pause"
    roles: ClassVar[frozenset[Role]] = AUDIO_DOCUMENTS
    hears: ClassVar[tuple[type[Fact], ...]] = (TimerFired,)
    length_s: int = 1

    @classmethod
    def parse(cls, reader: AttributeReader) -> Pause:
        reader.codes = {"length": 13910}
        return cls(length_s=reader.integer("length", 1, low=1, high=86400))

    def run(self, context: VerbContext) -> Run:
        timer = context.token()
        yield StartTimer(token=timer, after_s=self.length_s)
        yield from until(TimerFired, token=timer)
        return Continue()

    def what_ends_it(self, elapsed_s: float) -> str:
        return f", {max(0.0, self.length_s - elapsed_s):.0f} s left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(Verb):
    """This verb continues with another document; an empty URL is the current document's. Source: TwiML <Redirect>."""

    name: ClassVar[str] = "Redirect"
    roles: ClassVar[frozenset[Role]] = AUDIO_DOCUMENTS
    request: WebRequest

    @classmethod
    def parse(cls, reader: AttributeReader) -> Redirect:
        reader.codes = {"method": 13710}
        return cls(request=WebRequest(url=reader.url(reader.node.text), method=reader.method()))

    def run(self, context: VerbContext) -> Run:
        yield from ()
        return GoToDocument(request=self.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup(Verb):
    """This verb ends the call; a call that was never answered is declined. Source: TwiML <Hangup>."""

    name: ClassVar[str] = "Hangup"
    roles: ClassVar[frozenset[Role]] = frozenset({"main", "queue", "screen"})

    @classmethod
    def parse(cls, reader: AttributeReader) -> Hangup:
        return cls()

    def run(self, context: VerbContext) -> Run:
        yield from ()
        return HangUp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(Verb):
    """This verb rejects an unanswered call: declined (603) or busy (486). Source: TwiML <Reject>."""

    name: ClassVar[str] = "Reject"
    roles: ClassVar[frozenset[Role]] = frozenset({"main", "screen"})
    sip_code: int = 603

    @classmethod
    def parse(cls, reader: AttributeReader) -> Reject:
        return cls(sip_code=486 if reader.choice("reason", "rejected", ("rejected", "busy")) == "busy" else 603)

    def run(self, context: VerbContext) -> Run:
        yield DeclineCaller(self.sip_code)
        return HangUp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(Verb):
    """This verb leaves the queue. It does nothing outside of a queue's wait document. Source: TwiML <Leave>."""

    name: ClassVar[str] = "Leave"
    roles: ClassVar[frozenset[Role]] = frozenset({"main", "queue"})

    @classmethod
    def parse(cls, reader: AttributeReader) -> Leave:
        return cls()

    def run(self, context: VerbContext) -> Run:
        yield from ()
        return QuitQueue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Verb):
    """This verb stands for an invalid element that is an error and not a warning: the fallback is due."""

    name: ClassVar[str] = "Fault"
    code: int
    message: str

    def run(self, context: VerbContext) -> Run:
        yield from ()
        return Failed(code=self.code, message=self.message)
