"""The HTTP client against web servers of every kind: polite, slow, broken and hostile."""

import asyncio
import base64
import socket
import ssl
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from twilio.request_validator import RequestValidator

from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.http.client import WebClient, tls_context
from holdfast.voice.runtime.http.errors import WebhookSettingInvalid
from holdfast.voice.runtime.http.exchange import HttpRequest, RequestPolicy
from holdfast.voice.runtime.http.ssrf_policy import SsrfPolicy, policy_of
from tests.loopback.web_server import Behaviour, Request, WebServer, answer, raw, reply, to

pytestmark = pytest.mark.anyio

TOKEN = "secret"
FAST = RequestPolicy(connect_s=0.3, read_s=0.3, total_s=0.8)
ALICE, BOB = CallSid("CA" + "a" * 32), CallSid("CA" + "b" * 32)


class Names(AbstractResolver):
    """A resolver of the host names of a test."""

    def __init__(self, **addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.addresses.get(host.replace(".", "_"))
        if found is None:
            raise OSError(socket.EAI_NONAME, "unknown")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in found.split()
        ]

    async def close(self) -> None:
        return


def client(*, timing: RequestPolicy = FAST, reach: SsrfPolicy | None = None, names: Names | None = None) -> WebClient:
    return WebClient(auth_token=TOKEN, ssrf_policy=reach or SsrfPolicy(loopback=True), policy=timing, resolver=names)


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    async with WebServer() as server:
        yield server


@pytest.fixture
async def web() -> AsyncIterator[WebClient]:
    async with client() as web:
        yield web


async def code_of(web: WebClient, ask: HttpRequest) -> int:
    with pytest.raises(VoiceError) as failure:
        (await web.send(ask)).require_success()
    assert "secret" not in failure.value.message
    return failure.value.code


# --- requests --------------------------------------------------------------------------------------------


async def test_a_post_is_a_signed_form(server: WebServer, web: WebClient) -> None:
    url = server.on("/voice", reply("<Response/>", kind="text/xml; charset=UTF-8"))
    form = (("CallSid", ALICE), ("From", "+1555"), ("Empty", ""), ("Name", "Ann & Bob ü"))

    answer = await web.send(HttpRequest(url=url + "?x=%7e&y#rc=0", method="POST", form=form))

    request = server.requests[0]
    assert (answer.status, answer.content_type, answer.charset, answer.body) == (
        200,
        "text/xml",
        "UTF-8",
        b"<Response/>",
    )
    assert request.target == "/voice?x=%7e&y"
    assert request.form == dict(form)
    assert request.headers["user-agent"] == "TwilioProxy/1.1"
    signature = request.headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(server.url(request.target), request.form, signature)


async def test_a_get_carries_the_form_in_its_signed_url(server: WebServer, web: WebClient) -> None:
    url = server.on("/hold", reply("<Response/>"))

    await web.send(HttpRequest(url=url + "?room=a%20b", form=(("CallSid", ALICE), ("Name", "ü&"))))

    request = server.requests[0]
    assert request.target == f"/hold?room=a%20b&CallSid={ALICE}&Name=%C3%BC%26"
    assert request.body == b""
    signature = request.headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(server.url(request.target), {}, signature)


async def test_a_password_in_the_url_is_sent_as_a_header_during_the_whole_call(
    server: WebServer, web: WebClient
) -> None:
    server.on("/a", reply())
    with_password = server.url("/a").replace("//", "//user:p%40ss@")

    first = await web.send(HttpRequest(url=with_password, call=ALICE))
    await web.send(HttpRequest(url=server.url("/a"), call=ALICE))
    await web.send(HttpRequest(url=server.url("/a"), call=BOB))
    web.forget(ALICE)
    await web.send(HttpRequest(url=server.url("/a"), call=ALICE))

    expected = "Basic " + base64.b64encode(b"user:p@ss").decode()
    assert [request.headers.get("authorization") for request in server.requests] == [expected, expected, None, None]
    assert first.url == server.url("/a")


