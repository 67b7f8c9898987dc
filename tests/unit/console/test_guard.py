"""Access to the console and the JSON API: the account and a signed-in browser have it, hostile pages never."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.console.guard import AccessGuard
from holdfast.console.sessions import SESSION_LIFETIME_S, Sessions

SID = "AC" + "1" * 32
TOKEN = "f" * 32
INSIDE = PlainTextResponse("inside")


class Time:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def guarded(app: ASGIApp = INSIDE, *, sessions: Sessions | None = None, metrics_open: bool = False) -> AccessGuard:
    return AccessGuard(app, sid=SID, token=TOKEN, sessions=sessions or Sessions(), metrics_open=metrics_open)


def asking(headers: Mapping[str, str], *, path: str = "/holds", method: str = "GET") -> Scope:
    given = {"host": "127.0.0.1:8080", **headers}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "client": ("127.0.0.1", 50000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
    }


async def ask(
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "/holds",
    method: str = "GET",
    guard: AccessGuard | None = None,
    password: str | None = None,
) -> tuple[int, dict[str, str], str]:
    """Return status, header fields and body of the answer to one request."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    given = dict(headers or {})
    if password is not None:
        given["authorization"] = password
    await (guard or guarded())(asking(given, path=path, method=method), receive, send)
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], fields, b"".join(message.get("body", b"") for message in sent[1:]).decode()


def basic(user: str = SID, password: str = TOKEN) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def signed_in(sessions: Sessions) -> str:
    token = sessions.exchange_key(sessions.new_key())
    assert token is not None
    return f"Bearer {token}"


PATHS = ["/calls", "/holds", "/holds/HO1/resume", "/pairs", "/events", "/docs", "/openapi.json", "/metrics", "/x"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080", "evil.example", "", "["])
async def test_no_source_address_or_host_name_gives_access(host: str, path: str) -> None:
    """A proxy sends requests from loopback, by the name of loopback, with any header fields or none."""
    status, fields, body = await ask({"host": host}, path=path)
    assert status == 401
    assert fields["www-authenticate"].startswith("Basic ")
    assert json.loads(body)["code"] == "not_authenticated"


@pytest.mark.parametrize("name", ["forwarded", "x-forwarded-for", "x-real-ip", "x-forwarded-user", "x-remote-user"])
@pytest.mark.parametrize("value", ["127.0.0.1", "for=127.0.0.1", SID])
async def test_header_fields_of_a_proxy_give_no_access(name: str, value: str) -> None:
    assert (await ask({name: value}))[0] == 401
    assert (await ask({name: value}, path="/console/keys", method="POST"))[0] == 401


async def test_the_account_has_access() -> None:
    assert await ask(password=basic()) == (
        200,
        {"content-length": "6", "content-type": "text/plain; charset=utf-8"},
        "inside",
    )
    assert (await ask(path="/console/keys", method="POST", password=basic()))[0] == 200


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
        "Bearer",
        "Bearer \xff",
        "Basic é",
    ],
)
async def test_a_wrong_password_is_refused(authorization: str) -> None:
    assert (await ask(password=authorization))[0] == 401


async def test_the_scheme_may_be_written_in_any_case() -> None:
    assert (await ask(password=basic().replace("Basic", "bAsIc")))[0] == 200


async def test_a_session_has_the_rights_of_the_account_except_to_make_sessions() -> None:
    sessions = Sessions()
    guard, session = guarded(sessions=sessions), signed_in(sessions)
    assert [(await ask(path=path, guard=guard, password=session))[0] for path in PATHS] == [200] * len(PATHS)
    assert (await ask(path="/console/keys", method="POST", guard=guard, password=session))[0] == 401
    assert (await ask(path="/holds", password=session))[0] == 401, "it is a session of another server"


async def test_a_session_ends_after_twelve_hours_without_a_password_prompt() -> None:
    time = Time()
    sessions = Sessions(now=time)
    guard, session = guarded(sessions=sessions), signed_in(sessions)
    time.now_s += SESSION_LIFETIME_S - 1
    assert (await ask(guard=guard, password=session))[0] == 200
    time.now_s += 1
    status, fields, body = await ask(guard=guard, password=session)
    assert (status, json.loads(body)["message"]) == (401, "your session has ended, or does not exist")
    assert fields["www-authenticate"].startswith("Bearer ")


async def test_a_stream_ends_with_its_session() -> None:
    sessions = Sessions()
    authorization = signed_in(sessions)
    sent: list[Message] = []
    begun = asyncio.Event()

    async def events(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = asking({"authorization": authorization}, path="/events")
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(guarded(events, sessions=sessions)(scope, receive, send))
        await begun.wait()
        session = sessions.find(authorization)
        assert session is not None
        session.end()
        session.end()
    assert sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]
    assert sessions.find(authorization) is None


OTHER_PAGES = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://["},
    {"origin": "http://127.0.0.1:9090"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", OTHER_PAGES)
async def test_another_page_cannot_hold_a_call_through_the_browser(headers: dict[str, str]) -> None:
    status, _, body = await ask(headers, method="POST", password=basic())
    assert status == 403
    assert json.loads(body)["code"] == "other_site"


@pytest.mark.parametrize("headers", OTHER_PAGES)
async def test_another_page_cannot_sign_a_browser_in(headers: dict[str, str]) -> None:
    assert (await ask(headers, path="/console/session", method="POST"))[0] == 403


async def test_the_console_page_itself_has_access() -> None:
    own = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}
    assert (await ask(own, method="POST", password=basic()))[0] == 200
    assert (await ask(own, path="/console/session", method="POST"))[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/2010-04-01/Accounts/x", "/engine/ladder/CA1", "/twiml/continue", "/healthz", "/readyz"),
        *("/", "/console/page.css", "/console/page.js", "/console/docs", "/console/session"),
    ],
)
async def test_self_authenticated_paths_and_public_files_pass(path: str) -> None:
    assert (await ask({"host": "public.example"}, path=path, method="POST"))[0] == 200


async def test_metrics_need_the_account_unless_they_are_open() -> None:
    assert (await ask(path="/metrics"))[0] == 401
    assert (await ask(path="/metrics", password=basic()))[0] == 200
    assert (await ask(path="/metrics", guard=guarded(metrics_open=True)))[0] == 200
    assert (await ask(path="/calls", guard=guarded(metrics_open=True)))[0] == 401


@pytest.mark.parametrize("path", ["/2010-04-01/Accounts/x/Calls.json", "/engine/x", "/twiml/continue"])
async def test_another_page_cannot_change_anything_on_self_authenticated_paths(path: str) -> None:
    """A browser that has the password of the console sends it to the API with the requests of any page."""
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

    await guarded(inner)({"type": "lifespan"}, nothing, no_answer)
    assert seen == ["lifespan"]
