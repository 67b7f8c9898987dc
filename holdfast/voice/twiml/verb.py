"""What a verb is: a frozen value that can run, as a generator of steps that receives facts.

A verb yields effects, commands to other nouns, `Answer()` or `WAIT`. After `WAIT` it is sent the next fact of its
call; after anything else it goes on at once. It returns its outcome. It must be a function of its attributes, the
context and the facts alone, because it is rebuilt by silent replay.
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
    """From here on the caller is to be answered. Nothing happens when it was."""


@dataclass(frozen=True, slots=True)
class EarlyMedia:
    """From here on a caller that rings hears what is played to it. Nothing happens when it was answered."""


@dataclass(frozen=True, slots=True)
class DeclineCaller:
    """The caller is turned away unanswered, if it was not answered before."""

    sip_code: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The verb has nothing to do until the next fact."""


WAIT = Waiting()


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """Go on with the next verb."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoToDocument:
    """Go on with the document that this request brings."""

    request: WebRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """The call is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuitQueue:
    """`<Leave>`: the waiting is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The verb failed as an error, not as a warning: the fallback is due."""

    code: int
    message: str


Outcome = Continue | GoToDocument | HangUp | QuitQueue | Failed
VerbStep = Effect | NounCommand | AnswerCaller | EarlyMedia | DeclineCaller | Waiting
Run = Generator[VerbStep, "Fact | None", Outcome]
T = TypeVar("T")
SubRun = Generator[VerbStep, "Fact | None", T]


class Interruption(Exception):
    """Thrown into a verb that is taken away; a verb that owes a goodbye request catches it and returns a Jump."""

    def __init__(self, cause: Literal["redirect", "hangup", "dequeue"]) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(slots=True, kw_only=True)
class VerbContext:
    """What a running verb may know of its call, and where it gets its names from.

    Invariant: made anew for each start and each rebuild of a verb, so that the same tokens come out.
    Units: `now` is the time of the fact the verb was sent last, in seconds.
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
        """A new name for something this verb starts."""
        self.tokens_taken += 1
        return Token(f"{self.prefix}.{self.tokens_taken}")

    def sid(self, prefix: str) -> str:
        """A SID for a noun this verb makes."""
        return derive(prefix, self.token())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb(ABC):
    """One instruction of a document."""

    name: ClassVar[str] = ""

    @abstractmethod
    def run(self, context: VerbContext) -> Run:
        """The verb's doing."""

    def accepts_digit(self, digit: str) -> bool:
        """Whether this key of the caller means something to the verb; any other is no fact of its."""
        return False

    def accepts_refer(self) -> bool:
        """Whether a phone may ask the verb to put the other party through elsewhere."""
        return False


class Element(Protocol):
    """An element of a document: most verbs read their own; `<Dial>` is read as one verb or another."""

    @classmethod
    def parse(cls, reader: AttributeReader) -> Verb | None:
        """The verb an element describes, or None (after a warning) when there is nothing to do."""
        ...


def next_fact() -> SubRun[Fact]:
    """The next fact, whatever it is. Raises: Interruption."""
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
    """The next fact of these kinds (and with this token), passing over all others. Raises: Interruption."""
    while True:
        fact = yield from next_fact()
        if isinstance(fact, kinds) and (token is None or getattr(fact, "token", None) == token):
            return fact
