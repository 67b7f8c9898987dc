"""This module writes the TwiML that we give to calls, by the official helper library.

Every document that can end has a continuation, and it is ours: `/twiml/continue`, with the generation in which the
document was given. So no leg is hung up because another one moved.

A document for a hold lasts by itself as long as the hold may: REST requests end it. An account hangs up a call whose
next document does not arrive, so none is requested while our web application may be unreachable.
"""

from typing import assert_never
from urllib.parse import urlencode, urlsplit
from xml.sax.saxutils import escape

from twilio.twiml.voice_response import Dial, VoiceResponse

from holdfast.holds.policy import MAX_CALL_S, Policy, document_length_s
from holdfast.holds.steps.account_steps import (
    ContinueDocument,
    Document,
    EndLeg,
    JoinConference,
    Park,
    TakeFromQueue,
    WaitInQueue,
)

AUDIO_SUFFIXES = (".mp3", ".wav", ".wave", ".ulaw", ".au", ".aif", ".aiff", ".aifc", ".gsm", ".ogg", ".flac")
MAX_LOOPS = 1_000
"""How often a `<Play loop="0">` is played at most. Source: TwiML <Play> loop."""
SHORTEST_AUDIO_S = 1
"""The shortest music that still lasts as long as a call may: fifteen `<Play>` of a thousand loops of a second."""
MAX_DOCUMENT = 60_000
"""Units: bytes, a little less than the 64 kB that an account reads. Source: Twilio error 11750."""
DEQUEUE_TIMEOUT_S = 15


class Documents:
    """A document writer serves one policy. Its URLs begin with the address at which the account reaches us."""

    def __init__(self, public_url: str, policy: Policy) -> None:
        self._base = public_url.rstrip("/")
        self._policy = policy

    def continue_url(self, *, generation: int = 0, after: str | None = None) -> str:
        """Return the `action` for an application's own `<Dial>`, so that the call can be held."""
        query: dict[str, str] = {} if generation == 0 else {"turn": str(generation)}
        if after is not None:
            query["after"] = after
        return self._url("continue", **query)

    def music_url(self, audio: str) -> str:
        """Return the URL of a document that loops this audio, for a participant's HoldUrl."""
        return self._url("music", url=audio)

    def write(self, document: Document, *, after: str | None = None) -> str:
        """Return one document as TwiML.

        `after`: URL to continue with; it is carried in the continuation URL.
        """
        response = VoiceResponse()
        match document:
            case WaitInQueue(queue=queue, music=music, generation=generation):
                action = self.continue_url(generation=generation, after=after)
                if music is None:
                    response.enqueue(queue, action=action, method="POST")
                elif is_audio(music):
                    wait = self._url("wait")
                    response.enqueue(queue, action=action, method="POST", wait_url=wait, wait_url_method="POST")
                else:
                    # The account fetches a waitUrl again when its document ends: here from the application.
                    response.enqueue(queue, action=action, method="POST", wait_url=music, wait_url_method="GET")
            case Park(limit_s=limit_s):
                response.pause(length=document_length_s(self._policy, limit_s))
                # Asks us after a hold that lasted too long, and ends the wait of a call whose pair we lost.
                response.redirect(self._url("park"), method="POST")
            case TakeFromQueue(queue=queue, generation=generation):
                dial = Dial(
                    action=self.continue_url(generation=generation, after=after),
                    method="POST",
                    timeout=DEQUEUE_TIMEOUT_S,
                )
                dial.queue(queue)
                response.append(dial)
            case JoinConference(room=room, generation=generation):
                dial = Dial(action=self.continue_url(generation=generation, after=after), method="POST")
                # The two parties of one call: when one leaves, the conversation is over for the other too.
                dial.conference(
                    room, beep="false", wait_url="", start_conference_on_enter=True, end_conference_on_exit=True
                )
                response.append(dial)
            case ContinueDocument(url=url):
                response.redirect(url, method="POST")
            case EndLeg():
                response.hangup()
            case _:
                assert_never(document)
        return str(response)

    def music(self, url: str, *, repeat_url: str | None = None) -> str:
        """Return hold music for as long as a call may last: audio is looped, a document is redirected to.

        `repeat_url`: where this document is, when the account does not fetch it again by itself (a HoldUrl, unlike a
        waitUrl).
        """
        response = VoiceResponse()
        if is_audio(url):
            play_length = len(escape(url).encode()) + len('<Play loop="0"></Play>')
            for _ in range(min(-(-MAX_CALL_S // (MAX_LOOPS * SHORTEST_AUDIO_S)), MAX_DOCUMENT // play_length)):
                response.play(url, loop=0)
            if repeat_url is not None:
                response.redirect(repeat_url, method="GET")
        else:
            response.redirect(url, method="GET")
        return str(response)

    def dial(self, to: str, *, caller_id: str | None = None, after: str | None = None) -> str:
        """Return a Dial that can be held from the start: its continuation is ours and its child reports to us."""
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
    """Return whether a music URL names an audio file, by its path; any other URL is taken for a document."""
    return urlsplit(url).path.lower().endswith(AUDIO_SUFFIXES)
