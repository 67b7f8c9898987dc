"""Messages to and from bytes: valid ones are read and echoed unchanged, others are refused with a reason."""

from __future__ import annotations

import pytest
from aiosipua.message import SipMessage, SipRequest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.errors import SipMessageUnreadable, UriUnreadable
from holdfast.voice.sip.message.codec import Malformed, decode
from holdfast.voice.sip.message.message import (
    Request,
    Response,
    forwarded_by,
    parse_via,
    reply_address,
    respond,
    stamp_source,
)
from holdfast.voice.sip.message.uri import (
    as_sip,
    number_of,
    numeric_address,
    parse_name_addr,
    parse_params,
    parse_uri,
    scheme_of,
    sip_uri,
    split_values,
)
from tests.unit.voice.sip.wire import encode, invite

VALID = [
    # Every freedom of the grammar at once: folding, compact names, spaces round the slashes, odd tokens.
    "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\n"
    "TO :\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\n"
    'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\n'
    "MaX-fOrWaRdS: 0068\nCall-ID: wsinv.ndaksdj@192.0.2.1\nContent-Length   : 0\n"
    "cseq: 0009\n  INVITE\nVia  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\n"
    "s :\nNewFangledHeader:   newfangled value\n continued newfangled value\n"
    "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n"
    " SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n z9hG4bK30239\n"
    'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  secondparam ; q = 0.33\n\n',
    # Every allowed sign in method, user part and parameters.
    "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    ":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\n"
    "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n"
    "To: <sip:x@example.com>\n"
    "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>"
    ";fromParam''~+*_!.-%=\"x\";tag=_token~1'+`*%!-.\n"
    "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n"
    "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\n"
    "Max-Forwards: 255\n\n",
    # What phones in the field write.
    "REGISTER sip:127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK+ab*c!d;rport\n"
    'From: "A B" <sip:a_b@my_host>;tag=as+5f*x\nTo: <sip:a_b@my_host>\nCall-ID: x\nCSeq: 1 REGISTER\n'
    'Contact: "A <B>" <sip:a@127.0.0.1:5062;ob>;+sip.instance="<urn:uuid:1-2>",<sip:[::1]:5060>\n\n',
]


@pytest.mark.parametrize("text", VALID)
def test_valid_messages_are_read(text: str) -> None:
    message = decode(encode(text))
    assert isinstance(message, Request)
    again = decode(message.encode())
    assert isinstance(again, Request)
    assert (again.via, again.from_, again.to, again.call_id, again.cseq) == (
        *(message.via, message.from_, message.to, message.call_id, message.cseq),
    )


def test_the_freest_message_is_read_right() -> None:
    message = decode(encode(VALID[0]))
    assert isinstance(message, Request)
    assert (message.to.tag, message.from_.tag, message.cseq, message.method) == ("1918181833n", "98asjd8", 9, "INVITE")
    assert message.from_.name == 'J Rosenberg \\"'
    assert (message.via.transport, message.via.host, message.via.branch) == ("UDP", "192.0.2.2", "390skdjuw")
    assert len(message.values("Via")) == 3
    contact = parse_name_addr(message.values("Contact")[0])
    assert (contact.name, contact.param("q"), contact.param("secondparam")) == ('Quoted string ""', "0.33", "")
    assert message.first("Subject") == ""


@pytest.mark.parametrize("text", [*VALID[2:], invite(), invite("X-A: 1", method="BYE", contact="")])
def test_a_stricter_codec_reads_the_same(text: str) -> None:
    data = encode(text)
    ours, theirs = decode(data), SipMessage.parse(data)
    assert isinstance(ours, Request)
    assert isinstance(theirs, SipRequest)
    assert (ours.method, ours.uri, ours.body) == (theirs.method, theirs.uri, theirs.body)
    assert (ours.call_id, ours.cseq) == (theirs.call_id, theirs.cseq.seq if theirs.cseq else None)
    assert ours.from_.tag == (theirs.from_addr.tag if theirs.from_addr else None)
    assert ours.via.branch == theirs.via[0].branch
    assert ours.values("Contact") == theirs.headers.get("contact")
    answer = respond(ours, 200, tag="t")
    assert SipMessage.parse(answer.encode()).get_header("via") == ours.values("Via")[0]


