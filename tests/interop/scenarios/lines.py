"""Lines that register, and what is refused to those who have no right: RFC 3261 §10, §22, §26."""

from __future__ import annotations

from tests.interop.scenes import (
    PROVE,
    TARGET,
    Scene,
    ack_of_refusal,
    ask,
    asked,
    gets,
    hangs_up,
    log,
    no_more,
    nothing,
    reply,
    scene,
    sdp,
    wait,
    within,
)

HERE = "sip:[remote_ip]:[remote_port]"
ALICE = PROVE.format(user="alice", password="wonderland")
BOB = PROVE.format(user="bob", password="builder")
WRONG = PROVE.format(user="alice", password="looking-glass")
NOBODY = PROVE.format(user="nobody", password="wonderland")
CHALLENGE = r"WWW-Authenticate: Digest realm=.*nonce=.*algorithm=MD5, qop=.auth."


def register(
    *headers: str,
    cseq: int,
    line: str = "alice",
    as_: str | None = None,
    contact: str | None = None,
    again: bool = True,
) -> str:
    """A REGISTER of a line's address, sent by the same, or by another."""
    address = f"sip:{line}@[remote_ip]:[remote_port]"
    sender = f"sip:{as_ or line}@[remote_ip]:[remote_port]"
    return ask(
        "REGISTER", *headers, cseq=cseq, uri=HERE, to=address, from_=sender, user=line, contact=contact, again=again
    )


def contact(user: str, *, port: str = "[local_port]") -> str:
    return f"<sip:{user}@[local_ip]:{port}>"


