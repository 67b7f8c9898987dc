"""The TwiML we give to calls, written by the official helper library.

Every document that can end has a continuation, and it is ours: `/twiml/continue`, with the turn the document was
given in. So no leg falls off the line because another one moved.

A document that is there for a hold lasts by itself as long as the hold may: what ends it comes by REST. An account
hangs up a call whose next document does not come, so none is asked for while our web door may be away.
"""

from urllib.parse import urlencode, urlsplit
from xml.sax.saxutils import escape

from twilio.twiml.voice_response import Dial, VoiceResponse

from holdfast.holds.errors import BadInput
from holdfast.holds.policy import LONGEST_CALL_S, Policy, lasts_s
from holdfast.holds.steps.account_steps import (
    ContinueDocument,
    Document,
    EnterConference,
    HangUp,
    Park,
    TakeFromQueue,
    WaitInQueue,
)

AUDIO = (".mp3", ".wav", ".wave", ".ulaw", ".au", ".aif", ".aiff", ".aifc", ".gsm", ".ogg", ".flac")
ROUNDS = 1_000
"""How often a `<Play loop="0">` is heard at most. Source: TwiML <Play> loop."""
SHORTEST_S = 1
"""The shortest music that still lasts as long as a call may: fifteen `<Play>` of a thousand rounds of a second."""
MOST_DOCUMENT = 60_000
"""Units: bytes, a little less than the 64 kB that an account reads. Source: Twilio error 11750."""
TAKE_TIMEOUT_S = 15
MOST_URL = 2_000


class Documents:
    """Writes documents for one policy, with URLs that begin with the address the account reaches us at."""

    def __init__(self, public_url: str, policy: Policy) -> None:
        self._base = public_url.rstrip("/")
        self._policy = policy

    def continue_url(self, *, turn: int = 0, after: str | None = None) -> str:
        """What an application puts as `action` on its own `<Dial>`, so that the call can be held."""
        query: dict[str, str] = {} if turn == 0 else {"turn": str(turn)}
        if after is not None:
            query["after"] = after
        return self._url("continue", **query)

    def music_url(self, audio: str) -> str:
        """Where a document is that plays this audio over and over, for a participant's HoldUrl."""
        return self._url("music", url=audio)

    def write(self, document: Document, *, after: str | None = None) -> str:
        """One document as TwiML. `after`: the going-on that is to survive in the continuation's address."""
        response = VoiceResponse()
        match document:
            case WaitInQueue(queue=queue, music=music, turn=turn):
                action = self.continue_url(turn=turn, after=after)
                if music is None:
                    response.enqueue(queue, action=action, method="POST")
                elif is_audio(music):
                    wait = self._url("wait")
                    response.enqueue(queue, action=action, method="POST", wait_url=wait, wait_url_method="POST")
                else:
                    # The account asks a waitUrl again whenever its document ends: the application's own server, then.
                    response.enqueue(queue, action=action, method="POST", wait_url=music, wait_url_method="GET")
            case Park(limit_s=limit_s):
                response.pause(length=lasts_s(self._policy, limit_s))
                # A sign of life after a hold that lasted longer than it may, and the way out when we forgot the call.
                response.redirect(self._url("park"), method="POST")
            case TakeFromQueue(queue=queue, turn=turn):
                dial = Dial(action=self.continue_url(turn=turn, after=after), method="POST", timeout=TAKE_TIMEOUT_S)
                dial.queue(queue)
                response.append(dial)
            case EnterConference(room=room, turn=turn):
                dial = Dial(action=self.continue_url(turn=turn, after=after), method="POST")
                # Two people who were on one line: when one leaves, the other's part is over as well.
                dial.conference(
                    room, beep="false", wait_url="", start_conference_on_enter=True, end_conference_on_exit=True
                )
                response.append(dial)
            case ContinueDocument(url=url):
                response.redirect(url, method="POST")
            case HangUp():
                response.hangup()
        return str(response)

    def music(self, url: str, *, again: str | None = None) -> str:
        """Hold sound as long as a call may last: audio is looped, a document is handed over to.

        `again`: where this document is, when nobody asks for it again by itself (a HoldUrl, unlike a waitUrl).
        """
        response = VoiceResponse()
        if is_audio(url):
            one = len(escape(url).encode()) + len('<Play loop="0"></Play>')
            for _ in range(min(-(-LONGEST_CALL_S // (ROUNDS * SHORTEST_S)), MOST_DOCUMENT // one)):
                response.play(url, loop=0)
            if again is not None:
                response.redirect(again, method="GET")
        else:
            response.redirect(url, method="GET")
        return str(response)

    def dial(self, to: str, *, caller_id: str | None = None, after: str | None = None) -> str:
        """A Dial that can be held from the start: its continuation is ours and its child makes itself known."""
        response = VoiceResponse()
        dial = Dial(action=self.continue_url(after=after), method="POST", caller_id=caller_id)
        known = {
            "status_callback": self._url("child", **({} if after is None else {"after": after})),
            "status_callback_event": "initiated answered completed",
            "status_callback_method": "POST",
        }
        if to.startswith("sip:") or to.startswith("sips:"):
            dial.sip(to, **known)
        elif to.startswith("client:"):
            dial.client(to.removeprefix("client:"), **known)
        else:
            dial.number(to, **known)
        response.append(dial)
        return str(response)

    def _url(self, name: str, **query: str) -> str:
        return f"{self._base}/twiml/{name}" + (f"?{urlencode(query)}" if query else "")


def is_audio(url: str) -> bool:
    """Whether a music URL names an audio file, as far as its path tells; anything else is taken for a document."""
    return urlsplit(url).path.lower().endswith(AUDIO)


def checked_url(name: str, url: str) -> str:
    """A URL somebody gave us, if an account could open it.

    Raises: BadInput.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or len(url) > MOST_URL or any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise BadInput(
            f"{name} must be a whole http:// or https:// URL of at most {MOST_URL} characters, not {url[:200]!r}",
            fix=f"Say {name}=https://example.com/…",
        )
    return url