def test_responses_echo_the_request_to_the_byte() -> None:
    raw = encode(invite("Record-Route: <sip:p1;lr>,  <sip:p2;lr>", "Timestamp: 54.2", "Subject: caf\udce9"))
    message = decode(raw)
    assert isinstance(message, Request)
    made = respond(message, 180, tag="ours", headers=(("X-Ours", "1"),)).encode()
    lines = made.split(b"\r\n")
    for line in raw.split(b"\r\n"):
        if line.startswith((b"Via", b"From", b"Call-ID", b"CSeq", b"Record-Route")):
            assert line in lines
    assert b"To: <sip:bob@10.0.0.2>;tag=ours" in lines
    assert b"Timestamp" not in made
    assert b"Timestamp: 54.2" in respond(message, 100, tag=None).encode()
    assert b"Record-Route" not in respond(message, 404, tag="t").encode()
    assert b"SIP/2.0 299 Unknown" in respond(message, 299, tag="t").encode()
    assert "Subject: caf\udce9".encode("utf-8", "surrogateescape") in message.encode()


def test_an_existing_tag_stays() -> None:
    message = decode(encode(invite(to_tag="theirs")))
    assert isinstance(message, Request)
    assert respond(message, 200, tag="ours").first("To") == "<sip:bob@10.0.0.2>;tag=theirs"


@pytest.mark.parametrize(
    ("via", "source", "stamped", "to"),
    [
        ("10.0.0.3:5060;branch=b", ("10.0.0.3", 6000), "10.0.0.3:5060;branch=b", ("10.0.0.3", 5060)),
        ("10.0.0.3;branch=b", ("10.0.0.3", 6000), "10.0.0.3;branch=b", ("10.0.0.3", 5060)),
        (
            *("10.0.0.3:5060;rport;branch=b", ("10.0.0.3", 6000)),
            *("10.0.0.3:5060;rport=6000;branch=b;received=10.0.0.3", ("10.0.0.3", 6000)),
        ),
        (
            *("10.0.0.3:5060;branch=b;RPORT", ("10.0.0.9", 6000)),
            *("10.0.0.3:5060;branch=b;RPORT=6000;received=10.0.0.9", ("10.0.0.9", 6000)),
        ),
        (
            *("10.0.0.3:5060;rport=;branch=b", ("10.0.0.3", 6000)),
            *("10.0.0.3:5060;rport=6000;branch=b;received=10.0.0.3", ("10.0.0.3", 6000)),
        ),
        (
            *("10.0.0.3:5060;branch=b;rport= ", ("10.0.0.3", 6000)),
            *("10.0.0.3:5060;branch=b;rport=6000;received=10.0.0.3", ("10.0.0.3", 6000)),
        ),
        (
            *("phone.example.com:5070;received=1.1.1.1;branch=b, SIP/2.0/UDP next;branch=c", ("10.0.0.9", 6000)),
            "phone.example.com:5070;branch=b;received=10.0.0.9, SIP/2.0/UDP next;branch=c",
            ("10.0.0.9", 5070),
        ),
    ],
)
def test_the_source_is_stamped_and_replied_to(
    via: str, source: tuple[str, int], stamped: str, to: tuple[str, int]
) -> None:
    text = invite().replace("Via: SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKpeer1", f"Via: SIP/2.0/UDP {via}")
    message = decode(encode(text))
    assert isinstance(message, Request)
    message = stamp_source(message, Address(*source))
    assert message.first("Via") == f"SIP/2.0/UDP {stamped}"
    assert reply_address(message, Address(*source)) == Address(*to)


