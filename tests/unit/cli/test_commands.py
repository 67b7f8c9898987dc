"""The command line without a server: help with examples, errors that say what to do next, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text
from typer.main import get_command

from holdfast.cli import terminal
from holdfast.cli.app import app, run, unwrap
from holdfast.cli.calls.calls_command import call_row
from holdfast.cli.calls.explain_command import holds_of
from holdfast.cli.calls.ladder_command import messages
from holdfast.cli.calls.messages_command import message_row
from holdfast.cli.directory.directory_command import with_stored_directory
from holdfast.cli.options import settings_from
from holdfast.cli.server.control import refuse_short_passwords, sip_tls, warn_certificate
from holdfast.cli.terminal import CommandStopped
from holdfast.settings import Settings, read
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord

COMMANDS = [
    "demo",
    "serve",
    "run",
    "calls",
    "hold",
    "resume",
    "holds",
    "messages",
    "console",
    "account",
    "line",
    "number",
    "route",
    "ladder",
    "explain",
    "doctor",
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv("HOLDFAST_" + name.upper(), raising=False)
    monkeypatch.delenv("HOLDFAST_CONFIG", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOLDFAST_HTTP_PORT", "1")  # nobody listens there


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run([])
    printed = capsys.readouterr()
    assert all(command in printed.out + printed.err for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    printed = capsys.readouterr().out
    if command in ("line", "number", "route"):
        assert run([command, "add", "--help"]) == 0
        printed = capsys.readouterr().out
    assert f"holdfast {command}" in printed.partition("Usage:")[2].partition("\n")[2]


def test_help_says_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "The address to which phones send audio [as --sip-host]." in printed
    assert "The account [made on first start]." in printed


def _texts(command: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield every help text: of a command, of its parameters, and of its subcommands."""
    yield path, f"{command.help} {command.epilog}"
    for parameter in command.params:
        yield f"{path} {parameter.name}", getattr(parameter, "help", None) or ""
    for name, below in getattr(command, "commands", {}).items():
        yield from _texts(below, f"{path} {name}")


