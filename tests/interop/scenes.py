"""sipp scenarios in short: each step is what sipp sends or must get, from the point of view of sipp.

What a message must say, and must not, is checked by sipp itself: a message that fails ends its call as failed, and sipp
with a status that is not 0. `python -m tests.interop.scenes NAME` prints one as sipp reads it, to be run by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from xml.sax.saxutils import quoteattr

TARGET = "sip:[service]@[remote_ip]:[remote_port]"
OURSELVES = "<sip:{user}@[local_ip]:[local_port];transport=[transport]>"
PROVE = "[authentication username={user} password={password}]"
"""The header that answers the challenge that came last."""

OPTIONAL = ' optional="true"'
PARTIES = {"ours": "To:", "theirs": "From:"}
"""What a called phone keeps of the INVITE, for requests of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scenario. `about` is what it shows, in a sentence."""

    about: str
    steps: tuple[str, ...]

    def write(self, folder: Path, name: str) -> Path:
        """The file sipp reads."""
        path = folder / f"{name}.xml"
        path.write_text(self.xml(), "utf-8")
        return path

    def xml(self) -> str:
        """Its text. sipp wants each variable to be used somewhere: those that only check are named at the end."""
        numbers = count(1)
        text = re.sub(r'assign_to="\?"', lambda _: f'assign_to="{next(numbers)}"', "".join(self.steps))
        named = ",".join(dict.fromkeys(re.findall(r'assign_to="(\w+)"', text)))
        seen = f'  <Reference variables="{named}"/>\n' if named else ""
        name = quoteattr(self.about)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name={name}>\n{text}{seen}</scenario>\n'


def scene(about: str, *steps: str | Sequence[str]) -> Scene:
    """A scenario of these steps, or of lists of steps."""
    return Scene(
        about=about, steps=tuple(each for step in steps for each in ([step] if isinstance(step, str) else step))
    )


# --- descriptions


def sdp(
    direction: str | None = "sendrecv",
    *,
    of_session: str | None = None,
    address: str = "[media_ip]",
    version: int = 1,
    formats: str = "0 101",
) -> str:
    """A description of one audio line, with its direction at the line, at the session, at both or at neither."""
    names = {"0": "PCMU", "8": "PCMA", "9": "G722", "18": "G729", "101": "telephone-event"}
    return "\n".join(
        [
            "v=0",
            f"o=foreign 1 {version} IN IP[local_ip_type] [local_ip]",
            "s=-",
            f"c=IN IP[media_ip_type] {address}",
            "t=0 0",
            *([f"a={of_session}"] if of_session else []),
            f"m=audio [media_port] RTP/AVP {formats}",
            *(f"a=rtpmap:{one} {names[one]}/8000" for one in formats.split()),
            *([f"a={direction}"] if direction else []),
        ]
    )


# --- what sipp sends


def sent(start: str, *headers: str, body: str = "", kind: str = "application/sdp", again: bool = False) -> str:
    """A message; `again`: repeated until something comes."""
    described = ([f"Content-Type: {kind}"] if body else []) + ["Content-Length: " + ("[len]" if body else "0")]
    text = "\n".join([start, *headers, *described, "", body, ""])
    repeated = ' retrans="500"' if again else ""
    return f"  <send{repeated}>\n    <![CDATA[\n{text}\n]]>\n  </send>\n"


def ask(
    method: str,
    *headers: str,
    cseq: int = 1,
    body: str = "",
    kind: str = "application/sdp",
    uri: str = TARGET,
    to: str = TARGET,
    user: str = "caller",
    from_: str | None = None,
    again: bool = True,
    via: str = "[local_ip]:[local_port];branch=[branch]",
    contact: str | None = OURSELVES,
) -> str:
    """A request that begins something; `contact` None: without that header."""
    return sent(
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/[transport] {via}",
        "Max-Forwards: 70",
        f"From: <{from_ or f'sip:{user}@[local_ip]:[local_port]'}>;tag=[pid]{user}[call_number]",
        f"To: <{to}>",
        "Call-ID: [call_id]",
        f"CSeq: {cseq} {method}",
        *([] if contact is None else [f"Contact: {contact.format(user=user)}"]),
        *headers,
        body=body,
        kind=kind,
        again=again,
    )


def within(
    method: str,
    *headers: str,
    cseq: int,
    body: str = "",
    kind: str = "application/sdp",
    user: str = "caller",
    uri: str = "[next_url]",
) -> str:
    """A request of the caller's in the dialog."""
    return sent(
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "Max-Forwards: 70",
        "[routes]",
        f"From: <sip:{user}@[local_ip]:[local_port]>;tag=[pid]{user}[call_number]",
        f"To: <{TARGET}>[peer_tag_param]",
        "Call-ID: [call_id]",
        f"CSeq: {cseq} {method}",
        f"Contact: {OURSELVES.format(user=user)}",
        *headers,
        body=body,
        kind=kind,
        again=method != "ACK",
    )


def ack_of_refusal(*, cseq: int = 1, user: str = "caller") -> str:
    """The ACK of a refusal, in the transaction of the INVITE."""
    return sent(
        f"ACK {TARGET} SIP/2.0",
        "[last_Via:]",
        "Max-Forwards: 70",
        f"From: <sip:{user}@[local_ip]:[local_port]>;tag=[pid]{user}[call_number]",
        "[last_To:]",
        "Call-ID: [call_id]",
        f"CSeq: {cseq} ACK",
    )


