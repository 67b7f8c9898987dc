"""A verb is a frozen value that runs as a generator: it yields steps and receives facts.

A verb yields effects, internal commands, `AnswerCaller()` and the like, or `WAIT`. After `WAIT` it receives the next
fact of its call; after anything else it continues at once. It returns its outcome. It must be a function of its
attributes, the context and the facts alone, because it is rebuilt by silent replay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol, TypeVar, get_args, overload

from holdfast.voice.model.commands import Role, WebRequest
from holdfast.voice.model.effects import Effect
from holdfast.voice.model.facts import Fact, Interrupted
from holdfast.voice.model.ids import AccountSid, CallSid, Token, derive
from holdfast.voice.model.internal_commands import NounCommand
from holdfast.voice.twiml.attributes import AttributeReader
from holdfast.voice.twiml.open_resources import SHARED_KINDS, ResourceKind


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
Action = Effect | NounCommand | AnswerCaller | EarlyMedia | DeclineCaller
VerbStep = Action | Waiting
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


CALL_DOCUMENT: Final[frozenset[Role]] = frozenset({"main"})
"""The document of a call itself, which may use every verb."""
AUDIO_DOCUMENTS: Final[frozenset[Role]] = frozenset(get_args(Role))
"""Every document, because a caller hears each. Source: Twilio waitUrl, HoldUrl, AnnounceUrl, <Number url>, 13238."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb(ABC):
    """A verb is one instruction of a document. All that the engine must know about it stands in its class."""

    name: ClassVar[str] = ""
    roles: ClassVar[frozenset[Role]] = CALL_DOCUMENT
    """The documents that may use it."""
    has_children: ClassVar[bool] = False
    """Whether elements may stand in it; `parse` then warns about the others."""
    hears: ClassVar[tuple[type[Fact], ...]] = ()
    """The facts that it receives. Each of these kinds is stored until the verb ends, and received again by a replay."""
    resources: ClassVar[tuple[ResourceKind, ...]] = SHARED_KINDS
    """What it starts and is to be stopped when it ends."""

    @abstractmethod
    def run(self, context: VerbContext) -> Run:
        """Run the verb."""

    def needs(self, fact: Fact) -> bool:
        """Return whether it needs this fact of a kind that it hears; by its attributes some are of no use to it."""
        return True

    def receives(self, fact: Fact) -> bool:
        """Return whether this fact is delivered to it."""
        return isinstance(fact, self.hears) and self.needs(fact)

    def what_ends_it(self, elapsed_s: float) -> str:
        """Return the end of the sentence `Its document runs <Verb>` when there is more to say about its end."""
        return ""


class Element(Protocol):
    """An element of a document is read as a verb: most verbs read their own; `<Dial>` is read as one of three."""

    name: ClassVar[str]
    roles: ClassVar[frozenset[Role]]
    has_children: ClassVar[bool]

    @classmethod
    def parse(cls, reader: AttributeReader) -> Verb | None:
        """Return the verb of an element, or None (after a warning) when there is nothing to do."""
        ...


def next_fact() -> SubRun[Any]:
    """Wait for the next fact of a kind that the verb hears, and return it. Raises: Interruption."""
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