def test_no_help_loses_words_in_brackets() -> None:
    texts = {at: text.replace("\b", "") for at, text in _texts(get_command(app), "holdfast")}
    assert texts["holdfast serve keep_days"]
    lost = {at for at, text in texts.items() if Text.from_markup(text).plain != text.replace("\\[", "[")}
    assert not lost


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["hodl"], 2, "Did you mean"),
        (["hold"], 2, "Missing argument"),
        (["hold", "CA" + "0" * 32], 1, "→ Start it in another terminal: holdfast serve"),
        (["calls"], 1, "no Holdfast answers at http://127.0.0.1:1"),
        (["holds", "--watch"], 1, "no Holdfast answers"),
        (["console"], 1, "no Holdfast answers"),
        (["ladder", "CA" + "0" * 32], 1, "no Holdfast answers"),
        (["explain", "CA" + "0" * 32], 1, "no Holdfast answers"),
        (["hold", "CA" + "0" * 32, "--limit", "soon"], 2, "--limit 'soon' is not a number above 0"),
        (["hold", "CA" + "0" * 32, "--limit", "-1"], 2, "--limit '-1' is not a number above 0"),
        (["number", "add", "+15550100", "--voice-method", "PUT"], 2, "--voice-method 'PUT' is not one of get, post"),
        (["route", "add", "+", "--host", "192.0.2.1", "--transport", "sctp"], 2, "'sctp' is not one of udp, tcp, tls"),
        (["route", "add", "+", "--host", "192.0.2.1", "--rtp-source", "x"], 2, "is not one of named, signalling, any"),
        (
            ["line", "add", "a", "--password", "correct-horse", "--rtp-source", "x"],
            2,
            "is not one of named, signalling",
        ),
        (["route", "add", "+", "--host", "192.0.2.1", "--port", "x"], 2, "--port 'x' is not a port from 1 to 65535"),
        (["resume", "XX"], 2, "'XX' is neither a call"),
        (["ladder", "caf\u00e9 \n"], 1, "no Holdfast answers"),
        (["run", "--", "no-such-program"], 127, "there is no program 'no-such-program'"),
        (["line", "add", "a b", "--password", "x"], 2, "'a b' cannot be the name of a line"),
        (["number", "add", "5550100"], 2, "'5550100' is not a phone number in E.164"),
        (["number", "add", "+15550100", "--voice-url", "x"], 2, "'x' is not a web address"),
        (["number", "remove", "+15550100"], 1, "+15550100 is no number of yours"),
        (["route", "add", "44", "--host", "203.0.113.5"], 2, "'44' is not a prefix of numbers"),
        (["route", "add", "+44", "--host", "sip..example"], 2, "'sip..example' is neither a numeric address nor"),
        (["route", "add", "+44", "--host", "203.0.113.5", "--source", "all"], 2, "'all' is not a network"),
        (["route", "add", "+44", "--host", "203.0.113.5", "--caller-id", "me"], 2, "'me' is not a phone number"),
        (["route", "add", "+44", "--host", "203.0.113.5", "--identity", "me"], 2, "'me' is not a phone number"),
        (["route", "add", "+44", "--host", "203.0.113.5", "--register"], 2, "--register needs a user"),
        (["route", "add", "+44", "--host", "203.0.113.5", "--domain", "a b"], 2, "'a b' is not a domain name"),
        (["route", "add", "+44", "--host", "203.0.113.5", "--backup"], 1, "there is no route for +44"),
        (["route", "remove", "+44"], 1, "there is no route for +44"),
        (["line", "remove", "alice"], 1, "there is no line alice"),
        (["demo", "--out", "/dev/null"], 2, "nothing can be written to /dev/null"),
        (["demo", "--out", "/proc/none"], 2, "nothing can be written to /proc/none"),
        (["serve", "--http-port", "many"], 2, "--http-port: 'many' is not allowed; allowed: a port from 0 to 65535"),
        (["serve", "--config", "none.toml"], 2, "none.toml: cannot be read"),
        (["serve", "--store", "postgresql://x"], 2, "--store: 'postgresql://x' is not allowed"),
    ],
)
def test_an_error_names_the_next_step(
    arguments: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == status
    printed = capsys.readouterr()
    assert says in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_a_program_that_cannot_be_run_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "app.py"
    program.write_text("print('hello')")
    program.chmod(0o755)
    assert run(["run", "--", str(program)]) == 126
    assert "needs its interpreter: holdfast run -- python app.py" in capsys.readouterr().err


def test_a_damaged_account_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "holdfast").mkdir()
    (tmp_path / "holdfast" / "holdfast.account").write_text("{")
    assert run(["account"]) == 1
    assert "is not an account file; move it away" in capsys.readouterr().err


def test_a_damaged_store_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "holdfast").mkdir()
    (tmp_path / "holdfast" / "holdfast.db").write_text("no database" * 1000)
    assert run(["line", "list"]) == 1
    assert "cannot be used as a store" in capsys.readouterr().err


def test_the_account_is_printed_as_lines_for_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["account"]) == 0
    first = capsys.readouterr().out
    names = [line.removeprefix("export ").partition("=")[0] for line in first.splitlines()]
    assert names == ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_BASE_URL"]
    assert "TWILIO_API_BASE_URL=http://127.0.0.1:1\n" in first
    assert run(["account"]) == 0
    assert capsys.readouterr().out == first


