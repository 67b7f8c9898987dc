"""Who may use the console and the JSON API: this machine without a password, others with one, hostile pages never."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from holdfast.console.guard import Guard, is_loopback

SID = "AC" + "1" * 32
TOKEN = "f" * 32


async def ask(
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "/holds",
    method: str = "GET",
    trusts_loopback: bool = True,
    password: str | None = None,
) -> tuple[int, dict[str, str], str]:
    """Status, header fields and body of the answer to one request."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1:8080", **(headers or {})}
    if password is not None:
        given["authorization"] = password
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
    }
    guard = Guard(PlainTextResponse("inside"), sid=SID, token=TOKEN, trusts_loopback=trusts_loopback)
    await guard(scope, receive, send)
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, b"".join(message.get("body", b"") for message in sent[1:]).decode()


def basic(user: str = SID, password: str = TOKEN) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "localhost", "[::1]:8080", "127.0.0.2"])
async def test_this_machine_needs_no_password(host: str) -> None:
    assert await ask({"host": host}) == (
        200,
        {"content-length": "6", "content-type": "text/plain; charset=utf-8"},
        "inside",
    )


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "10.0.0.1"),
        *("evil.example@localhost", "localhost#.evil.example", "localhost/", "localhost:x", "localhost evil"),
    ],
)
async def test_a_name_that_is_not_loopbacks_own_is_not_trusted(host: str) -> None:
    status, fields, body = await ask({"host": host})
    assert status == 401
    assert fields["www-authenticate"].startswith("Basic ")
    assert json.loads(body)["code"] == "not_authenticated"


@pytest.mark.parametrize("name", ["forwarded", "x-forwarded-for", "x-real-ip", "cf-connecting-ip"])
async def test_what_came_through_a_proxy_is_not_from_this_machine(name: str) -> None:
    assert (await ask({name: "203.0.113.9"}))[0] == 401


async def test_a_server_on_a_network_asks_everybody() -> None:
    assert (await ask(trusts_loopback=False))[0] == 401
    assert (await ask(trusts_loopback=False, password=basic()))[0] == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !",
        basic(password="wrong"),
        basic(user="AC0"),
        basic(TOKEN, SID),
        "Bearer " + TOKEN,
        "Basic é",
    ],
)
async def test_a_wrong_password_is_none(authorization: str) -> None:
    assert (await ask(trusts_loopback=False, password=authorization))[0] == 401


async def test_the_scheme_may_be_written_in_any_case() -> None:
    assert (await ask(trusts_loopback=False, password=basic().replace("Basic", "bAsIc")))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_page_cannot_hold_a_call_through_the_browser(headers: dict[str, str]) -> None:
    status, _, body = await ask(headers, method="POST", password=basic())
    assert status == 403
    assert json.loads(body)["code"] == "other_site"


async def test_the_consoles_own_page_may() -> None:
    own = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}
    assert (await ask(own, method="POST"))[0] == 200


@pytest.mark.parametrize(
    "path", ["/2010-04-01/Accounts/x", "/engine/ladder/CA1", "/twiml/continue", "/healthz", "/readyz", "/metrics"]
)
async def test_doors_with_locks_of_their_own_are_left_to_them(path: str) -> None:
    assert (await ask({"host": "public.example"}, path=path, method="POST"))[0] == 200


@pytest.mark.parametrize("path", ["/2010-04-01/Accounts/x/Calls.json", "/engine/x", "/twiml/continue"])
async def test_another_page_changes_nothing_behind_the_other_locks_either(path: str) -> None:
    """A browser that was given the password for the console sends it to the API for any page that asks."""
    other = {"host": "public.example", "origin": "https://evil.example"}
    assert (await ask(other, path=path, method="POST", password=basic()))[0] == 403
    assert (await ask(other, path=path, password=basic()))[0] == 200


async def test_other_protocols_pass() -> None:
    seen: list[str] = []

    async def inner(scope: Scope, receive: object, send: object) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        return {}

    async def no_answer(message: Message) -> None:
        raise AssertionError(message)

    await Guard(inner, sid=SID, token=TOKEN, trusts_loopback=False)({"type": "lifespan"}, nothing, no_answer)
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("host", "own"),
    [("localhost", True), ("a.localhost", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("x", False)],
)
def test_what_is_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) is own
