"""The doctor finds the faults of a machine, and says what to do about each."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.cli.app import run
from holdfast.cli.doctor import checks
from holdfast.cli.doctor.checks import Severity
from holdfast.cli.run_file import (
    RunFile,
    find_run_file,
    process_start,
    remove_run_file,
    write_run_file,
)
from holdfast.settings import Settings, read
from holdfast.store.account_file import account_path, load_or_create_account
from tests.loopback.dns_server import dns_server


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "holdfast.db"


def settings(store: Path, **given: object) -> Settings:
    return Settings.model_validate({"store": f"sqlite:///{store}", **given})


@pytest.fixture(params=[socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def taken(request: pytest.FixtureRequest) -> Iterator[tuple[socket.SocketKind, int]]:
    with socket.socket(socket.AF_INET, request.param) as held:
        held.bind(("127.0.0.1", 0))
        if request.param == socket.SOCK_STREAM:
            held.listen()
        yield request.param, held.getsockname()[1]


def test_a_used_port_is_found(taken: tuple[socket.SocketKind, int], store: Path) -> None:
    kind, port = taken
    if kind == socket.SOCK_STREAM:
        finding = checks.check_http(settings(store, http_port=port), None)
    else:
        finding = checks.check_sip(settings(store, sip_port=port), None)
    assert finding.severity is Severity.BROKEN
    assert "is taken by another program" in finding.message
    assert finding.fix.endswith(f"--http-port {port + 1}" if kind == socket.SOCK_STREAM else f"--sip-port {port + 10}")


def test_a_free_port_is_ok(store: Path) -> None:
    assert checks.check_http(settings(store, http_port=0), None).severity is Severity.OK
    assert checks.check_sip(settings(store, sip_port=0), None).severity is Severity.OK


def test_an_address_of_another_machine_is_found(store: Path) -> None:
    finding = checks.check_sip(settings(store, sip_host="192.0.2.1", sip_port=0), None)
    assert finding.severity is Severity.OK  # nothing can be told of port 0
    finding = checks.check_sip(settings(store, sip_host="192.0.2.1"), None)
    assert finding.severity is Severity.BROKEN
    assert "--sip-host 127.0.0.1" in finding.fix
    assert checks.check_rtp_ports(settings(store, rtp_ip="192.0.2.1", rtp_rows=2), None).severity is Severity.BROKEN


def test_certificates(store: Path) -> None:
    def told(**given: object) -> list[tuple[Severity, str]]:
        return [(one.severity, one.message) for one in checks.check_certificate(settings(store, **given))]

    assert told() == []
    here = Path(__file__)
    assert told(sip_tls_certificate=here.with_name("localhost.pem"))[0][0] is Severity.OK
    ((verdict, what),) = told(sip_tls_certificate=here.with_name("expired.pem"))
    assert verdict is Severity.WARNING
    assert what.endswith("expired.pem: certificate has expired")
    ((verdict, what),) = told(sip_tls_certificate=here.with_name("nowhere.pem"))
    assert verdict is Severity.BROKEN
    assert what.endswith("nowhere.pem cannot be read: No such file or directory")


def test_authorities_that_webhooks_trust(store: Path) -> None:
    def told(**given: object) -> list[tuple[Severity, str]]:
        return [(one.severity, one.message) for one in checks.check_webhook_authorities(settings(store, **given))]

    here = Path(__file__)
    assert told() == []
    assert told(webhook_authorities=here.with_name("localhost.pem"))[0][0] is Severity.OK
    for wrong, said in (("nowhere.pem", "cannot be read"), (here.name, "has no PEM certificate in it")):
        ((verdict, what),) = told(webhook_authorities=here.with_name(wrong))
        assert verdict is Severity.BROKEN
        assert said in what


def test_a_running_server_owns_its_ports(store: Path) -> None:
    running = RunFile(pid=1, url="http://127.0.0.1:1", sip="127.0.0.1:2", rtp="RTP ports 4-7 of 127.0.0.3", birth="")
    assert "127.0.0.1:1" in checks.check_http(settings(store), running).message
    assert "127.0.0.1:2" in checks.check_sip(settings(store), running).message
    assert "RTP ports 4-7 of 127.0.0.3" in checks.check_rtp_ports(settings(store), running).message


def test_a_used_rtp_port_is_found(store: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        base = port - port % 2
        finding = checks.check_rtp_ports(settings(store, rtp_base=base, rtp_rows=2), None)
    assert finding.severity is Severity.WARNING
    assert "taken by other programs" in finding.message


def test_rtp_ports_among_the_ephemeral_ones(store: Path, tmp_path: Path) -> None:
    source = tmp_path / "range"
    source.write_text("20000\t60999\n")
    among = checks.check_ephemeral(settings(store, rtp_base=19000, rtp_rows=512), source)
    assert among.severity is Severity.WARNING
    assert "--rtp-base" in among.fix
    assert checks.check_ephemeral(settings(store, rtp_base=18974, rtp_rows=512), source).severity is Severity.OK
    source.write_text("nonsense")
    assert checks.check_ephemeral(settings(store), source).severity is Severity.WARNING


def test_too_few_open_files_are_found(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    finding = checks.check_descriptors(settings(store))
    assert finding.severity is Severity.WARNING
    assert "only 64 will have audio" in finding.message
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    assert checks.check_descriptors(settings(store)).severity is Severity.OK


def test_a_machine_that_wakes_late_is_found() -> None:
    import time

    assert checks.check_clock(lambda length: time.sleep(length + 0.03), rounds=1).severity is Severity.WARNING


def test_an_unusable_store_is_found(store: Path) -> None:
    store.parent.mkdir()
    store.write_text("a shopping list" * 100)
    finding = checks.check_store(settings(store))
    assert finding.severity is Severity.BROKEN
    assert "cannot be used as a store" in finding.message


def test_an_account_file_that_others_can_read_is_found(store: Path) -> None:
    assert "will be made" in checks.check_account(settings(store)).message
    load_or_create_account(store)
    assert checks.check_account(settings(store)).severity is Severity.OK
    account_path(store).chmod(0o644)
    finding = checks.check_account(settings(store))
    assert finding.severity is Severity.WARNING
    assert finding.fix.startswith("chmod 600")


def test_files_that_others_can_read_are_found(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text("[lines]\nalice = 'hush'")
    assert checks.check_store(settings(store)).severity is Severity.OK
    (store.parent / "recordings").mkdir(mode=0o700)
    file.chmod(0o600)
    known = settings(store).model_copy(update={"lines": read(file=file).lines})
    assert list(checks.check_privacy(known, file)) == []
    for path in (store, store.parent / "recordings", file):
        path.chmod(0o755)
    findings = list(checks.check_privacy(known, file))
    assert [finding.severity for finding in findings] == [Severity.WARNING] * 3
    assert [finding.fix for finding in findings] == [
        f"chmod 600 {store}",
        f"chmod 700 {store.parent / 'recordings'}",
        f"chmod 600 {file}",
    ]
    assert "hush" not in str(findings)
    assert len(list(checks.check_privacy(settings(store), file))) == 2, "a file without secrets may be read"


def test_audio_can_be_decoded_here() -> None:
    assert checks.check_decoding().severity is Severity.OK


def test_variables_that_set_nothing_are_found() -> None:
    findings = list(checks.check_environment({"HOLDFAST_SIP_PROT": "1", "HOLDFAST_SIP_PORT": "1"}))
    assert [one.message for one in findings] == ["HOLDFAST_SIP_PROT sets nothing; did you mean HOLDFAST_SIP_PORT?"]


def test_the_command_ends_with_one_when_something_is_broken(
    store: Path,
    taken: tuple[socket.SocketKind, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kind, port = taken
    monkeypatch.chdir(store.parents[1])
    monkeypatch.setenv("HOLDFAST_WEBHOOK_AUTHORITIES", str(store))  # which is not there yet
    monkeypatch.setenv("HOLDFAST_HTTP_PORT", str(port if kind == socket.SOCK_STREAM else 0))
    monkeypatch.setenv("HOLDFAST_SIP_PORT", str(port if kind == socket.SOCK_DGRAM else 0))
    assert run(["doctor", "--store", f"sqlite:///{store}"]) == 1
    assert "2 broken" in capsys.readouterr().out


def test_a_running_server_is_found_and_a_dead_one_is_not(store: Path) -> None:
    store.parent.mkdir()
    assert find_run_file(store) is None
    alive = RunFile(
        pid=os.getpid(), url="http://127.0.0.1:1", sip="127.0.0.1:2", rtp="", birth=process_start(os.getpid())
    )
    write_run_file(store, alive)
    assert find_run_file(store) == alive
    write_run_file(store, replace(alive, pid=2**22 + 1))
    assert find_run_file(store) is None
    write_run_file(store, replace(alive, pid=1))
    assert find_run_file(store) is None  # it crashed, and another process has its number now
    remove_run_file(store)
    remove_run_file(store)
    assert find_run_file(store) is None


def test_the_names_of_trunks_and_where_they_lead_are_shown() -> None:
    addresses = ["203.0.113.5:5060 by UDP", "203.0.113.6:5060 by TCP"]
    trunk: dict[str, object] = {"user": None, "host": "carrier.example", "port": None}
    routes = [
        trunk | {"location": {"addresses": addresses, "problem": ""}},
        trunk | {"location": {"addresses": addresses[:1], "problem": "10.0.0.1 is private"}},
        trunk | {"location": {"addresses": [], "problem": "there is no A record"}},
        trunk | {"user": "acme", "registration": {"state": "registered"}},
    ]
    findings = list(checks.check_trunks(routes))
    assert [finding.severity for finding in findings] == [
        *(Severity.OK, Severity.WARNING, Severity.BROKEN, Severity.OK),
    ]
    assert [finding.message for finding in findings] == [
        f"trunk carrier.example leads to {', '.join(addresses)}",
        f"trunk carrier.example leads to {addresses[0]}, and not to all its addresses: 10.0.0.1 is private",
        "trunk carrier.example leads nowhere: there is no A record",
        "registered with trunk acme@carrier.example",
    ]


@pytest.mark.anyio
async def test_names_are_looked_up_before_a_server_runs(store: Path) -> None:
    async with dns_server() as dns:
        dns.put("carrier.example", "A", "8.8.4.4")
        dns.put("lan.example", "A", "192.168.1.1")
        given = settings(
            store,
            routes={
                "+1": {"host": "carrier.example", "backup": {"host": "lan.example"}},
                "+2": {"host": "203.0.113.9"},
            },
            nameservers=[f"{dns.address[0]}:{dns.address[1]}"],
        )
        findings = await asyncio.to_thread(lambda: list(checks.check_names(given)))
        assert [finding.severity for finding in findings] == [Severity.OK, Severity.BROKEN]
        assert findings[0].message == "trunk carrier.example leads to 8.8.4.4:5060 by UDP"
        assert "lan.example is at 192.168.1.1, which is private; the setting trunk_allow" in findings[1].message
    assert not account_path(store).exists(), "the doctor makes no account"


def test_the_registrations_with_trunks_are_shown() -> None:
    trunk = {"user": "acme", "host": "203.0.113.5", "port": 5060, "backup": None, "registration": None}
    failed = trunk | {"host": "203.0.113.6", "registration": {"state": "failed", "status": 403, "reason": "No"}}
    routes = [
        trunk | {"registration": {"state": "registered"}, "backup": failed},
        trunk | {"registration": {"state": "trying"}},
        trunk,
    ]
    findings = list(checks.check_trunks(routes))
    assert [finding.severity for finding in findings] == [Severity.OK, Severity.WARNING, Severity.WARNING]
    assert findings[1].message == "not registered with trunk acme@203.0.113.6:5060: 403 No"