def test_lines_are_kept_while_no_server_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["line", "add", "alice", "--password", "one"]) == 0
    assert run(["line", "add", "alice", "--password", "two"]) == 0
    assert run(["line", "add", "+15550100", "--password", "three"]) == 0
    assert "line alice may register at sip:127.0.0.1:5060" in capsys.readouterr().out
    assert run(["line", "list"]) == 0
    assert capsys.readouterr().out.split() == ["+15550100", "alice"]
    assert run(["line", "remove", "alice"]) == 0
    assert run(["line", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == ["line alice is removed", "+15550100"]


def test_a_password_is_read_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("correct horse\nnot this\n"))
    assert run(["line", "add", "alice", "--password-stdin"]) == 0
    (line,) = with_stored_directory(settings_from(), _lines)
    assert line == LineRecord.with_password(name="alice", password="correct horse")
    monkeypatch.setattr("sys.stdin", StringIO("hush\n"))
    assert run(["route", "add", "+", "--host", "192.0.2.1", "--user", "acme", "--password-stdin"]) == 0
    (route,) = with_stored_directory(settings_from(), _routes)
    assert route.password == "hush"
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", StringIO("\n"))
    assert run(["line", "add", "alice", "--password-stdin"]) == 2
    assert "standard input has no password" in capsys.readouterr().err
    assert run(["line", "add", "alice", "--password-stdin", "--password", "x"]) == 2
    assert "--password and --password-stdin are both given" in capsys.readouterr().err


async def _lines(directory: Directory) -> tuple[LineRecord, ...]:
    return directory.lines()


async def _routes(directory: Directory) -> tuple[RouteRecord, ...]:
    return directory.routes.all()


def test_a_short_password_is_refused_unless_sip_is_on_loopback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "open.toml").write_text('sip_host = "192.0.2.1"')
    there = ["--config", str(tmp_path / "open.toml")]
    assert run(["line", "add", "alice", "--password", "7letter", *there]) == 2
    assert "the password must have at least 8 characters" in capsys.readouterr().err
    assert run(["line", "add", "alice", "--password", "8letters", *there]) == 0
    assert run(["line", "add", "bob", "--password", "7letter"]) == 0
    kept = with_stored_directory(settings_from(), _lines)
    refuse_short_passwords(read({}), kept)
    with pytest.raises(CommandStopped, match="the password of line bob has fewer than 8 characters") as refused:
        refuse_short_passwords(read({"sip_host": "192.0.2.1"}), kept)
    assert refused.value.fix.endswith("holdfast line add bob")


