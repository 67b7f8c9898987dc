"""A script: a document being run for one ear.

Its state is the document, the verb it has come to and the facts since that verb began; the verb's generator is only
a cache of that state and is rebuilt from it by silent replay. Whatever a verb starts is stopped when the verb is
left, for any reason, so no verb can forget.
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
from holdfast.voice.twiml.document import Document
from holdfast.voice.twiml.open_resources import Action, OpenResource
from holdfast.voice.twiml.verb import (
    HangUp,
    QuitQueue,
)

Cause = Literal["redirect", "hangup", "dequeue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Where a script stands.

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
    audio_started: bool = False
    started_at: float = 0.0
    ended: Literal["", "over", "broken"] = ""
    """A script that is over but not stopped: its ear hears silence."""
    audio_overdue: bool = False
    """The time within which a hold's own sound should have begun is over."""

    @property
    def prefix(self) -> str:
        """What the tokens of this script begin with."""
        return f"{self.call}/{self.role}{self.serial}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSubject:
    """The call a script runs for, as its documents are told of it.

    `form` makes the standard parameters, and is asked within the turn. Only turns that ask a web server need them, and
    those of a long queue cost a look at each of its members.
    """

    call: CallSid
    account: AccountSid
    from_: str
    to: str
    direction: str
    form: Callable[[], tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEnded:
    """The document has come to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFailed:
    """The script failed and there was no fallback left."""

    code: int
    message: str


Ending = ScriptEnded | HangUp | QuitQueue | ScriptFailed


class ScriptTurn(NamedTuple):
    """What became of a script, and what is to be done; `ending` None while it goes on."""

    script: Script
    actions: tuple[Action, ...]
    ending: Ending | None = None