async def test_a_digest_challenge_is_answered(server: WebServer, web: WebClient) -> None:
    async def guarded(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.headers.get("authorization", "").startswith("Digest username="):
            writer.write(answer("<Response/>"))
        else:
            challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
            writer.write(answer(status=401, headers={"WWW-Authenticate": challenge}))

    url = server.on("/a", guarded).replace("//", "//user:pass@")

    found = await web.send(HttpRequest(url=url, method="POST", form=(("Digits", "1"),)))

    assert found.body == b"<Response/>"
    assert server.requests[-1].form == {"Digits": "1"}


async def test_a_password_does_not_follow_a_redirect_to_another_origin(server: WebServer, web: WebClient) -> None:
    async with WebServer() as other:
        target = other.on("/b", reply())
        url = server.on("/a", to(target)).replace("//", "//user:pass@")

        await web.send(HttpRequest(url=url, call=ALICE))

        assert "authorization" in server.requests[0].headers
        assert "authorization" not in other.requests[0].headers


# --- cookies ------------------------------------------------------------------------------------------------


async def test_each_call_has_its_own_cookies_even_for_numeric_hosts(server: WebServer, web: WebClient) -> None:
    url = server.on("/a", reply(headers={"Set-Cookie": "session=1; Path=/"}))

    for call in (ALICE, ALICE, BOB, None):
        await web.send(HttpRequest(url=url, call=call, cookies=True))
    await web.send(HttpRequest(url=url, call=ALICE))

    assert [request.headers.get("cookie") for request in server.requests] == [None, "session=1", None, None, None]


async def test_a_cookie_set_by_a_redirect_arrives_at_its_target(server: WebServer, web: WebClient) -> None:
    server.on("/b", reply())
    url = server.on("/a", reply(status=302, headers={"Set-Cookie": "login=yes", "Location": "/b"}))

    await web.send(HttpRequest(url=url, call=ALICE, cookies=True))

    assert server.asked("/b")[0].headers["cookie"] == "login=yes"


# --- redirects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirected_post_becomes_a_get_that_keeps_its_query_and_digits(
    server: WebServer, web: WebClient, status: int
) -> None:
    server.on("/b", reply("<Response/>"))
    url = server.on("/a", to("/b?z=1", status=status))

    found = await web.send(HttpRequest(url=url + "?q=2", method="POST", form=(("CallSid", ALICE), ("Digits", "12"))))

    request = server.asked("/b")[0]
    assert (request.method, request.query, request.body) == ("GET", {"z": "1", "q": "2", "Digits": "12"}, b"")
    assert RequestValidator(TOKEN).validate(server.url(request.target), {}, request.headers["x-twilio-signature"])
    assert found.url == server.url(request.target)
    assert [(hop.method, hop.status, hop.location) for hop in found.hops] == [("POST", status, "/b?z=1")]


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_that_keeps_the_method_keeps_the_form(server: WebServer, web: WebClient, status: int) -> None:
    server.on("/b", reply("<Response/>"))
    url = server.on("/a", to("/b", status=status))

    await web.send(HttpRequest(url=url, method="POST", form=(("CallSid", ALICE),)))

    request = server.asked("/b")[0]
    assert (request.method, request.form) == ("POST", {"CallSid": ALICE})
    signature = request.headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(server.url("/b"), request.form, signature)


async def test_a_redirect_of_a_sound_is_followed_without_the_query(server: WebServer, web: WebClient) -> None:
    server.on("/b", reply(b"x"))
    url = server.on("/a", to("/b?signed=yes"))

    await web.send(HttpRequest(url=url + "?id=5", carry_query=False))

    assert server.asked("/b")[0].target == "/b?signed=yes"


async def test_ten_redirects_are_followed_and_not_eleven(server: WebServer, web: WebClient) -> None:
    for number in range(12):
        server.on(f"/{number}", to(f"/{number + 1}"))
    server.on("/12", reply("end"))

    assert (await web.send(HttpRequest(url=server.url("/2")))).body == b"end"
    assert await code_of(web, HttpRequest(url=server.url("/1"))) == 11215


async def test_a_redirect_to_itself_ends(server: WebServer, web: WebClient) -> None:
    url = server.on("/a", to("/a"))

    assert await code_of(web, HttpRequest(url=url)) == 11215
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://169.254.169.254/latest/meta-data/", 11205),
        ("http://[::ffff:169.254.169.254]/", 11205),
        ("http://10.0.0.1/", 11205),
        ("http://0.0.0.0/", 11205),
        ("file:///etc/passwd", 11100),
        ("gopher://127.0.0.1:6379/_FLUSHALL", 11100),
        ("http://2852039166/", 11100),
        ("http://0xa9fea9fe/", 11210),
    ],
)
async def test_a_redirect_to_a_forbidden_address_is_refused(server: WebServer, location: str, code: int) -> None:
    url = server.on("/a", to(location))

    async with client(names=Names()) as web:
        assert await code_of(web, HttpRequest(url=url)) == code


async def test_a_redirect_without_a_target_is_an_error_status(server: WebServer, web: WebClient) -> None:
    assert await code_of(web, HttpRequest(url=server.on("/a", reply(status=302)))) == 11200


# --- allowed addresses --------------------------------------------------------------------------------------


async def test_loopback_is_refused_unless_allowed_and_nothing_is_sent(server: WebServer) -> None:
    async with client(reach=SsrfPolicy()) as web:
        assert await code_of(web, HttpRequest(url=server.on("/", reply()))) == 11205
    assert server.requests == []