def test_numbers_are_kept_while_no_server_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["number", "add", "+15550100", "--voice-url", "http://127.0.0.1:5/voice", "--voice-method", "GET"]) == 0
    assert run(["number", "add", "+15550101"]) == 0
    assert run(["number", "add", "+15550100", "--voice-url", "http://127.0.0.1:6/voice"]) == 0
    capsys.readouterr()
    assert run(["number", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == ["+15550100\thttp://127.0.0.1:6/voice", "+15550101\t"]
    assert run(["number", "remove", "+15550100"]) == 0
    assert run(["number", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == ["number +15550100 is removed", "+15550101\t"]


def test_entries_of_the_settings_file_are_listed_and_return_after_removal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "holdfast.toml").write_text('[lines]\nbob = "x"\n[numbers]\n"+15550102" = "http://127.0.0.1:7/"\n')
    run(["line", "list"])
    run(["number", "list"])
    assert capsys.readouterr().out.splitlines() == ["bob", "+15550102\thttp://127.0.0.1:7/"]


def test_the_ladder_prints_whole_sip_messages() -> None:
    sent = {
        "received": False,
        "peer": "192.0.2.1:5060",
        "text": "INVITE sip:a SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n",
    }
    came = {"received": True, "peer": "192.0.2.1:5060", "text": "SIP/2.0 200 OK\r\n\r\n"}
    entries = [
        {"at": 4.0, "kind": "CreateCall", "data": {}},
        {"at": 4.5, "kind": "sip", "data": sent},
        {"at": 5.0, "kind": "sip", "data": came},
    ]
    assert list(messages({"entries": entries})) == [
        "    0.500  to 192.0.2.1:5060",
        *("", "INVITE sip:a SIP/2.0", "CSeq: 1 INVITE", "", "v=0", ""),
        "    1.000  from 192.0.2.1:5060",
        *("", "SIP/2.0 200 OK", "", ""),
    ]


def test_an_explanation_names_the_hold_of_a_call_or_of_its_other_party() -> None:
    held: dict[str, Any] = {"sid": "CA1", "peer": "CA2", "held": True, "hold": "HO1"}
    by_phone: dict[str, Any] = {"sid": "CA3", "peer": "CA4", "held": False, "held_by_phone": True, "hold": "HO2"}
    parked, free = {"sid": "CA2", "peer": "CA1", "held": False, "hold": None}, {"sid": "CA4", "peer": "CA3"}
    calls: list[dict[str, Any]] = [held, parked, by_phone, free]
    assert list(holds_of("CA1", calls)) == ["It is kept by hold HO1, until `holdfast resume HO1`."]
    assert list(holds_of("CA2", calls)) == ["The other party is kept by hold HO1, until `holdfast resume HO1`."]
    assert [list(holds_of(call, calls)) for call in ("CA3", "CA4", "CA5")] == [[], [], []]


def test_help_is_wrapped_by_the_terminal_and_examples_are_not() -> None:
    assert unwrap("First line.\n\n    A paragraph\n    goes on.\n\n    \b\n    one\n    two\n") == (
        "First line.\n\nA paragraph goes on.\n\n\b\none\ntwo"
    )


@pytest.mark.parametrize(
    ("held", "by_phone", "shown", "hears"),
    [
        (False, False, "", ""),
        (True, False, "held", ""),
        (False, True, "by phone", "nothing"),
        (True, True, "held, by phone", "nothing"),
    ],
)
def test_a_hold_by_the_phone_itself_is_shown(held: bool, by_phone: bool, shown: str, hears: str) -> None:
    assert call_row({"sid": "CA1", "held": held, "held_by_phone": by_phone})[4:6] == (shown, hears)


def test_a_call_can_be_copied_out_of_a_narrow_table(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=StringIO(), force_terminal=True, width=80, soft_wrap=True)
    monkeypatch.setattr(terminal, "OUT", screen)
    call, hold = "CA" + "0123456789abcdef" * 2, "HO" + "0123456789abcdef" * 2
    row = (call, "sip:somebody@192.0.2.100", "+15550100", "in-progress", "held", "the other party", hold)
    terminal.print_table(("CALL", "FROM", "TO", "STATUS", "HELD", "HEARS", "HOLD"), [row], empty="")
    assert isinstance(screen.file, StringIO)
    drawn = screen.file.getvalue()
    assert Text.from_ansi(drawn).plain.splitlines() == [
        call,
        "  from sip:somebody@192.0.2.100 · to +15550100 · status in-progress · held ·",
        "  hears the other party",
    ]


def test_an_unusable_certificate_is_named_and_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing of the kind")
    settings = read({"sip_tls_certificate": str(tmp_path / "cert.pem")})
    with pytest.raises(CommandStopped, match=r"sip_tls_certificate: .*cert\.pem has no PEM certificate in it"):
        sip_tls(settings)


def test_an_expired_certificate_is_accepted_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    loopback = Path(__file__).parents[2] / "loopback"
    for name in ("localhost.pem", "expired.pem"):
        warn_certificate(read({"sip_tls_certificate": loopback / name}))
    (message,) = caplog.messages
    assert message.startswith("sip_tls_certificate: phones will reject")
    assert message.endswith("expired.pem: certificate has expired")


def test_a_backup_trunk_is_listed_with_its_route(capsys: pytest.CaptureFixture[str]) -> None:
    user = ["--user", "acme", "--password", "hush"]
    assert run(["route", "add", "+", "--host", "203.0.113.5", *user, "--register", "--domain", "carrier.example"]) == 0
    assert run(["route", "add", "+", "--host", "203.0.113.6", "--backup"]) == 0
    assert run(["route", "list"]) == 0
    printed = capsys.readouterr().out
    assert "203.0.113.5:5060 by UDP, then 203.0.113.6:5060 by UDP" in printed
    assert "hush" not in printed


def test_a_message_is_one_row_that_says_it_was_not_delivered() -> None:
    message = {
        "sid": "SM1",
        "date_created": "Fri, 15 Jan 2027 08:00:00 +0000",
        "from": "+15550100",
        "to": "+15550101",
        "body": "your code\tis\n\u20284711",
        "num_media": "2",
    }
    assert message_row(message) == (
        "SM1",
        "Fri, 15 Jan 2027 08:00:00 +0000",
        "+15550100",
        "+15550101",
        "your code is 4711 [2 media]",
        "not delivered",
    )
    by_service = message_row({"sid": "SM2", "from": None, "messaging_service_sid": "MG1", "body": None})
    assert by_service == ("SM2", "", "MG1", "", "", "not delivered")
