"""sipp as lines that register and call, and as those who try to without a right."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.testing.file_server import FileServer
from holdfast.testing.server import HOST, Server, Value, free_port
from tests.interop.scenarios import lines
from tests.interop.scenes import Scene
from tests.interop.stage import play, plays

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

FRONT = "+15550101"
LINES = {"alice": "wonderland", "bob": "builder"}
TRUNK = free_port(socket.SOCK_DGRAM)
ANSWER = '<Response><Play digits="w"/><Hangup/></Response>'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that trusts nobody on this machine, with lines, and one that may call little."""
    with FileServer() as files:
        url = files.put("front.xml", '<Response><Play digits="w"/><Pause length="60"/></Response>')
        with_rights: dict[str, Value] = {**LINES, "door": {"password": "knock-knock", "may_call": ["+1555"]}}
        trunk: dict[str, Value] = {"host": HOST, "port": TRUNK, "user": "acme", "password": "trunk-secret"}
        shut = {"sip_trust_loopback": False}
        with Server(lines=with_rights, numbers={FRONT: url}, routes={"+33": trunk}, settings=shut) as server:
            yield server
            assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def quiet() -> Iterator[Server]:
    with Server(lines=LINES, settings={"sip_trust_loopback": False, "sip_quiet": True}) as server:
        yield server
        assert "Traceback" not in server.log()


async def test_lines_register_phones_and_take_them_away(server: Server, tmp_path: Path) -> None:
    await plays(lines.SEVERAL, tmp_path, to=server)
    await plays(lines.SEVERAL, tmp_path, "-t", "t1", to=server)


async def test_all_phones_of_a_line_ring_and_the_first_to_answer_wins(server: Server, tmp_path: Path) -> None:
    wins, loses = [await play(scene, tmp_path) for scene in (lines.WINS, lines.LOSES)]
    await plays(lines.PHONES, tmp_path, to=server, keys={"first": str(wins.port), "second": str(loses.port)})
    await call(server, "client:alice")
    await asyncio.gather(wins.ends_well(), loses.ends_well())
    await plays(lines.LET_IN, tmp_path, to=server)


async def test_a_line_registers_only_itself_and_unknown_users_get_equal_answers(server: Server, tmp_path: Path) -> None:
    await plays(lines.HIJACKED, tmp_path, to=server, host="127.0.0.41")
    await plays(lines.UNKNOWN, tmp_path, to=server, host="127.0.0.42")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_proof_is_good_once_and_for_one_method(server: Server, tmp_path: Path, algorithm: str) -> None:
    for scene in (lines.PROVED_TWICE, lines.LEAKED):
        challenged = await plays(lines.CHALLENGED, tmp_path, to=server)
        (told,) = challenged.logged()
        nonce = re.search('nonce="([^"]+)"', told)
        assert nonce is not None
        await plays(scene, tmp_path, to=server, keys={"proof": proof(server, nonce[1], algorithm)})


async def test_a_host_that_guesses_passwords_is_banned_and_others_are_not(server: Server, tmp_path: Path) -> None:
    await plays(lines.GUESSES, tmp_path, to=server, host="127.0.0.31", calls=10)
    await plays(lines.LOCKED_OUT, tmp_path, to=server, host="127.0.0.31")
    await plays(lines.ANOTHER_LET_IN, tmp_path, to=server, host="127.0.0.31")
    await plays(lines.LET_IN, tmp_path, to=server, host="127.0.0.32")
    assert "sip source=127.0.0.31 user='alice' fact=PasswordWrong: no such line, or not its password" in server.log()
    assert re.search(r"sip source=127\.0\.0\.31 user='alice' seconds=\d+ fact=LockedOut", server.log())


async def test_a_host_that_asks_too_often_is_ignored_and_others_are_not(server: Server, tmp_path: Path) -> None:
    flood = await plays(lines.FLOODS, tmp_path, "-r", "600", "-l", "600", to=server, host="127.0.0.33", calls=600)
    answered = flood.logged().count("answered")
    assert 200 <= answered < 500
    assert flood.logged().count("left alone") == 600 - answered
    await plays(lines.ASKS, tmp_path, to=server, host="127.0.0.34")