SEVERAL = scene(
    "A line registers two phones, asks what is there, and takes them away one by one and all at once",
    register(cseq=1),
    gets(401, CHALLENGE, lacks=["stale"], challenge=True),
    register(
        ALICE, f"Contact: {contact('two')};expires=120", "Expires: 300", cseq=2, contact=f"{contact('one')};q=0.5"
    ),
    gets(200, r"<sip:one@[^>]*>;expires=300", r"<sip:two@[^>]*>;expires=120"),
    register(ALICE, cseq=3),
    gets(200, r"<sip:two@.*<sip:one@"),
    register(ALICE, "Expires: 5", cseq=4, contact=contact("one")),
    gets(423, "Min-Expires: 10"),
    register(ALICE, cseq=5, contact=f"{contact('one')};expires=0"),
    gets(200, "<sip:two@", lacks=["<sip:one@"]),
    register(ALICE, "Expires: 60", cseq=6, contact="*"),
    gets(400),
    register(ALICE, cseq=7),
    gets(200, "<sip:two@"),
    register(ALICE, "Expires: 0", cseq=8, contact="*"),
    gets(200, lacks=["Contact:"]),
    register(ALICE, cseq=9),
    gets(200, lacks=["Contact:"]),
)
EXPIRES = scene(
    "A registration that nobody renews is over after its time",
    register(cseq=1),
    gets(401, challenge=True),
    register(ALICE, "Expires: 10", cseq=2, contact=contact("one")),
    gets(200, "<sip:one@[^>]*>;expires=10"),
    wait(10_500),
    register(ALICE, cseq=3),
    gets(200, lacks=["<sip:one@"]),
)
PHONES = scene(
    "A line registers two phones that listen elsewhere on this host",
    register(cseq=1),
    gets(401, challenge=True),
    register(
        ALICE,
        f"Contact: {contact('alice', port='[second]')}",
        "Expires: 300",
        cseq=2,
        contact=contact("alice", port="[first]"),
    ),
    gets(200),
)
WINS = scene(
    "A phone of two that are called answers first",
    asked("INVITE", dialog=True),
    reply("180 Ringing", tag="wins"),
    reply("200 OK", tag="wins", body=sdp(), again=True),
    asked("ACK"),
    asked("BYE"),
    reply("200 OK"),
)
LOSES = scene(
    "A phone of two that are called rings until the other has answered",
    asked("INVITE", dialog=True, keeps={"via": "Via:", "to": "To:", "cseq": "CSeq:"}),
    reply("180 Ringing", tag="loses"),
    asked("CANCEL"),
    reply("200 OK"),
    reply("487 Request Terminated", tag="loses", via="Via:[$via]", to="To:[$to]", cseq="CSeq:[$cseq]", again=True),
    asked("ACK"),
)
HIJACKED = scene(
    "A line tries to register another's name, as itself and as the other",
    register(cseq=1),
    gets(401, challenge=True),
    register(BOB, "Expires: 300", cseq=2, contact=contact("bob")),
    gets(403),
    register(BOB, "Expires: 300", cseq=3, as_="bob", contact=contact("bob")),
    gets(403),
)
UNKNOWN = scene(
    "A wrong password and a wrong name get the same answer, which says nothing",
    register(cseq=1),
    gets(401, CHALLENGE, challenge=True),
    register(WRONG, cseq=2),
    gets(401, CHALLENGE, lacks=["stale"], challenge=True),
    register(NOBODY, cseq=3, line="nobody"),
    gets(401, CHALLENGE, lacks=["stale"]),
)
CHALLENGED = scene(
    "A challenge, of which the nonce is told",
    register(cseq=1),
    gets(401, keeps={"challenge": "WWW-Authenticate:"}),
    log("[$challenge]"),
)
CHALLENGED_BY_SHA = scene(
    "A challenge by SHA-256 and, after it, by MD5, of which the nonce is told",
    register(cseq=1),
    gets(401, "algorithm=SHA-256.*algorithm=MD5", keeps={"challenge": "WWW-Authenticate:"}),
    log("[$challenge]"),
)
PROVED_TWICE = scene(
    "A proof is taken once; overheard and sent again it is stale",
    register("Authorization: [proof]", "Expires: 60", cseq=1, contact=contact("alice")),
    gets(200, "<sip:alice@"),
    register("Authorization: [proof]", "Expires: 60", cseq=2, contact=contact("thief")),
    gets(401, "stale=true"),
)
LEAKED = scene(
    "A proof that was made for another method opens nothing",
    ask("INVITE", "Authorization: [proof]", uri=HERE, to=HERE, body=sdp(), user="alice"),
    gets(401, lacks=["stale"]),
    ack_of_refusal(user="alice"),
)
GUESSES = scene(
    "Somebody guesses a password",
    register(cseq=1),
    gets(401, challenge=True),
    register(WRONG, cseq=2),
    gets(401),
)
LOCKED_OUT = scene(
    "The right password is not looked at where too many wrong ones came from",
    register(cseq=1),
    gets(401, challenge=True),
    register(ALICE, "Expires: 300", cseq=2, contact=contact("alice")),
    gets(401, lacks=["stale"]),
)
ANOTHER_LET_IN = scene(
    "The right password of another line is taken where too many wrong ones of one line came from",
    register(cseq=1, line="bob"),
    gets(401, challenge=True),
    register(BOB, "Expires: 0", cseq=2, line="bob", contact="*"),
    gets(200),
)
LET_IN = scene(
    "The right password is taken",
    register(cseq=1),
    gets(401, challenge=True),
    register(ALICE, "Expires: 0", cseq=2, contact="*"),
    gets(200),
)


def _calls(*after_proof: str, user: str, password: str) -> Scene:
    """A line that calls the target of this run, and what comes of it."""
    return scene(
        "A line calls",
        ask("INVITE", body=sdp(), user=user),
        gets(401, challenge=True),
        ack_of_refusal(user=user),
        ask("INVITE", PROVE.format(user=user, password=password), cseq=2, body=sdp(), user=user),
        gets(100, optional=True),
        *after_proof,
    )