async def test_our_own_origin_is_always_reached(server: WebServer) -> None:
    async with client(reach=policy_of(loopback=False, own_urls=[server.url()], allow=[])) as web:
        assert (await web.send(HttpRequest(url=server.on("/", reply("own"))))).body == b"own"


async def test_a_name_of_a_private_address_is_refused() -> None:
    names = Names(hooks_example="10.0.0.1", both_example="192.168.1.1 169.254.169.254")
    async with client(names=names) as web:
        with pytest.raises(VoiceError, match=r"hooks\.example is at 10\.0\.0\.1.*webhook_allow") as refusal:
            await web.send(HttpRequest(url="http://hooks.example/"))
        assert refusal.value.code == 11205
        assert await code_of(web, HttpRequest(url="http://both.example/")) == 11205


async def test_of_two_addresses_only_the_one_allowed_is_connected_to(server: WebServer) -> None:
    async with client(names=Names(hooks_example="10.0.0.1 127.0.0.1")) as web:
        url = server.on("/", reply("here")).replace("127.0.0.1", "hooks.example")

        assert (await web.send(HttpRequest(url=url))).body == b"here"
        assert server.requests[0].headers["host"] == f"hooks.example:{server.port}"


async def test_the_address_that_was_checked_is_the_address_used(server: WebServer) -> None:
    """A name that changes its address between check and connection (DNS rebinding) gains nothing."""
    names = Names(rebind_example="127.0.0.1")
    async with client(names=names) as web:
        url = server.on("/", reply("here")).replace("127.0.0.1", "rebind.example")
        await web.send(HttpRequest(url=url))
        names.addresses["rebind_example"] = "169.254.169.254"
        await web.send(HttpRequest(url=url))

        assert names.asked == ["rebind.example"]
        assert len(server.requests) == 2


async def test_a_host_name_without_an_address_is_an_error() -> None:
    async with client(names=Names()) as web:
        assert await code_of(web, HttpRequest(url="http://nowhere.example/")) == 11210


# --- broken, slow and too much ------------------------------------------------------------------------------


async def nothing(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then: never silent for long, never complete."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(600):
        writer.write(b"<")
        await writer.drain()
        await asyncio.sleep(0.1)


async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def endless_chunks(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        await writer.drain()


async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send part of a body, then reset the connection."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(0.05)
    linger = socket.SO_LINGER
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, linger, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


ENDLESS_HEADERS = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: x\r\n" % number for number in range(1500)) + b"\r\n"


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (nothing, 11200),
        (drip, 11203),
        (endless, 11750),
        (endless_chunks, 13420),
        (reset, 11206),
        (raw(b""), 11205),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), 11206),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"), 11206),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 11206),
        (raw(b"\x00\x01\x02 not http at all\r\n\r\n"), 11206),
        (raw(b"HTTP/1.1 abc OK\r\n\r\n"), 11206),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"), 11206),
        (raw(ENDLESS_HEADERS), 11206),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 209715200\r\n\r\n"), 11750),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 209715200\r\n\r\n"), 13420),
        (reply(b"x" * 65_537), 11750),
        (reply(b"not gzip", headers={"Content-Encoding": "gzip"}), 11206),
        (reply(status=404), 11200),
        (reply(status=500), 11200),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), 11206),
    ],
)
async def test_failures_have_twilios_codes(server: WebServer, web: WebClient, behaviour: Behaviour, code: int) -> None:
    url = server.on("/a", behaviour)

    assert await code_of(web, HttpRequest(url=url, audio_limit_bytes=1_000_000)) == code


async def test_a_document_of_exactly_the_limit_is_accepted(server: WebServer, web: WebClient) -> None:
    assert len((await web.send(HttpRequest(url=server.on("/a", reply(b"x" * 65_536))))).body) == 65_536


async def test_a_small_response_that_unpacks_to_a_large_one_is_refused(server: WebServer, web: WebClient) -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(100)) + packer.flush()
    url = server.on("/a", reply(bomb, headers={"Content-Encoding": "gzip"}))

    assert len(bomb) < 150_000
    assert await code_of(web, HttpRequest(url=url, limit_bytes=200_000)) == 11750


async def test_a_response_to_a_callback_is_only_truncated(server: WebServer, web: WebClient) -> None:
    found = await web.send(HttpRequest(url=server.on("/a", endless), limit_bytes=100, truncate=True))

    assert (found.status, len(found.body)) == (200, 100)


async def test_a_refused_connection_is_an_error(web: WebClient) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert await code_of(web, HttpRequest(url=f"http://127.0.0.1:{closed.getsockname()[1]}/")) == 11202


async def test_a_listener_that_accepts_no_connection_times_out(web: WebClient) -> None:
    with socket.socket() as full, socket.socket() as first:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        first.setblocking(False)
        first.connect_ex(full.getsockname())
        await asyncio.sleep(0.05)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"

        assert await code_of(web, HttpRequest(url=url + "#ct=100&rc=1")) == 11201