BAD = [
    (invite().replace("Via: SIP/2.0/UDP 10.0.0.3:5060", "Via: SIP/2.0/UDP 10.0.0.3:65536"), "impossible port"),
    (invite().replace("10.0.0.3:5060;branch", "10.0.0.3:0;branch"), "impossible port"),
    (invite().replace(";branch", ";rport=65536;branch"), "impossible rport"),
    (invite().replace(";branch", ";rport=x;branch"), "impossible rport"),
    (invite().replace(";branch=", ";=;"), "Via whose parameters"),
    (invite().replace("SIP/2.0/UDP", "SIP/3.0/UDP"), "Via that cannot"),
    (invite().replace("SIP/2.0/UDP 10", "nonsense 10"), "Via that cannot"),
    (invite().replace("CSeq: 1 INVITE", "CSeq: 2147483648 INVITE"), "CSeq"),
    (invite().replace("CSeq: 1 INVITE", "CSeq: INVITE"), "CSeq"),
    (invite().replace("CSeq: 1 INVITE\n", ""), "no CSeq"),
    (invite().replace("Call-ID: call-1\n", ""), "no Call-ID"),
    (invite().replace("Call-ID: call-1", "Call-ID: two words"), "Call-ID"),
    (invite().replace("To: <sip:bob@10.0.0.2>", 'To: "unbalanced <sip:bob@10.0.0.2>'), "From or To"),
    (invite().replace("To: <sip:bob@10.0.0.2>", "To: <sip:bob@10.0.0.2"), "From or To"),
    (invite().replace("To: <sip:bob@10.0.0.2>", "To: bob"), "From or To"),
    (invite().replace("To: <sip:bob@10.0.0.2>", "To: sip:bob@10.0.0.2?x=y"), "From or To"),
    (invite().replace("To: <sip:bob@10.0.0.2>", "To: <sip:bob@10.0.0.2>;;tag"), "From or To"),
    (invite().replace("To: <sip:bob@10.0.0.2>", "To: <sip:bob @10.0.0.2>"), "From or To"),
    (invite("To: <sip:second@x>"), "two To"),
    (invite("Content-Length: 0", "l: 0"), "two Content-Length"),
    (invite("Content-Length: 9999"), "shorter than"),
    (invite("Content-Length: -1"), "no number"),
    (invite("a line without a colon"), "header line"),
    (invite("X-Bell: \x07"), "header line"),
    (invite("X-Long: " + "y" * 9000), "header line"),
    (invite(*["X: y"] * 1500), "too many"),
    (invite().replace("sip:bob@10.0.0.2:5060 SIP", "<sip:bob@10.0.0.2> SIP"), "Request line"),
    (invite().replace("INVITE sip", "INVITE  sip"), "Request line"),
    (invite().replace("SIP/2.0\nVia", "SIP/2.0 \nVia"), "Request line"),
    (invite().replace("SIP/2.0\nVia", "SIP/7.0\nVia"), "Version"),
]


@pytest.mark.parametrize(("text", "why"), BAD)
def test_a_bad_request_is_answered_with_the_reason(text: str, why: str) -> None:
    wrong = decode(encode(text))
    assert isinstance(wrong, Malformed)
    assert why.lower() in wrong.reason.lower()
    assert wrong.status == (505 if why == "Version" else 400)
    said = wrong.encode("ours").decode("utf-8", "replace")
    assert said.startswith(f"SIP/2.0 {wrong.status} ")
    assert "\r\nVia: " in said
    assert said.endswith("\r\nContent-Length: 0\r\n\r\n")
    if "two To" not in why and "\r\nTo: " in said:
        assert ";tag=ours" in said


def test_a_bad_request_is_answered_along_its_via() -> None:
    """All Via are echoed in their order; of other repeated headers the first alone."""
    second = "Via: SIP/2.0/UDP 10.0.0.4;branch=z9hG4bKtwo"
    wrong = decode(encode(invite(second, "Call-ID: another", "Max-Forwards: x").replace("CSeq: 1", "CSeq: x")))
    assert isinstance(wrong, Malformed)
    lines = wrong.encode("ours").decode().split("\r\n")
    vias = ["Via: SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKpeer1", second]
    assert [line for line in lines if line.startswith("Via")] == vias
    assert [line for line in lines if line.startswith("Call-ID")] == ["Call-ID: call-1"]


def test_half_a_request_is_answered() -> None:
    data = encode(invite())
    wrong = decode(data[:-2])
    assert isinstance(wrong, Malformed)
    assert "without an end" in wrong.reason


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"\xff" * 50,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"INVITE sip:bob@10.0.0.2 SIP/2.0\r\n\r\n",
        b"ACK sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.3:99999\r\n\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 4294967301 better not\r\nVia: x\r\n\r\n",
        b"SIP/2.0 700 no\r\n\r\n",
        b"SIP/9.9 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1\r\n\r\n",
        encode(invite()).replace(b"INVITE sip:bob@10.0.0.2:5060 SIP/2.0", b"SIP/2.0 200 OK").replace(b"CSeq", b"Sieq"),
    ],
)
def test_unanswerable_bytes_are_dropped(data: bytes) -> None:
    with pytest.raises(SipMessageUnreadable):
        decode(data)


