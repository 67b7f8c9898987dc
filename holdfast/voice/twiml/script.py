"""A script is a document that runs for one call.

Its state is the document, the current verb and the facts since that verb began; the verb's generator is only a cache
of that state and is rebuilt from it by silent replay. The runner stops everything that a verb started when the verb
ends, for any reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from holdfast.voice.model.commands import (
    Role,
    WebRequest,
)
from holdfast.voice.model.facts import (
    Fact,
)
from holdfast.voice.model.ids import AccountSid, CallSid, Token
from holdfast.voice.twiml.document import Document, read
from holdfast.voice.twiml.open_resources import ROOM_KEY, OpenResource
from holdfast.voice.twiml.verb import Action, HangUp, QuitQueue, Verb

Cause = Literal["redirect", "hangup", "dequeue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script's state says which verb of its document runs, and which facts the verb has received.

    Invariant: `fetching` is set exactly while no verb runs. Shape: `facts` are (time, fact) since the verb began.
    """

    call: CallSid
    role: Role
    serial: int
    document: Document | None = None
    verb_index: int = 0
    starts: int = 0
    began_at: float = 0.0
    facts: tuple[tuple[float, Fact], ...] = ()
    open_resources: tuple[OpenResource, ...] = ()
    fetching: Token | None = None
    last_request: WebRequest | None = None
    fallback: WebRequest | None = None
    used_fallback: bool = False
    redirects: int = 0
    has_run: bool = False
    """Whether a verb of one of its documents has begun."""
    says_failure: bool = False
    """Whether it tells the party that the application failed, before the call ends."""
    audio_started: bool = False
    started_at: float = 0.0
    ended: Literal["", "over", "broken"] = ""
    """Set once a script has ended and is not stopped: its party hears silence."""
    audio_overdue: bool = False
    """Whether the hold music has not begun within its time."""

    @property
    def prefix(self) -> str:
        """Return the prefix of this script's tokens."""
        return f"{self.call}/{self.role}{self.serial}"

    @property
    def running_verb(self) -> Verb | None:
        """Return the verb that runs, or None while a document is fetched and after the script's end."""
        if self.fetching is not None or self.ended or self.document is None:
            return None
        return read(self.document).verbs[self.verb_index]

    @property
    def in_room(self) -> bool:
        """Return whether the running verb has brought the call into a room."""
        return any(resource.key == ROOM_KEY for resource in self.open_resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSubject:
    """The subject of a script is the call it runs for, as web servers learn of it.

    `form` makes the standard parameters, and is called within the turn. Only turns that make a request need them, and
    in a long queue they cost a look at each member.
    """

    call: CallSid
    account: AccountSid
    from_: str
    to: str
    direction: str
    form: Callable[[], tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEnded:
    """The document has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFailed:
    """The script failed and there was no fallback left."""

    code: int
    message: str


Ending = ScriptEnded | HangUp | QuitQueue | ScriptFailed


class ScriptTurn(NamedTuple):
    """A turn holds the script's new state and the actions to take; `ending` is None while the script runs."""

    script: Script
    actions: tuple[Action, ...]
    ending: Ending | None = None
