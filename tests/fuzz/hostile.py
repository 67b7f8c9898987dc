"""A generator of hostile packets that knows the structure of real ones: SIP, SDP, RTP, RTCP.

Each packet is a function of its kind and a number, so that one that found a fault is kept as `kind number`.
Point of view: every packet goes from an attacker to the engine.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NUMBERS = (
    *("0", "-1", "1", "65535", "65536", "70000", "2147483647", "2147483648", "4294967296", "99999999999999999999"),
    *("", "abc", "1.5", "0x10", "１２", " 7 ", "+5", "1e9"),
)
HOSTS = (
    *("127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "[::1]", "[::", "::1", "1127.0.0.1", "localhost", "a_b"),
    *("example.com", "127.0.0.1:99999", "", "-", "." * 60, "xn--\udcff", "127.1", "0177.0.0.1", "[::ffff:127.0.0.1]"),
)
TEXTS = (
    *(
        "",
        " ",
        "\t",
        '"',
        '"\\',
        "<",
        ">",
        "<>",
        ";",
        ";;;;",
        ",",
        ",,,",
        "=",
        "%",
        "%00",
        "%zz",
        "\x00",
        "\x7f",
        "\udcff",
    ),
    *("é", "\u202e", "a" * 300, "A" * 9000, "(" * 200, '"' * 99, "\\" * 99, "${jndi}", "%s%s%n", "'; --", "../../x"),
)
METHODS = (
    *("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "UPDATE", "INFO", "PRACK", "REFER", "SUBSCRIBE"),
    *("NOTIFY", "MESSAGE", "PUBLISH", "invite", "NEW", "", "I N", "INVITE\x00", "é"),
)
HEADERS = (
    *("Via", "v", "From", "f", "To", "t", "Call-ID", "i", "CSeq", "Contact", "m", "Max-Forwards", "Content-Type", "c"),
    *("Content-Length", "l", "Content-Encoding", "Require", "Supported", "k", "Proxy-Require", "Route", "Record-Route"),
    *("Expires", "Min-SE", "Session-Expires", "x", "RAck", "RSeq", "Authorization", "Proxy-Authorization", "Allow"),
    *("Accept", "Event", "Refer-To", "Replaces", "Reason", "Timestamp", "Date", "X-Anything", "", "\x00", "Via Via"),
)
BODIES = ("application/sdp", "application/sdp", "application/dtmf-relay", "multipart/mixed;boundary=b", "x")
EXTRAS = (
    ("Require", "100rel", "timer", "100rel, timer", "nothing"),
    ("Supported", "100rel, timer", "timer", "100rel"),
    ("Session-Expires", "90", "1800;refresher=uac", "600;refresher=uas", "10", "4294967296"),
    ("Min-SE", "90", "3600", "99999999999"),
    ("RAck", "1 1 INVITE", "2 1 INVITE", "99999999999 1 INVITE"),
    ("Expires", "0", "1", "3600", "99999999999999"),
    ("Allow", "INVITE, ACK, BYE", "UPDATE"),
    ("Record-Route", "<sip:127.0.0.1:5098;lr>", "<sip:10.0.0.1>", "<sip:[::1]:9;lr>, <sip:x;lr>"),
    ("Refer-To", "<sip:somebody@127.0.0.1>"),
    ("Content-Encoding", "identity", "gzip"),
)
"""Headers with the values that they may have in good messages."""
LINE_ENDS = ("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", "\n\t", "\r\r\n", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """An existing dialog from its peer's side. Empty texts: none is known."""

    call_id: str = ""
    ours: str = ""
    """The engine's tag."""
    theirs: str = ""
    uri: str = "sip:anybody@127.0.0.1"
    cseq: int = 0
    """The number of the next request in it; 0: any."""


UNKNOWN = Dialog()


# --- SDP