def back(method: str, *headers: str, cseq: int, body: str = "", tag: str = "called", user: str = "called") -> str:
    """A request of a called phone's in the dialog of `answers`."""
    return sent(
        f"{method} [next_url] SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "Max-Forwards: 70",
        f"From:[$ours];tag=[pid]{tag}[call_number]",
        "To:[$theirs]",
        "[last_Call-ID:]",
        f"CSeq: {cseq} {method}",
        f"Contact: {OURSELVES.format(user=user)}",
        *headers,
        body=body,
        again=method != "ACK",
    )


def reply(
    status: str,
    *headers: str,
    tag: str | None = None,
    body: str = "",
    user: str = "called",
    again: bool = False,
    to: str = "[last_To:]",
    via: str = "[last_Via:]",
    cseq: str = "[last_CSeq:]",
    contact: str | None = None,
    from_: str = "[last_From:]",
) -> str:
    """A response to what came last; `tag` stands in To where the dialog begins."""
    return sent(
        f"SIP/2.0 {status}",
        via,
        "[last_Record-Route:]",
        from_,
        to + (f";tag=[pid]{tag}[call_number]" if tag else ""),
        "[last_Call-ID:]",
        cseq,
        f"Contact: {contact or OURSELVES.format(user=user)}",
        *headers,
        body=body,
        again=again,
    )


# --- what sipp must get


def checks(says: Sequence[str], lacks: Sequence[str] = (), keeps: Mapping[str, str] | None = None) -> str:
    """Looks at the message that came: regular expressions it must have, and must not; headers kept as variables."""
    looks = [
        f'      <ereg regexp={quoteattr(each)} search_in="msg" {how}="true" assign_to="?"/>\n'
        for how, wanted in (("check_it", says), ("check_it_inverse", lacks))
        for each in wanted
    ]
    looks += [
        f'      <ereg regexp=".*" search_in="hdr" header={quoteattr(header)} assign_to={quoteattr(name)}/>\n'
        for name, header in (keeps or {}).items()
    ]
    return f"    <action>\n{''.join(looks)}    </action>\n" if looks else ""


def gets(
    status: int,
    *says: str,
    lacks: Sequence[str] = (),
    keeps: Mapping[str, str] | None = None,
    optional: bool = False,
    dialog: bool = False,
    challenge: bool = False,
    within_ms: int | None = None,
) -> str:
    """A response. `dialog`: it makes one; `challenge`: it is to be answered by the next proof."""
    how = "".join(
        f' {name}="{value}"'
        for name, value in (
            ("optional", "true" if optional else None),
            ("rrs", "true" if dialog else None),
            ("auth", "true" if challenge else None),
            ("timeout", within_ms),
        )
        if value is not None
    )
    return f'  <recv response="{status}"{how}>\n{checks(says, lacks, keeps)}  </recv>\n'


def asked(
    method: str,
    *says: str,
    lacks: Sequence[str] = (),
    keeps: Mapping[str, str] | None = None,
    dialog: bool = False,
    within_ms: int | None = None,
) -> str:
    """A request."""
    how = (' rrs="true"' if dialog else "") + ("" if within_ms is None else f' timeout="{within_ms}"')
    return f'  <recv request="{method}"{how}>\n{checks(says, lacks, keeps)}  </recv>\n'


def _silence(direction: str, wrong: Sequence[str], within_ms: int, label: int) -> str:
    looks = "".join(
        f'  <recv {direction}="{each}"{"" if each == wrong[-1] else OPTIONAL} next="{label}" timeout="{within_ms}"'
        f' ontimeout="{label + 1}"/>\n'
        for each in wrong
    )
    return (
        f'{looks}  <label id="{label}"/>\n  <nop><action><error message="something came"/></action></nop>\n'
        f'  <label id="{label + 1}"/>\n  <nop/>\n'
    )


def nothing(within_ms: int, *, label: int) -> str:
    """No response may come within this time. `label` and the next number are labels of sipp's, this step's own."""
    return _silence("response", ("200", "401", "403", "404", "503"), within_ms, label)


def no_more(method: str, within_ms: int, *, label: int) -> str:
    """No such request may come within this time."""
    return _silence("request", (method,), within_ms, label)


def wait(ms: int) -> str:
    return f'  <pause milliseconds="{ms}"/>\n'


def log(message: str) -> str:
    """A line for the log of `-trace_logs`."""
    return f"  <nop><action><log message={quoteattr(message)}/></action></nop>\n"


# --- whole exchanges


def calls(*headers: str, offer: str | None = None, user: str = "caller", answer: Sequence[str] = ()) -> list[str]:
    """A call from its INVITE to its ACK."""
    return [
        ask("INVITE", *headers, body=sdp() if offer is None else offer, user=user),
        gets(100, optional=True),
        gets(180, optional=True),
        gets(200, *answer, dialog=True),
        within("ACK", cseq=1, user=user),
    ]


def hangs_up(cseq: int, user: str = "caller") -> list[str]:
    return [within("BYE", cseq=cseq, user=user), gets(200)]


def is_hung_up(within_ms: int | None = None) -> list[str]:
    """We say BYE, and it is answered."""
    return [asked("BYE", within_ms=within_ms), reply("200 OK")]


def answers(*headers: str, body: str | None = None, tag: str = "called") -> list[str]:
    """A called phone that answers at once."""
    return [
        asked("INVITE", dialog=True, keeps=PARTIES),
        reply("200 OK", *headers, tag=tag, body=sdp() if body is None else body, again=True),
        asked("ACK"),
    ]


def main() -> None:
    """Print a scenario. Raises: KeyError when there is none of that name."""
    from tests.interop import scenarios

    sys.stdout.write(scenarios.ALL[sys.argv[1]].xml())


if __name__ == "__main__":
    main()