def test_a_body_ends_at_its_content_length_or_with_the_datagram() -> None:
    longer = decode(encode(invite("Content-Length: 2", body="ab")) + b"trailing")
    assert isinstance(longer, Request)
    assert longer.body == b"ab"
    bare = decode(
        b"OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nf: <sip:a>\r\nt: <sip:b>\r\ni: 1\r\n"
        b"CSeq: 1 OPTIONS\r\n\r\nrest"
    )
    assert isinstance(bare, Request)
    assert bare.body == b"rest"


def test_a_response_without_a_reason_is_read() -> None:
    raw = encode(invite()).replace(b"INVITE sip:bob@10.0.0.2:5060 SIP/2.0", b"SIP/2.0 200")
    message = decode(raw)
    assert isinstance(message, Response)
    assert (message.status, message.reason, message.method) == (200, "", "INVITE")
    assert message.start_line == "SIP/2.0 200 "


@given(st.binary(max_size=400), st.integers(0, 500), st.integers(0, 255))
def test_no_bytes_do_harm(noise: bytes, at: int, byte: int) -> None:
    good = bytearray(encode(VALID[0] if at % 2 else invite("Contact: <sip:a@b>", body="v=0")))
    good[at % len(good)] = byte
    for data in (noise, bytes(good), bytes(good[:at]), bytes(good[at:]) + noise):
        try:
            message = decode(data)
        except SipMessageUnreadable:
            continue
        if isinstance(message, Request | Response):
            message.encode()
        else:
            message.encode("tag")


# --- addresses


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:alice@example.com", "alice", "example.com", None),
        ("SIPS:alice:pw@EXAMPLE.com:5061;transport=tls?subject=x", "alice", "example.com", 5061),
        ("sip:[2001:db8::1]:5060", "", "2001:db8::1", 5060),
        ("sip:%61lice%40home@10.0.0.1", "alice@home", "10.0.0.1", None),
        ("sip:a_b@my_host", "a_b", "my_host", None),
    ],
)
def test_uris_are_read(text: str, user: str, host: str, port: int | None) -> None:
    uri = parse_uri(text)
    assert (uri.user, uri.host, uri.port) == (user, host, port)


@pytest.mark.parametrize(
    "text",
    ["", "sip:", "alice", "tel:+1", "sip:a@b@c", "sip:a@b:0", "sip:a@b:65536", "sip:a@b:x", "sip:a b@c", "sip:a@"],
)
def test_text_that_is_not_a_sip_uri_is_refused(text: str) -> None:
    with pytest.raises(UriUnreadable):
        parse_uri(text)


@pytest.mark.parametrize(
    ("user", "number"),
    [
        ("+15550100", "+15550100"),
        ("+15550100;npdi;rn=+15550199", "+15550100"),
        ("+1(555)01-00;isub=1", "+1(555)01-00"),
        ("5550100;phone-context=+1", "+15550100"),
        ("555-0100;ext=7;Phone-Context=+1-2", "+125550100"),
        ("15550100;phone-context=+1", "+15550100"),
        ("+15550100;phone-context=+44", "+15550100"),
        ("100;phone-context=office.example", "100"),
        ("100;phone-context=+", "100"),
        ("100;phone-context", "100"),
        ("*100#;x", "*100#"),
        ("alice;x", "alice;x"),
        (";x", ";x"),
        ("alice", "alice"),
    ],
)
def test_the_number_of_a_subscriber(user: str, number: str) -> None:
    assert number_of(user) == number


@pytest.mark.parametrize(
    ("text", "host", "uri"),
    [
        ("tel:+15550100;npdi", "10.0.0.2", "sip:+15550100;npdi@10.0.0.2;user=phone"),
        ("TEL:100", "::1", "sip:100@[::1];user=phone"),
        ("sips:alice@example.com", "10.0.0.2", "sips:alice@example.com"),
    ],
)
def test_a_tel_uri_is_a_sip_uri_at_a_host(text: str, host: str, uri: str) -> None:
    assert as_sip(text, host) == uri
    parse_uri(uri)


