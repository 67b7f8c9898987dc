"""The account file is created once, and only its owner may read it."""

from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.store.account_file import AccountFileInvalid, account_path, load_or_create_account


def test_the_account_is_created_once_and_found_again(tmp_path: Path) -> None:
    store = tmp_path / "deep" / "holdfast.db"
    first = load_or_create_account(store)
    assert re.fullmatch("AC[0-9a-f]{32}", first.sid)
    assert re.fullmatch("[0-9a-f]{32}", first.token)
    assert load_or_create_account(store) == first
    assert first.token not in repr(first)


def test_only_its_owner_may_read_the_account_file(tmp_path: Path) -> None:
    load_or_create_account(tmp_path / "holdfast.db")
    assert stat.S_IMODE(account_path(tmp_path / "holdfast.db").stat().st_mode) == 0o600


def test_many_at_once_get_the_same_one_and_leave_no_drafts(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        accounts = list(pool.map(lambda _: load_or_create_account(tmp_path / "holdfast.db"), range(32)))
    assert len({account.sid for account in accounts}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["holdfast.account"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"account_sid": "AC1", "auth_token": "x"}', b"\xff", b'{"account_sid": 1}']
)
def test_a_damaged_file_is_refused_and_kept(content: bytes, tmp_path: Path) -> None:
    path = account_path(tmp_path / "holdfast.db")
    path.write_bytes(content)
    with pytest.raises(AccountFileInvalid, match=re.escape(str(path))):
        load_or_create_account(tmp_path / "holdfast.db")
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AccountFileInvalid, match="cannot be used"):
        load_or_create_account(tmp_path / "file" / "holdfast.db")
