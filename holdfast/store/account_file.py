"""This module keeps the account of this machine: its SID and token, in a file beside the store.

It is made on the first start; only its owner may read it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path


class AccountFileInvalid(Exception):
    """The account file exists but cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAccount:
    """A stored account is what a Twilio SDK signs in with, and what webhooks are signed with."""

    sid: str
    token: str = field(repr=False)


def account_path(store: Path) -> Path:
    """Return where the account of a store is kept: `holdfast.db` has `holdfast.account` beside it."""
    return store.with_suffix(".account")


def load_or_create_account(store: Path) -> StoredAccount:
    """Return the account of this store, and create it if there is none.

    Several processes at once get the same one. Raises: AccountFileInvalid.
    """
    path = account_path(store)
    try:
        if not path.exists():
            _create(path)
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AccountFileInvalid(
            f"{path}: cannot be used ({error}); give account_sid and auth_token yourself"
        ) from error
    return _parse(path, text)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    account = {"account_sid": "AC" + secrets.token_hex(16), "auth_token": secrets.token_hex(16)}
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(account, file, indent=2)
            file.write("\n")
        # A link, unlike a rename, never replaces the account another process has just made.
        os.link(temporary, path)
    except FileExistsError:
        pass  # another process was first: its account is used
    finally:
        temporary.unlink(missing_ok=True)


def _parse(path: Path, text: str) -> StoredAccount:
    remedy = "move it away, and a new account is made on the next start"
    try:
        data = json.loads(text)
        sid, token = data["account_sid"], data["auth_token"]
    except (ValueError, TypeError, KeyError) as error:
        raise AccountFileInvalid(f"{path}: is not an account file; {remedy}") from error
    if not (isinstance(sid, str) and re.fullmatch("AC[0-9a-f]{32}", sid) and isinstance(token, str) and token):
        raise AccountFileInvalid(f"{path}: holds no usable account; {remedy}")
    return StoredAccount(sid=sid, token=token)