def test_parameters_of_a_uri() -> None:
    uri = parse_uri("sip:a@b;Transport=udp;lr;x=")
    assert (uri.param("transport"), uri.param("lr"), uri.param("x"), uri.param("none")) == ("udp", "", "", None)


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("10.0.0.1", None, ("10.0.0.1", 5060)),
        ("LocalHost", 7000, ("127.0.0.1", 7000)),
        ("::1", 7000, ("::1", 7000)),
        ("example.com", 5060, None),
        ("0.0.0.0", 5060, None),
        ("239.1.1.1", 5060, None),
        ("255.255.255.255", 5060, None),
        ("1127.0.0.1", 5060, None),
    ],
)
def test_only_numeric_hosts_are_reached(host: str, port: int | None, address: tuple[str, int] | None) -> None:
    assert numeric_address(host, port) == (None if address is None else Address(*address))


def test_uris_of_ours_are_escaped() -> None:
    assert sip_uri("a@b c", Address("::1", 5060)) == "sip:a%40b%20c@[::1]:5060"
    assert sip_uri("", Address("10.0.0.1", 5060)) == "sip:10.0.0.1:5060"


def test_lists_are_split_outside_quotes_and_brackets() -> None:
    text = '"a,\\"b" <sip:x,y@z>;p="1,2", <sip:b> , *'
    assert split_values(text) == ['"a,\\"b" <sip:x,y@z>;p="1,2"', "<sip:b>", "*"]


def test_parameters_are_read_or_refused() -> None:
    assert parse_params(' ; A = "x \\" y" ; b;c=d') == (("a", 'x " y'), ("b", None), ("c", "d"))
    for text in ("x", ";", ";a=", '; a="x', ";a=b c"):
        with pytest.raises(UriUnreadable):
            parse_params(text)


def test_schemes() -> None:
    assert (scheme_of("TEL:+1"), scheme_of("urn:service:sos"), scheme_of("+1555"), scheme_of("")) == (
        *("tel", "urn"),
        *(None, None),
    )


def test_via_default_port_is_part_of_its_name() -> None:
    assert parse_via("SIP/2.0/UDP host;branch=x").sent_by == parse_via("SIP/2.0/UDP HOST:5060;branch=x").sent_by


@pytest.mark.parametrize(
    ("below", "origin"),
    [
        ((), None),
        (("10.0.0.7:5062;received=192.0.2.7;rport=61000",), "192.0.2.7"),
        (("192.0.2.7;branch=z9hG4bKa",), "192.0.2.7"),
        (("[2001:db8::7]:5060;branch=z9hG4bKa",), "2001:db8::7"),
        (("10.0.0.7; Received = 192.0.2.7 ;branch=z9hG4bKa",), "192.0.2.7"),
        (("192.0.2.100", "192.0.2.7"), "192.0.2.7"),
        (("192.0.2.7", "198.51.100.1;received=198.51.100.2"), "192.0.2.7"),
        (("phone.example",), None),
        (("10.0.0.7;received=elsewhere.example",), None),
        (("192.0.2.100", "phone.example"), "192.0.2.100"),
    ],
)
def test_the_sender_of_a_forwarded_request_is_named_by_trusted_proxies(
    below: tuple[str, ...], origin: str | None
) -> None:
    """192.0.2.99 and 192.0.2.100 are trusted."""
    proxies = {"192.0.2.99", "192.0.2.100"}
    vias = "".join(f"Via: SIP/2.0/UDP {via}\n" for via in below)
    text = f"OPTIONS sip:a@b SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx\n{vias}"
    text += "From: <sip:c@d>;tag=1\nTo: <sip:a@b>\nCall-ID: x\nCSeq: 1 OPTIONS\n\n"
    received = decode(encode(text))
    assert isinstance(received, Request)
    assert forwarded_by(received, Address("192.0.2.99", 5060), proxies.__contains__) == origin
    assert forwarded_by(received, Address("203.0.113.9", 5060), proxies.__contains__) is None