def sdp(rng: random.Random) -> bytes:
    """Return a session description in which a line or two are wrong, missing, doubled or far too many."""
    pick = rng.choice
    address = mostly(rng, "127.0.0.1", HOSTS)
    known = ("0", "8", "9", "101", "96", "0 8 101", "8 0 101", "0 101")
    lines = [
        "v=0",
        f"o=- {mostly(rng, '1', NUMBERS)} {mostly(rng, '1', NUMBERS)} IN IP4 {address}",
        "s=-",
        f"c=IN {mostly(rng, 'IP4', ('IP6', 'IPX', ''))} {address}",
        "t=0 0",
        f"m={mostly(rng, 'audio', ('video', 'image', ''))} {mostly(rng, '4000', (*NUMBERS, '0'))} "
        f"{mostly(rng, 'RTP/AVP', ('RTP/SAVP', 'UDP/TLS/RTP/SAVPF', 'udptl', ''))} "
        f"{mostly(rng, pick(known), ('127', '128', '-1', 'x', '0 0 0 0', ''))}",
        f"a=rtpmap:{mostly(rng, '0', NUMBERS)} {mostly(rng, 'PCMU', ('PCMA', 'PCMU PCMU', '', 'x' * 999))}/8000",
        f"a=rtpmap:101 telephone-event/{mostly(rng, '8000', NUMBERS)}",
        f"a=fmtp:101 {mostly(rng, '0-15', ('0-999999999999', '15-0', '-', ','))}",
        f"a=ptime:{mostly(rng, '20', NUMBERS)}",
        f"a={pick(('sendrecv', 'sendonly', 'recvonly', 'inactive', mostly(rng, 'inactive', ('SENDONLY', 'x', ''))))}",
    ]
    if rng.random() < 0.2:
        suite = mostly(rng, "AES_CM_128_HMAC_SHA1_80", ("X", ""))
        lines.append(f"a=crypto:{mostly(rng, '1', NUMBERS)} {suite} inline:{pick(TEXTS)[:60]}")
    if rng.random() < 0.2:
        lines += [f"m={pick(('video', 'audio', 'application'))} {pick(('0', '5000'))} RTP/AVP 31 {pick(('0', '8'))}"]
    for _ in range(pick((0, 0, 1, 2))):
        at = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[at])
            case 2:
                lines.insert(rng.randrange(len(lines)), lines.pop(at))
            case 3:
                lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
            case 4:
                lines[at:at] = [lines[at]] * pick((2, 17, 600))
            case _:
                lines[at] += pick(TEXTS)
        lines = lines or ["v=0"]
    return mostly(rng, "\r\n", ("\n", "\r")).join([*lines, ""]).encode("utf-8", "surrogateescape")


def mostly(rng: random.Random, good: str, bad: Sequence[str]) -> str:
    """Return the right value nineteen times of twenty: a packet that is wrong in all is refused at its first byte."""
    return good if rng.random() < 0.95 else rng.choice(bad)


# --- SIP


def sip(rng: random.Random, dialog: Dialog = UNKNOWN, *, via: str = "127.0.0.1:5099") -> bytes:
    """Return a request or response with the headers of real ones, some of them spoiled."""
    pick = rng.choice
    method = mostly(rng, pick(("INVITE", "INVITE", "INVITE", "UPDATE", *METHODS[:14])), METHODS)
    if dialog.call_id and method == "BYE":
        method = "INFO"
    number = str(rng.randrange(1, 1 << 31))
    body = b"" if rng.random() < 0.3 else sdp(rng)
    first = f"{method} {mostly(rng, dialog.uri, (uri(rng),))} SIP/2.0"
    if rng.random() < 0.1:
        status = pick(("100", "180", "183", "200", "401", "422", "486", "503", "699", "700", "99", "x"))
        first = f"SIP/2.0 {status} {pick(TEXTS)[:40]}"
    to_tag = f";tag={dialog.ours}" if dialog.ours else mostly(rng, "", (f";tag=x{number}",))
    headers = [
        f"Via: SIP/2.0/UDP {via};branch=z9hG4bK{number}{pick((';rport', '', mostly(rng, '', (';rport=70000',))))}",
        f"Max-Forwards: {mostly(rng, '70', NUMBERS)}",
        f"From: <sip:stranger@{via}>;tag={dialog.theirs or number}",
        f"To: <{dialog.uri}>{to_tag}",
        f"Call-ID: {dialog.call_id or number}",
        f"CSeq: {dialog.cseq or rng.randrange(2, 1 << 20)} {mostly(rng, method, METHODS)}",
        f"Contact: <sip:stranger@{via}>",
    ]
    if body:
        headers.append(f"Content-Type: {mostly(rng, BODIES[0], BODIES)}")
    for extra in EXTRAS:
        if rng.random() < 0.06:
            headers.append(f"{extra[0]}: {mostly(rng, pick(extra[1:]), TEXTS)}")
    for _ in range(pick((0, 0, 0, 1, 2))):
        name, colon = pick(HEADERS), pick((":", ": ", " : ", "", ":  "))
        headers.insert(rng.randrange(len(headers) + 1), f"{name}{colon}{value(rng)}")
    for _ in range(pick((0, 0, 0, 1, 2))):
        at = rng.randrange(len(headers))
        match rng.randrange(5):
            case 0 if len(headers) > 1:
                del headers[at]
            case 1:
                headers.insert(at, headers[at])
            case 2:
                headers[at] = headers[at].partition(":")[0] + ": " + value(rng)
            case 3:
                headers[at] += pick((";", ",", " ")) + value(rng)
            case _:
                headers[at] = headers[at].swapcase()
    if rng.random() < 0.01:
        headers += [f"X-{number}: {number}"] * 1500
    if rng.random() < 0.95:
        headers.append(f"Content-Length: {mostly(rng, str(len(body)), NUMBERS)}")
    ends = LINE_ENDS if rng.random() < 0.05 else LINE_ENDS[:1]
    text = "".join(line + pick(ends) for line in [first, *headers])
    return spoiled(rng, text.encode("utf-8", "surrogateescape") + b"\r\n" + body)