async def test_lines_call_only_permitted_targets_and_calls_are_not_relayed(server: Server, tmp_path: Path) -> None:
    here = f"{HOST}:{server.sip[1]}"

    async def calls(scene: Scene, called: str) -> None:
        await plays(scene, tmp_path, "-auth_uri", f"{called}@{here}", to=server, called=called, host="127.0.0.51")

    await calls(lines.CALLS, FRONT)
    await calls(lines.NO_RIGHT, "+442079460000")
    await calls(lines.NOBODY_THERE, "+15550199")
    elsewhere = free_port(socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind(("127.0.0.77", elsewhere))
        victim.setblocking(False)
        host, keys, uri = "127.0.0.51", {"elsewhere": str(elsewhere)}, f"victim@127.0.0.77:{elsewhere}"
        await plays(lines.RELAYED, tmp_path, to=server, host=host, keys=keys)
        await plays(lines.PASSED_ON, tmp_path, "-auth_uri", uri, to=server, host=host, keys=keys)
        with pytest.raises(BlockingIOError):
            victim.recv(65536)


async def test_only_trunks_receive_a_digest_response_by_sha_256(server: Server, tmp_path: Path) -> None:
    trunk = await play(lines.TRUNK_BY_SHA, tmp_path, port=TRUNK)
    await call(server, "+33123456789")
    await trunk.ends_well()
    (told,) = trunk.logged()
    said = dict(re.findall(r'(\w+)="?([^",]*)"?', told))
    assert {said["username"], said["realm"], said["nonce"], said["opaque"]} == {"acme", "carrier.example", "beef", "o"}
    asked = f"INVITE:sip:+33123456789@{HOST}:{TRUNK}"
    assert said["response"] == digest(
        "acme:carrier.example:trunk-secret", f"beef:00000001:{said['cnonce']}:auth", asked, "SHA-256"
    )
    stranger = await play(lines.NO_TRUNK, tmp_path)
    await call(server, f"sip:called@{HOST}:{stranger.port}")
    await stranger.ends_well()


async def test_scanners_and_unauthenticated_peers_get_no_response_by_setting(quiet: Server, tmp_path: Path) -> None:
    await plays(lines.SCANS, tmp_path, to=quiet, host="127.0.0.61")
    await plays(lines.UNKNOWN_HERE, tmp_path, to=quiet, host="127.0.0.62")
    # What one host has proved, another has not.
    await plays(lines.SCANS, tmp_path, to=quiet, host="127.0.0.63")


async def test_phones_are_asked_for_sha_256_where_that_is_set(tmp_path: Path) -> None:
    async with Server(lines=LINES, settings={"sip_trust_loopback": False, "sip_sha256": True}) as server:
        (told,) = (await plays(lines.CHALLENGED_BY_SHA, tmp_path, to=server)).logged()
        nonce = re.search('nonce="([^"]+)"', told)
        assert nonce is not None
        await plays(lines.PROVED_TWICE, tmp_path, to=server, keys={"proof": proof(server, nonce[1], "SHA-256")})


async def call(server: Server, to: str) -> None:
    client = server.sdk()
    await asyncio.to_thread(client.calls.create, to=to, from_=FRONT, twiml=ANSWER)


def digest(secret: str, once: str, asked: str, algorithm: str) -> str:
    """What proves a secret. Source: RFC 7616 §3.4.1."""

    def hashed(text: str) -> str:
        return hashlib.new({"MD5": "md5", "SHA-256": "sha256"}[algorithm], text.encode()).hexdigest()

    return hashed(f"{hashed(secret)}:{once}:{hashed(asked)}")


def proof(server: Server, nonce: str, algorithm: str) -> str:
    """Credentials of alice for one REGISTER here."""
    uri = f"sip:{HOST}:{server.sip[1]}"
    response = digest("alice:holdfast:wonderland", f"{nonce}:00000001:c0ffee:auth", f"REGISTER:{uri}", algorithm)
    return (
        f'Digest username="alice", realm="holdfast", nonce="{nonce}", uri="{uri}", algorithm={algorithm}, qop=auth,'
        f' nc=00000001, cnonce="c0ffee", response="{response}"'
    )
