"""This module defines the errors of the holds service.

Two branches: `RequestError` when our caller asks for something that cannot be done, and `AccountError` when the account
does not do what it was asked. Each error carries its own verdict: a `code` for programs, a message for people, the
`fix`, and the HTTP status of the JSON API's response.
"""

from typing import ClassVar


class HoldsError(Exception):
    """A holds error is the base of every error that this package raises on purpose."""

    code: ClassVar[str] = "error"
    http: ClassVar[int] = 500

    def __init__(self, message: str, *, fix: str | None = None, hold: str | None = None) -> None:
        super().__init__(message if fix is None else f"{message}\n  {fix}")
        self.message = message
        self.fix = fix
        self.hold = hold
        """The id of the hold concerned, where there is one."""


class RequestError(HoldsError):
    """The request cannot be carried out."""

    code = "asked_wrong"
    http = 400


class BadInput(RequestError):
    """A value has the wrong form."""

    code = "bad_input"


class HoldRefused(RequestError):
    """No way can hold this call without harm, and nothing was touched.

    `fix` is the line that would make it work.
    """

    code = "hold_refused"
    http = 409


class CallNotInProgress(RequestError):
    """The call is over, or never existed."""

    code = "call_not_live"
    http = 409


class NotAllowed(RequestError):
    """The policy does not allow this person to do this."""

    code = "not_allowed"
    http = 403


class HoldUnknown(RequestError):
    """No hold has this id."""

    code = "hold_unknown"
    http = 404


class WrongEventLoop(RequestError):
    """The service was used from a second event loop, in which it would wait for ever.

    `fix` names the way.
    """

    code = "wrong_event_loop"
    http = 500


class AccountError(HoldsError):
    """The account did not do what it was asked, or could not be reached."""

    code = "account_trouble"
    http = 502


class AccountUnreachable(AccountError):
    """The account gave no connection, or no response in time, to a read: nothing was changed."""

    code = "account_unreachable"
    http = 504


class OutcomeUnknown(AccountError):
    """A change was sent and no response came: it may or may not have been made.

    A read shows which.
    """

    code = "outcome_unknown"
    http = 504


class AccountRefused(AccountError):
    """The account responded with an error.

    Source: Twilio REST, error body: `status` is HTTP's, `code` Twilio's own.
    """

    code = "account_refused"

    def __init__(self, message: str, *, status: int, twilio_code: int | None = None, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.status = status
        self.twilio_code = twilio_code


class ResourceNotFound(AccountRefused):
    """The resource does not exist any more (HTTP 404, code 20404), or the call is over (code 21220)."""

    code = "not_there"


class WrongCredentials(AccountRefused):
    """The account did not accept the SID and token: HTTP 401, code 20003."""

    code = "wrong_credentials"


class HoldFailed(AccountError):
    """The account was asked to hold the party and did not; the party is where it was."""

    code = "hold_failed"


class ServerStopping(HoldsError):
    """The server that carries the calls is stopping and hangs them up: no call can be kept on hold."""

    code = "being_stopped"
    http = 503


class StoreError(HoldsError):
    """The store could not save or read something."""

    code = "store_trouble"
    http = 503