def answered(rng: random.Random, asked: bytes) -> bytes:
    """Return a response to our request, whose reason, headers and body are now and then hostile."""
    pick = rng.choice
    status = pick((100, 180, 183, 183, 200, 200, 202, 299, 300, 302, 401, 407, 422, 423, 486, 491, 500, 603, 699))
    reason = pick((b"OK", b"", b"occup\xe9", "\x9b2J".encode(), b"\xff" * 300, b"a" * 3000, b"\xed\xa0\x80"))
    lines = [b"SIP/2.0 %d %s" % (status, reason)]
    for line in asked.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name = line.partition(b":")[0]
        if name == b"To":
            lines.append(line + pick((b"", b";tag=a", b";tag=a", b";tag=b")))
        elif name in (b"Via", b"From", b"Call-ID", b"CSeq"):
            lines.append(line)
    extra = (
        b"Contact: <sip:bob@127.0.0.1:5070>",
        *(b"Contact: " + uri(rng).encode("utf-8", "surrogateescape") for _ in range(2)),
        b"Require: 100rel\r\nRSeq: 1",
        b"RSeq: 99999999999",
        b"X-Note: caf\xe9 \xff",
        b"Record-Route: <sip:127.0.0.1:99999;lr>",
        b"Session-Expires: 90;refresher=uas",
        b"Session-Expires: 1",
        b"Min-SE: 4294967296",
        b"Min-Expires: " + pick((b"99999999999", b"0", b"-1", b"\xff", b"%d" % rng.randrange(10**6))),
        b"Expires: " + pick((b"0", b"1", b"-5", b"9" * 40, b"\xb2")),
        b"Retry-After: " + pick((b"0", b"1", b"999999999999", b"18 (soon);duration=\xff")),
        b'WWW-Authenticate: Digest realm="\xff", nonce="\xe9", qop="auth"',
        b'Proxy-Authenticate: Digest realm="x", nonce="", algorithm=\xff',
    )
    lines += [each for each in extra if rng.random() < 0.3]
    body = sdp(rng) if rng.random() < 0.7 else b""
    lines += [b"Content-Type: application/sdp"] if body else []
    return spoiled(rng, b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body]))


def uri(rng: random.Random) -> str:
    """Return a URI, or a text that resembles one."""
    pick = rng.choice
    user = pick(("", "bob@", "a:b@", "%00@", "a@b@", "+1555@", ";x=y@", pick(TEXTS)[:50] + "@"))
    tail = pick(
        (
            "",
            ";lr",
            ";transport=udp",
            ";transport=carrier-pigeon",
            "?Subject=x",
            "?Route=%3Csip:x%3E",
            ";;;",
            ";maddr=224.0.0.1",
        )
    )
    scheme = pick(("sip:", "sip:", "sips:", "tel:", "urn:", "SIP:", "", "javascript:"))
    return f"{scheme}{user}{pick(HOSTS)}{pick(('', ':' + pick(NUMBERS)))}{tail}"


