"""Authenticate requests by HTTP Basic, with the account's SID and token or an API key."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable
from typing import Literal

from holdfast.voice.api.errors import NotAuthenticated
from holdfast.voice.model.ids import AccountSid

_ACCOUNT = re.compile(r"/Accounts/([^/]+)")


_ACCOUNT_ONLY_PATHS = re.compile(r"/Accounts(/[^/]+)?(\.json)?(/(Keys|SigningKeys)([/.].*)?)?\Z")
"""The paths that an API key may not use: accounts and keys. Source: Twilio docs, "API keys", standard keys."""


def _no_keys(sid: str, secret: str) -> bool:
    return False


class RestCredentials:
    """The credentials of the account: its token, or an API key. All comparisons take constant time.

    `key_matches` returns whether a secret is that of the key with a SID.
    """

    def __init__(
        self, *, account_sid: AccountSid, auth_token: str, key_matches: Callable[[str, str], bool] = _no_keys
    ) -> None:
        self.account_sid = account_sid
        self._key_matches = key_matches
        self._user = account_sid.encode()
        self._password = auth_token.encode()

    def authenticate(self, authorization: str) -> Literal["account", "key"]:
        """Return whether this header is of the account or a key. Raises: NotAuthenticated. Source: RFC 7617 §2."""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise NotAuthenticated("Your request has no account SID and auth token in HTTP Basic authentication")
        try:
            user, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError) as error:
            raise NotAuthenticated("Your Authorization header cannot be read") from error
        right_user = hmac.compare_digest(user, self._user)
        right_password = hmac.compare_digest(password, self._password)
        if right_user and right_password:
            return "account"
        if user.startswith(b"SK") and self._key_matches(user.decode("latin-1"), password.decode("latin-1")):
            return "key"
        raise NotAuthenticated("Your account SID or auth token was incorrect")

    def authorize(self, authorization: str, path: str) -> None:
        """Check that this header gives access to a path without suffix. Raises: NotAuthenticated."""
        who = self.authenticate(authorization)
        named = _ACCOUNT.search(path)
        if named is not None and named[1].removesuffix(".json") not in (self.account_sid, ""):
            raise NotAuthenticated("Your credentials are not of the account in the path")
        if who == "key" and _ACCOUNT_ONLY_PATHS.search(path):
            raise NotAuthenticated("An API key may not read or change accounts and keys; use the auth token")
