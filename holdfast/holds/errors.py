"""What can go wrong with a hold, each with the words that help.

Two branches: `AskedWrong`, when our caller asked for what cannot be, and `AccountTrouble`, when the account behind us
did not do what it was told. Each carries its own verdict: a `code` for programs, a message for people, the `fix`, and
the HTTP status the JSON API answers with.
"""

from typing import ClassVar


class HoldsError(Exception):
    """Anything this package raises on purpose."""

    code: ClassVar[str] = "error"
    http: ClassVar[int] = 500

    def __init__(self, message: str, *, fix: str | None = None, hold: str | None = None) -> None:
        super().__init__(message if fix is None else f"{message}\n  {fix}")
        self.message = message
        self.fix = fix
        self.hold = hold
        """The id of the hold this happened to, where there is one."""


class AskedWrong(HoldsError):
    """Our caller asked for something that cannot be done."""

    code = "asked_wrong"
    http = 400


class BadInput(AskedWrong):
    """A value has the wrong form."""

    code = "bad_input"


class HoldRefused(AskedWrong):
    """No way can hold this call without harm; nothing was touched. `fix` is the line that would make it work."""

    code = "hold_refused"
    http = 409


class CallNotInProgress(AskedWrong):
    """The call is over, or never was."""

    code = "call_not_live"
    http = 409


class NotAllowed(AskedWrong):
    """The policy does not let this person do this."""

    code = "not_allowed"
    http = 403


class HoldUnknown(AskedWrong):
    """There is no hold of that id."""

    code = "hold_unknown"
    http = 404


class WrongEventLoop(AskedWrong):
    """A service was used from a second event loop, where it would wait for ever. `fix` names the way."""

    code = "wrong_event_loop"
    http = 500


class AccountTrouble(HoldsError):
    """The account did not do what it was told, or could not be asked."""

    code = "account_trouble"
    http = 502


class AccountUnreachable(AccountTrouble):
    """No connection, or no answer in time, to a question: nothing was changed by it."""

    code = "account_unreachable"
    http = 504


class OutcomeUnknown(AccountTrouble):
    """A change was sent and no answer came: it may or may not have been made. A read tells."""

    code = "outcome_unknown"
    http = 504


class AccountRefused(AccountTrouble):
    """The account answered with an error.

    Source: Twilio REST, error body: `status` is HTTP's, `code` Twilio's own.
    """

    code = "account_refused"

    def __init__(self, message: str, *, status: int, twilio_code: int | None = None, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.status = status
        self.twilio_code = twilio_code


class ResourceNotFound(AccountRefused):
    """The thing named is not there (any more): HTTP 404, code 20404; or the call is over: code 21220."""

    code = "not_there"


class WrongCredentials(AccountRefused):
    """The account's SID and token were not accepted: HTTP 401, code 20003."""

    code = "wrong_credentials"


class HoldFailed(AccountTrouble):
    """The account was told to hold the party and did not; the party is where it was."""

    code = "hold_failed"


class BeingStopped(HoldsError):
    """The server that carries the calls is being stopped and hangs them up: none can be kept on hold."""

    code = "being_stopped"
    http = 503


class StoreTrouble(HoldsError):
    """The store could not keep or find something."""

    code = "store_trouble"
    http = 503