CALLS = _calls(
    gets(180, optional=True),
    gets(200, dialog=True),
    within("ACK", cseq=2, user="door"),
    *hangs_up(3, "door"),
    user="door",
    password="knock-knock",
)
NO_RIGHT = _calls(gets(403), ack_of_refusal(cseq=2, user="door"), user="door", password="knock-knock")
NOBODY_THERE = _calls(gets(404), ack_of_refusal(cseq=2, user="alice"), user="alice", password="wonderland")
RELAYED = scene(
    "A stranger and a line ask for a call elsewhere, by Request-URI, by REFER and by MESSAGE: none is passed on",
    ask("INVITE", uri="sip:victim@127.0.0.77:[elsewhere]", to="sip:victim@127.0.0.77:[elsewhere]", body=sdp()),
    gets(401),
    ack_of_refusal(),
    ask("REFER", "Refer-To: <sip:victim@127.0.0.77:[elsewhere]>", cseq=2),
    gets(603),
    ask("MESSAGE", cseq=3, body="hello", kind="text/plain"),
    gets(405),
)
PASSED_ON = scene(
    "A line asks for a call to somebody elsewhere: there is no such number here",
    ask("INVITE", uri="sip:victim@127.0.0.77:[elsewhere]", to=TARGET, body=sdp(), user="alice"),
    gets(401, challenge=True),
    ack_of_refusal(user="alice"),
    ask("INVITE", ALICE, cseq=2, uri="sip:victim@127.0.0.77:[elsewhere]", to=TARGET, body=sdp(), user="alice"),
    gets(100, optional=True),
    gets(404),
    ack_of_refusal(cseq=2, user="alice"),
)
_ASKS_BY_SHA = (
    'Proxy-Authenticate: Digest realm="carrier.example", nonce="f00d", algorithm=SHA-512-256, qop="auth"',
    'Proxy-Authenticate: Digest realm="carrier.example", nonce="beef", algorithm=SHA-256, qop="auth", opaque="o"',
    'Proxy-Authenticate: Digest realm="carrier.example", nonce="dead", algorithm=MD5',
)
TRUNK_BY_SHA = scene(
    "A trunk asks for a proof in three ways and gets one by SHA-256; what it asks in another's name it does not get",
    asked("INVITE", lacks=["Authorization: "]),
    reply("407 Proxy Authentication Required", *_ASKS_BY_SHA, tag="asks"),
    asked("ACK"),
    asked("INVITE", "algorithm=SHA-256, qop=auth, nc=00000001", dialog=True, keeps={"proof": "Proxy-Authorization:"}),
    log("[$proof]"),
    reply("200 OK", tag="trunk", body=sdp(), again=True),
    asked("ACK"),
    asked("BYE"),
    reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="elsewhere.example", nonce="bad", algorithm=MD5'),
    no_more("BYE", 1_000, label=1),
)
NO_TRUNK = scene(
    "A phone that is no trunk asks for a proof: it gets none",
    asked("INVITE", lacks=["Authorization: "]),
    reply(
        "401 Unauthorized", 'WWW-Authenticate: Digest realm="carrier.example", nonce="bad", algorithm=MD5', tag="asks"
    ),
    asked("ACK"),
    no_more("INVITE", 1_000, label=1),
)
FLOODS = scene(
    "One of very many who ask at once: answered, or not at all",
    ask("OPTIONS", again=False),
    '  <recv response="200" timeout="1500" ontimeout="2"/>\n',
    log("answered"),
    '  <nop next="3"/>\n  <label id="2"/>\n',
    log("left alone"),
    '  <label id="3"/>\n  <nop/>\n',
)
ASKS = scene("Somebody asks what we can do", ask("OPTIONS"), gets(200, "Allow: .*INVITE"))
SCANS = scene(
    "A scanner asks and calls: not a word",
    ask("OPTIONS", "User-Agent: friendly-scanner", again=False),
    nothing(700, label=3),
    ask("INVITE", "User-Agent: sipvicious", cseq=2, body=sdp(), again=False),
    nothing(700, label=5),
    register("User-Agent: sipcli/v1.8", cseq=3, again=False),
    nothing(700, label=7),
)
UNKNOWN_HERE = scene(
    "A stranger asks and calls: not a word, until it may prove to be a line",
    ask("OPTIONS", again=False),
    nothing(700, label=9),
    ask("INVITE", cseq=2, body=sdp(), again=False),
    nothing(700, label=11),
    register(cseq=3),
    gets(401, challenge=True),
    register(ALICE, "Expires: 60", cseq=4, contact=contact("alice")),
    gets(200),
    ask("OPTIONS", cseq=5),
    gets(200),
)

ALL = {name.lower(): found for name, found in globals().items() if isinstance(found, Scene)}