def value(rng: random.Random) -> str:
    """Return a header's value of some kind."""
    pick = rng.choice
    match rng.randrange(8):
        case 0:
            return pick(NUMBERS)
        case 1:
            return pick(TEXTS)
        case 2:
            return f"{pick(TEXTS)[:80]} <{uri(rng)}>;tag={pick(TEXTS)[:80]}"
        case 3:
            transport = pick(("UDP", "TCP", "TLS", "SCTP", ""))
            return f"SIP/2.0/{transport} {pick(HOSTS)}:{pick(NUMBERS)};branch={pick(TEXTS)[:40]}"
        case 4:
            return f"{pick(NUMBERS)} {pick(NUMBERS)} {pick(METHODS)}"
        case 5:
            return ", ".join(
                pick(("100rel", "timer", "replaces", pick(TEXTS)[:30])) for _ in range(rng.randrange(1, 40))
            )
        case 6:
            texts = [pick(TEXTS)[:60] for _ in range(3)]
            proof = f'Digest username="{texts[0]}", realm="holdfast", nonce="{texts[1]}", uri="{uri(rng)}"'
            return f'{proof}, response="{texts[2]}", nc={pick(NUMBERS)}, qop={pick(("auth", "auth-int", ""))}'
        case _:
            return f"{pick(NUMBERS)};refresher={pick(('uac', 'uas', 'both', ''))}"


def spoiled(rng: random.Random, data: bytes) -> bytes:
    """Return the bytes, now and then cut, doubled, flipped, or with noise in them."""
    if rng.random() < 0.85 or not data:
        return data
    at = rng.randrange(len(data))
    match rng.randrange(5):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        case 2:
            return data[:at] + rng.randbytes(rng.randrange(40)) + data[at:]
        case 3:
            return data + data[at:]
        case _:
            return data[at:]


# --- RTP and RTCP


def rtp(rng: random.Random) -> bytes:
    """Return an RTP packet of audio or of digits whose header may promise missing parts."""
    pick = rng.choice
    first = pick((0x80, 0x80, 0x80, 0x90, 0xA0, 0xB0, 0x8F, 0x40, 0xC0, rng.randrange(256)))
    second = pick((0, 0, 8, 101, 0x80, 0x80 | 101, 13, 72, 73, 200 & 0x7F, rng.randrange(256)))
    head = struct.pack("!BBHII", first, second, rng.randrange(1 << 16), rng.randrange(1 << 32), rng.randrange(1 << 32))
    extension = struct.pack("!HH", 0xBEDE, pick((0, 1, 200, 65535))) if first & 0x10 else b""
    payload = pick(
        (b"", b"\xff" * 160, rng.randbytes(160), rng.randbytes(rng.randrange(1400)), bytes([5, 0x8A, 3, 32]))
    )
    return spoiled(rng, head + extension + payload + bytes([pick((0, 1, 4, 255))]) * (1 if first & 0x20 else 0))


def rtcp(rng: random.Random) -> bytes:
    """Return an RTCP compound packet whose counts and lengths may lie."""
    pick = rng.choice
    parts = []
    for _ in range(pick((1, 1, 2, 3, 20))):
        count = rng.randrange(32)
        inside = rng.randbytes(pick((0, 4, 20, 24, 24 + 24 * min(count, 3), rng.randrange(200))))
        length = pick((len(inside) // 4, len(inside) // 4, 0, 65535, rng.randrange(100)))
        kind = pick((200, 201, 202, 203, 204, 205, 206, 207, rng.randrange(256)))
        parts.append(struct.pack("!BBH", 0x80 | pick((count, count, 0, 0x20 | count)), kind, length) + inside)
    return spoiled(rng, b"".join(parts))


KINDS: dict[str, Callable[[random.Random], bytes]] = {"sip": sip, "sdp": sdp, "rtp": rtp, "rtcp": rtcp}


def packet(kind: str, number: int) -> bytes:
    """Return the packet of this kind and number, which is always the same."""
    return KINDS[kind](random.Random(f"{kind} {number}"))


def kept(lines: Sequence[str]) -> list[tuple[str, int]]:
    """Return the packets that a file of seeds names: `kind number`, and the fault behind a `#`."""
    words = [line.partition("#")[0].strip().rsplit(maxsplit=1) for line in lines]
    return [(word[0], int(word[1])) for word in words if len(word) == 2]