async def test_an_untrusted_certificate_is_refused() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(__file__).with_name("localhost.pem"))
    async with WebServer(tls=tls) as server, client() as web:
        assert await code_of(web, HttpRequest(url=server.on("/", reply()))) == 11237


async def test_the_setting_adds_a_trusted_authority() -> None:
    certificate = Path(__file__).with_name("localhost.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    names, trusted = Names(localhost="127.0.0.1"), tls_context(certificate)
    web = WebClient(auth_token=TOKEN, ssrf_policy=SsrfPolicy(loopback=True), policy=FAST, resolver=names, tls=trusted)
    async with WebServer(tls=tls) as server, web:
        url = server.on("/", reply("<Response/>")).replace("127.0.0.1", "localhost")
        assert (await web.send(HttpRequest(url=url))).body == b"<Response/>"


@pytest.mark.parametrize(("text", "said"), [("no certificate", "has no PEM certificate"), (None, "cannot be read")])
def test_an_unusable_file_of_authorities_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "authorities.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(WebhookSettingInvalid, match=f"webhook_authorities: .*{said}"):
        tls_context(path)


async def test_tls_with_a_server_that_speaks_plain_http_is_an_error(web: WebClient) -> None:
    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        with pytest.raises(VoiceError, match="the server speaks plain HTTP; use http://") as failure:
            await web.send(HttpRequest(url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    assert failure.value.code == 11220


@pytest.mark.parametrize("url", ["", "/relative", "ftp://127.0.0.1/", "http://127.0.0.1:1/\r\nX: y"])
async def test_an_invalid_url_is_refused(web: WebClient, url: str) -> None:
    assert await code_of(web, HttpRequest(url=url)) == 11100


# --- retries ------------------------------------------------------------------------------------------------


async def test_only_a_connection_that_fails_is_tried_again(server: WebServer, web: WebClient) -> None:
    assert await code_of(web, HttpRequest(url=server.on("/a", reply(status=500)))) == 11200
    assert await code_of(web, HttpRequest(url=server.on("/b", nothing))) == 11200

    assert len(server.requests) == 2


async def test_the_fragment_sets_which_failures_are_retried_and_how_often(server: WebServer, web: WebClient) -> None:
    url = server.on("/a", reply(status=503))

    assert await code_of(web, HttpRequest(url=url + "#rc=3&rp=5xx")) == 11200
    assert await code_of(web, HttpRequest(url=url + "#rc=3&rp=4xx")) == 11200

    assert len(server.requests) == 4 + 1
    tokens = [request.headers["i-twilio-idempotency-token"] for request in server.requests]
    assert len(set(tokens[:4])) == 1
    assert tokens[4] not in tokens[:4]
    assert {request.target for request in server.requests} == {"/a"}


async def test_a_silent_server_is_retried_if_the_fragment_says_so(server: WebServer, web: WebClient) -> None:
    url = server.on("/a", nothing)

    assert await code_of(web, HttpRequest(url=url + "#rc=1&rp=rt&rt=100")) == 11200
    assert len(server.requests) == 2


async def test_the_total_time_of_the_fragment_counts(server: WebServer, web: WebClient) -> None:
    assert await code_of(web, HttpRequest(url=server.on("/a", nothing) + "#tt=100")) == 11203


async def test_an_invalid_fragment_is_refused_before_a_request_is_sent(server: WebServer, web: WebClient) -> None:
    assert await code_of(web, HttpRequest(url=server.url("/a#rc=99"))) == 11243
    assert server.requests == []


async def test_an_idle_connection_that_the_server_closed_is_opened_again(web: WebClient) -> None:
    """The server closes an idle connection just as the next request is sent: that one is sent again."""
    served: list[int] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            served.append(len(served))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
            # The next request on this connection gets no response.
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        first = await web.send(HttpRequest(url=url, method="POST"))
        second = await web.send(HttpRequest(url=url, method="POST"))

    assert (first.body, second.body, served) == (b"ok", b"ok", [0, 1])


async def test_slow_servers_delay_no_other_requests(server: WebServer) -> None:
    finish = asyncio.Event()

    async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
        await finish.wait()
        writer.write(answer("late"))

    url = server.on("/slow", slow)
    async with client(timing=RequestPolicy()) as web:
        waiting = [asyncio.create_task(web.send(HttpRequest(url=url))) for _ in range(120)]
        await server.came(120)

        found = await web.send(HttpRequest(url=server.on("/fast", reply("here"))))

        assert found.body == b"here"
        assert not any(task.done() for task in waiting)
        finish.set()
        assert {late.body for late in await asyncio.gather(*waiting)} == {b"late"}
