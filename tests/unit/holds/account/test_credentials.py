"""An account comes from arguments, the environment or the engine of this machine."""

import json
from pathlib import Path

import pytest

from holdfast.holds.account.credentials import AccountCredentials, cloud_credentials, engine_credentials
from holdfast.holds.errors import BadInput
from holdfast.settings import Settings

SID, TOKEN = "AC" + "1" * 32, "a-token-of-this-machine"
NAMED = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the store of a machine whose settings are the defaults."""
    monkeypatch.chdir(tmp_path)
    for name in [*Settings.model_fields, "config"]:
        monkeypatch.delenv("HOLDFAST_" + name.upper(), raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "holdfast").mkdir()
    return tmp_path / "holdfast" / "holdfast.db"


def test_the_cloud_needs_a_sid_and_a_token() -> None:
    assert cloud_credentials(environment=NAMED) == AccountCredentials(
        base_url="https://api.twilio.com", sid=SID, token=TOKEN
    )
    assert (
        cloud_credentials(environment=NAMED | {"HOLDFAST_API": "http://127.0.0.1:9/"}).base_url == "http://127.0.0.1:9"
    )
    for missing in NAMED:
        with pytest.raises(BadInput, match=missing):
            cloud_credentials(environment={name: value for name, value in NAMED.items() if name != missing})


def test_a_token_is_not_printed() -> None:
    assert TOKEN not in repr(cloud_credentials(environment=NAMED))


def test_the_engine_of_this_machine_is_found_by_its_run_file(store: Path) -> None:
    with pytest.raises(BadInput, match="no account is named") as caught:
        engine_credentials(environment={})
    assert "holdfast serve" in str(caught.value.fix)
    store.with_suffix(".account").write_text(json.dumps({"account_sid": SID, "auth_token": TOKEN}))
    found = AccountCredentials(base_url="http://127.0.0.1:8080", sid=SID, token=TOKEN)
    assert engine_credentials(environment={}) == found
    for nonsense in ("{", "[]", "{}", '{"url": 7}'):
        store.with_suffix(".running").write_text(nonsense)
        assert engine_credentials(environment={}) == found
    store.with_suffix(".running").write_text(json.dumps({"url": "http://127.0.0.1:9000"}))
    assert engine_credentials(environment={}).base_url == "http://127.0.0.1:9000"
    assert (
        engine_credentials(environment={"TWILIO_API_BASE_URL": "http://127.0.0.1:7"}).base_url == "http://127.0.0.1:7"
    )
    assert engine_credentials(url="http://127.0.0.1:6/", environment={}).base_url == "http://127.0.0.1:6"


def test_unusable_settings_are_reported(store: Path) -> None:
    Path("holdfast.toml").write_text("http_port = 'many'")
    with pytest.raises(BadInput, match="http_port in holdfast"):
        engine_credentials(environment={})
