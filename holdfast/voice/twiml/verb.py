"""A verb is a frozen value that runs as a generator: it yields steps and receives facts.

A verb yields effects, internal commands, `AnswerCaller()` and the like, or `WAIT`. After `WAIT` it receives the next
fact of its call; after anything else it continues at once. It returns its outcome. It must be a function of its
attributes, the context and the facts alone, because it is rebuilt by silent replay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, overload

from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import Effect
from holdfast.voice.model.facts import Fact, Interrupted
from holdfast.voice.model.ids import AccountSid, CallSid, Token, derive
from holdfast.voice.model.internal_commands import NounCommand
from holdfast.voice.twiml.attributes import AttributeReader


@dataclass(frozen=True, slots=True)
class AnswerCaller:
    """Answer the caller, unless it was answered before."""


@dataclass(frozen=True, slots=True)
class EarlyMedia:
    """Let a caller that rings hear what is played to it; nothing happens once it is answered."""


@dataclass(frozen=True, slots=True)
class DeclineCaller:
    """Decline the caller, unless it was answered before."""

    sip_code: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Wait for the next fact."""


WAIT = Waiting()


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """Continue with the next verb."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoToDocument:
    """Continue with the document of this request."""

    request: WebRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """End the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuitQueue:
    """End the wait in the queue (`<Leave>`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The verb failed with an error: the fallback is due."""

    code: int
    message: str


Outcome = Continue | GoToDocument | HangUp | QuitQueue | Failed
VerbStep = Effect | NounCommand | AnswerCaller | EarlyMedia | DeclineCaller | Waiting
Run = Generator[VerbStep, "Fact | None", Outcome]
T = TypeVar("T")
SubRun = Generator[VerbStep, "Fact | None", T]


class Interruption(Exception):
    """An interruption is thrown into a verb; a verb with a final request catches it and returns GoToDocument."""

    def __init__(self, cause: Literal["redirect", "hangup", "dequeue"]) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(slots=True, kw_only=True)
class VerbContext:
    """The context tells a running verb about its call, and makes its tokens and SIDs.

    Invariant: each start and each rebuild of a verb has a new context, so that the same tokens result.
    Units: `now` is the time of the verb's latest fact, in seconds.
    """

    call: CallSid
    account: AccountSid
    from_: str
    to: str
    direction: str
    prefix: str
    base_url: str
    method: Literal["GET", "POST"]
    now: float
    tokens_taken: int = 0

    def token(self) -> Token:
        """Make a new token for something this verb starts."""
        self.tokens_taken += 1
        return Token(f"{self.prefix}.{self.tokens_taken}")

    def sid(self, prefix: str) -> str:
        """Make a SID for a noun that this verb creates."""
        return derive(prefix, self.token())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb(ABC):
    """A verb is one instruction of a document."""

    name: ClassVar[str] = ""

    @abstractmethod
    def run(self, context: VerbContext) -> Run:
        """Run the verb."""

    def accepts_digit(self, digit: str) -> bool:
        """Return whether the verb handles this digit. Other digits are not delivered to it."""
        return False

    def accepts_refer(self) -> bool:
        """Return whether a phone may ask the verb to transfer its peer."""
        return False


class Element(Protocol):
    """An element of a document is read as a verb: most verbs read their own; `<Dial>` is read as one of three."""

    @classmethod
    def parse(cls, reader: AttributeReader) -> Verb | None:
        """Return the verb of an element, or None (after a warning) when there is nothing to do."""
        ...


def next_fact() -> SubRun[Fact]:
    """Wait for the next fact and return it. Raises: Interruption."""
    fact = yield WAIT
    assert fact is not None
    if isinstance(fact, Interrupted):
        raise Interruption(fact.cause)
    return fact


A = TypeVar("A", bound=Fact)
B = TypeVar("B", bound=Fact)


@overload
def until(first: type[A], /, *, token: Token | None = None) -> SubRun[A]: ...
@overload
def until(first: type[A], second: type[B], /, *, token: Token | None = None) -> SubRun[A | B]: ...
def until(*kinds: type[Any], token: Token | None = None) -> SubRun[Any]:
    """Wait for the next fact of these kinds (and with this token); ignore all others. Raises: Interruption."""
    while True:
        fact = yield from next_fact()
        if isinstance(fact, kinds) and (token is None or getattr(fact, "token", None) == token):
            return fact
