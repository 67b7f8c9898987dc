"""Settings: which source overrides which, and how a wrong value is refused."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from holdfast.cli.server.serve import serve
from holdfast.cli.settings_directory import route_of
from holdfast.settings import (
    Line,
    Number,
    Route,
    Settings,
    SettingsInvalid,
    nameserver_address,
    read,
    unknown_variables,
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in Settings.model_fields:
        monkeypatch.delenv("HOLDFAST_" + name.upper(), raising=False)
    monkeypatch.delenv("HOLDFAST_CONFIG", raising=False)


def problems(flags: dict[str, object] | None = None, *, file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsInvalid) as caught:
        read(flags, file=file)
    return caught.value.problems


def test_defaults_are_those_of_the_manual(tmp_path: Path) -> None:
    settings = read()
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8080)
    assert (settings.sip_host, settings.sip_port) == ("127.0.0.1", 5060)
    assert settings.store_path == tmp_path / "data" / "holdfast" / "holdfast.db"
    assert settings.media_ip == "127.0.0.1"


def test_the_data_directory_falls_back_to_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read().store_path == tmp_path / ".local/share/holdfast/holdfast.db"


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "holdfast.toml").write_text("http_port = 1001\nsip_port = 1002\nrtp_base = 20000\n")
    monkeypatch.setenv("HOLDFAST_HTTP_PORT", "2001")
    monkeypatch.setenv("HOLDFAST_SIP_PORT", "2002")
    settings = read({"http_port": 3001, "sip_port": None})
    assert (settings.http_port, settings.sip_port, settings.rtp_base) == (3001, 2002, 20000)
    assert settings.rtp_rows == 512


def test_lines_and_numbers_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(
        """
        [lines]
        alice = "secret"
        bob = { password = "other" }

        [numbers]
        "+15550100" = "http://127.0.0.1:5000/voice"
        "+15550101" = { voice_url = "https://example.com/v", voice_method = "GET" }
        """
    )
    settings = read()
    assert settings.lines["alice"].password == "secret"
    assert settings.lines["bob"].password == "other"
    assert settings.numbers["+15550100"].voice_url == "http://127.0.0.1:5000/voice"
    assert settings.numbers["+15550101"].voice_method == "GET"


def test_a_list_in_the_environment_is_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_WEBHOOK_ALLOW", "10.0.0.0/8, intranet.example ,::1")
    monkeypatch.setenv("HOLDFAST_TRUSTED_PROXIES", "127.0.0.1, 10.1.2.3/8")
    assert read().trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8")
    assert read().webhook_allow == ("10.0.0.0/8", "intranet.example", "::1")


def test_an_empty_variable_sets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HTTP_PORT", "")
    assert read().http_port == 8080


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        read().http_port = 1


def test_secrets_are_not_printed() -> None:
    settings = read(
        {"account_sid": "AC" + "0" * 32, "auth_token": "classified-token", "lines": {"alice": "classified-too"}}
    )
    assert "classified" not in repr(settings)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"http_port": "abc"}, "--http-port: 'abc' is not allowed; allowed: a port from 0 to 65535"),
        ({"http_port": 65536}, "--http-port: 65536 is not allowed"),
        ({"sip_host": "localhost"}, "--sip-host: 'localhost' is not allowed; allowed: a numeric IP address"),
        ({"rtp_base": 16385}, "--rtp-base: 16385 is not allowed; allowed: an even port"),
        ({"rtp_base": 65000, "rtp_rows": 400}, "rtp_rows: 400 rows from port 65000 pass 65535; at most 268 fit"),
        ({"sip_host": "::1"}, "rtp_ip: audio is sent over IPv4 only"),
        ({"public_ip": "0.0.0.0"}, "public_ip: must be an IPv4 address to which phones can send"),
        ({"public_ip": "2001:db8::1"}, "public_ip: must be an IPv4 address to which phones can send"),
        ({"sip_host": "0.0.0.0"}, "rtp_ip: needed when sip_host is 0.0.0.0"),
        ({"store": "postgresql://db"}, "--store: 'postgresql://db' is not allowed; allowed: sqlite:///"),
        ({"store": "sqlite:///"}, "--store: 'sqlite:///' is not allowed"),
        ({"account_sid": "AC" + "0" * 32}, "set both, or neither"),
        ({"account_sid": "AC1"}, "--account-sid: 'AC1' is not allowed; allowed: AC and 32 of"),
        ({"default_voice_url": "ftp://h/x"}, "--default-voice-url: 'ftp://h/x' is not allowed"),
        (
            {"default_country": "us"},
            "--default-country: 'us' is not allowed; allowed: two capital letters of a country",
        ),
        ({"default_country": "ZZ"}, "--default-country: 'ZZ' is not allowed"),
        ({"public_url": "https://h:99999"}, "--public-url: 'https://h:99999' is not allowed"),
        ({"trusted_proxies": "proxy.example"}, "--trusted-proxies.0: 'proxy.example' is not allowed"),
        ({"webhook_allow": "10.0.0.0/99"}, "--webhook-allow.0: '10.0.0.0/99' is not allowed"),
        ({"lines": {"a b": "x"}}, "--lines.a b: its value is not allowed; allowed: names of letters"),
        ({"lines": {"bob": {"pass": "x"}}}, "--lines.bob.password: is missing"),
        ({"lines": {"bob": {"password": "x", "pass": "x"}}}, "--lines.bob.pass: there is no such setting"),
        ({"numbers": {"5550100": "http://h/"}}, "--numbers.5550100: '5550100' is not allowed; allowed: numbers such"),
        ({"lines": {"bob": {"pasword": "x"}}}, "--lines.bob.pasword: there is no such setting; did you mean password?"),
        ({"lines": {"bob": {"password": ""}}}, "--lines.bob.password: its value is not allowed; allowed: a text"),
        ({"numbers": {"+15550100": "127.0.0.1:5000"}}, ".voice_url: '127.0.0.1:5000' is not allowed; allowed: an http"),
        ({"numbers": {"+15550100": {"voice_method": "put"}}}, "'put' is not allowed; allowed: GET or POST"),
        ({"routes": {"+": {"host": "192.0.2.1", "register": True}}}, "--routes.+: register needs user and password"),
        ({"routes": {"+": {"host": "192.0.2.1", "transport": "sctp"}}}, "'SCTP' is not allowed; allowed: udp, tcp or"),
        ({"routes": {"+": {"host": "192.0.2.1", "regster": True}}}, "no such setting; did you mean register?"),
        (
            {"routes": {"+": {"host": "192.0.2.1", "sources": ["x"]}}},
            "--routes.+.sources.0: 'x' is not allowed; allowed",
        ),
        (
            {"routes": {"+": {"host": "192.0.2.1", "backup": {"prt": 1}}}},
            ".backup.prt: there is no such setting; did you",
        ),
        ({"phone_hold_music": "theirs"}, "allowed: trunks, always ours or always theirs"),
        ({"routes": {"+": {"host": "192.0.2.1", "phone_hold_music": "ours"}}}, "always ours or always theirs"),
        ({"http_prot": 1}, "--http-prot: there is no such setting; did you mean http_port?"),
        ({"zzz": 1}, "--zzz: there is no such setting"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_the_allowed_values(flags: dict[str, object], says: str) -> None:
    assert any(says in problem for problem in problems(flags)), problems(flags)


def test_the_manual_lists_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")
    sections = re.split(r"^## .*$", page, flags=re.MULTILINE)
    models: tuple[type[BaseModel], ...] = (Settings, Line, Number, Route)
    for model, section in zip(models, sections, strict=True):
        rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, flags=re.MULTILINE))
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        assert list(rows) == list(fields), model.__name__
        for name, field in fields.items():
            if isinstance(field.default, str | int | float):
                default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default).lower()
                assert rows[name].lower() == f"`{default}`", name
            assert field.description, name


def test_the_manual_says_which_settings_are_options() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| (yes|no) \|", page, flags=re.MULTILINE))
    options = inspect.signature(serve).parameters
    assert rows == {name: "yes" if name in options else "no" for name in Settings.model_fields}


def test_a_wrong_secret_is_refused_without_showing_it() -> None:
    found = problems({"account_sid": "AC" + "0" * 32, "auth_token": "hush"})
    assert found == [
        "--auth-token: its value is not allowed; allowed: at least 16 characters, together with account_sid"
    ]


def test_all_problems_are_reported_at_once() -> None:
    assert len(problems({"http_port": "x", "sip_port": "y"})) == 2


def test_the_origin_of_a_wrong_value_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "holdfast.toml").write_text("sip_port = 70000\n")
    monkeypatch.setenv("HOLDFAST_HTTP_PORT", "many")
    found = "\n".join(problems())
    assert "sip_port in holdfast.toml: 70000 is not allowed" in found
    assert "HOLDFAST_HTTP_PORT: 'many' is not allowed" in found


@pytest.mark.parametrize("variable", ["HOLDFAST_LINES", "HOLDFAST_NUMBERS"])
def test_a_variable_that_is_not_json_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "{")
    assert problems() == [f"{variable}: its value must be JSON"]


def test_a_wrong_value_deep_in_the_file_is_named_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text('[numbers]\n"+15550100" = { voice_method = "PUT" }\n')
    assert problems()[0].startswith("numbers.+15550100.voice_method in holdfast.toml: 'PUT' is not allowed")


@pytest.mark.parametrize(
    "content", [b"http_port = ", b"\xff\xfe", b"[lines\n", b"a=" + b"[" * 9000, b"a=" + b"{a=" * 9000]
)
def test_a_file_that_is_not_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_bytes(content)
    assert problems()[0].startswith("holdfast.toml: is not TOML")


def test_an_endless_file_is_refused() -> None:
    assert problems(file=Path("/dev/zero")) == ["/dev/zero: is longer than 1000000 bytes, and so no settings file"]


def test_a_named_file_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot be read" in problems(file=tmp_path / "none.toml")[0]
    monkeypatch.setenv("HOLDFAST_CONFIG", str(tmp_path / "none.toml"))
    assert "cannot be read" in problems()[0]
    (tmp_path / "none.toml").write_text("http_port = 81")
    assert read().http_port == 81


def test_a_misspelt_variable_is_reported() -> None:
    found = unknown_variables({"HOLDFAST_HTTP_PROT": "1", "HOLDFAST_STORE": "x", "HOLDFAST_API": "x", "PATH": "x"})
    assert found == ["HOLDFAST_HTTP_PROT sets nothing; did you mean HOLDFAST_HTTP_PORT?"]
    assert unknown_variables({"HOLDFAST_12345678": ""}) == ["HOLDFAST_12345678 sets nothing"]


def test_a_route_is_an_address_or_a_table(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(
        """
        [routes]
        "+" = "203.0.113.5:5070"
        "+33" = "203.0.113.5"
        "+44" = { host = "203.0.113.6", transport = "tls", password = "hush", sources = ["203.0.113.7/28"] }
        [lines]
        alice = { password = "x", may_call = ["+1555", "100"] }
        bob = "y"
        """
    )
    settings = read()
    shown = {prefix: (route.host, route.port, route.transport) for prefix, route in settings.routes.items()}
    assert shown == {
        "+": ("203.0.113.5", 5070, None),
        "+33": ("203.0.113.5", None, None),
        "+44": ("203.0.113.6", None, "TLS"),
    }
    addresses = {prefix: route_of(prefix, route).address for prefix, route in settings.routes.items()}
    assert addresses == {
        "+": ("203.0.113.5", 5070, "UDP"),
        "+33": ("203.0.113.5", 5060, "UDP"),
        "+44": ("203.0.113.6", 5061, "TLS"),
    }
    assert settings.routes["+44"].sources == ("203.0.113.0/28",)
    assert {name: line.may_call for name, line in settings.lines.items()} == {"alice": ("+1555", "100"), "bob": ("",)}
    assert "hush" not in repr(settings)


def test_a_route_may_register_and_have_a_backup(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(
        """
        [routes."+"]
        host = "203.0.113.5"
        user = "acme"
        password = "hush"
        register = true
        domain = "carrier.example"
        backup = "203.0.113.6:5070"
        """
    )
    settings = read()
    assert Settings.model_validate_json(settings.model_dump_json()) == settings, "as one process hands it to the next"
    route = settings.routes["+"]
    assert (route.register_, route.domain) == (True, "carrier.example")
    assert route.backup is not None
    assert (route.backup.host, route.backup.port, route.backup.register_) == ("203.0.113.6", 5070, False)


def test_settings_are_the_same_after_they_are_passed_to_another_process() -> None:
    proof = {"user": "acme", "password": "hush", "register": True}
    trunk = {"host": "203.0.113.5", **proof, "backup": {"host": "203.0.113.6", "sources": ["203.0.113.0/28"]}}
    lines = {"alice": {"password": "hush", "may_call": ["+1555"], "rtp_source": "any"}}
    settings = Settings.model_validate({"routes": {"+": trunk}, "lines": lines, "sip_tls_certificate": "cert.pem"})
    assert Settings.model_validate_json(settings.model_dump_json(by_alias=True)) == settings


@pytest.mark.parametrize(
    "route",
    [
        *('{ host = "1.2.3.4", register = true }', '{ host = "1.2.3.4", user = "a", password = "b", domain = "a b" }'),
        *('{ host = "1.2.3.4", backup = "sip..example" }', '{ host = "1.2.3.4", backup = { port = 5060 } }'),
        *('"sip..example"', '"203.0.113"', '{ host = "-sip.example" }', '"sip_1.example:0"', '"b\u00fccher.example"'),
        *('"203.0.113.5:0"', '"203.0.113.5:70000"', "{}", "5"),
        *('{ host = "1.2.3.4", transport = "ws" }', '{ host = "1.2.3.4", sources = ["everybody"] }'),
        '{ host = "1.2.3.4", rtp_source = "everybody" }',
        *('{ host = "1.2.3.4", caller_id = "me" }', '{ host = "1.2.3.4", secret = "x" }'),
    ],
)
def test_an_invalid_route_is_refused(tmp_path: Path, route: str) -> None:
    (tmp_path / "holdfast.toml").write_text(f'[routes]\n"+" = {route}\n')
    (problem, *_) = problems()
    assert problem.startswith("routes.+")


def test_a_route_may_have_a_name_and_leaves_port_and_transport_to_dns(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(
        """
        nameservers = ["192.0.2.53", "127.0.0.1:5353", "2001:db8::1", "[2001:db8::2]:54"]
        trunk_allow = "10.0.0.0/8, pbx.lan"
        [routes]
        "+1" = "SIP.Carrier.example."
        "+44" = { host = "sip.carrier.example", transport = "tls", backup = "gw.carrier.example:5070" }
        """
    )
    settings = read()
    named, secured = settings.routes["+1"], settings.routes["+44"]
    assert (named.host, named.port, named.transport) == ("sip.carrier.example", None, None)
    assert (secured.port, secured.transport) == (None, "TLS")
    assert secured.backup is not None
    assert (secured.backup.host, secured.backup.port) == ("gw.carrier.example", 5070)
    addresses = [nameserver_address(text) for text in settings.nameservers]
    assert addresses == [("192.0.2.53", 53), ("127.0.0.1", 5353), ("2001:db8::1", 53), ("2001:db8::2", 54)]
    assert settings.trunk_allow == ("10.0.0.0/8", "pbx.lan")


@pytest.mark.parametrize(
    "text", ["dns.example", "192.0.2.53:0", "192.0.2.53:70000", "192.0.2.53:", "[::1", "", "::1]:53"]
)
def test_a_nameserver_is_a_numeric_address(text: str) -> None:
    with pytest.raises(SettingsInvalid, match="nameservers"):
        read({"nameservers": [text]})


def test_an_invalid_prefix_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text('[routes]\n"0044" = "203.0.113.5"\n')
    assert len(problems()) == 1


def test_tls_needs_a_certificate_before_anything_else() -> None:
    (problem,) = problems({"sip_tls_key": "key.pem"})
    assert problem.startswith("sip_tls_certificate: needed")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, None),
        ({"sip_host": "192.0.2.1"}, None),
        ({"sip_host": "0.0.0.0", "rtp_ip": "192.0.2.1"}, "192.0.2.1"),
        ({"sip_host": "10.0.0.5", "public_ip": "203.0.113.7"}, "203.0.113.7"),
        ({"sip_host": "0.0.0.0", "rtp_ip": "10.0.0.5", "public_ip": "203.0.113.7"}, "203.0.113.7"),
    ],
)
def test_the_advertised_address_is_never_unspecified(given: dict[str, str], shown: str | None) -> None:
    assert Settings.model_validate(given).advertised_ip == shown
