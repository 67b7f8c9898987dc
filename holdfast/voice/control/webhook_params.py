"""Make the form parameters of every request to a web server, and the status callbacks of a call.

Deviation: Twilio looks up city, state and zip of a number too; here they are empty, as on Twilio for unknown numbers,
and the country is that of the calling code. A number of the North American plan counts as one of the United States.
Source: Twilio docs, "TwiML Voice: request parameters", "Call status callbacks"; ITU-T E.164 assigned country codes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from holdfast.voice.control.entities import Call, Recording
from holdfast.voice.control.read_only_state import ReadOnlyState
from holdfast.voice.model.commands import (
    Role,
    WebRequest,
)
from holdfast.voice.model.effects import PostCallback
from holdfast.voice.model.timestamps import rfc2822
from holdfast.voice.twiml.script import ScriptSubject

Form = tuple[tuple[str, str], ...]

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}\Z")
LONGEST_CODE = 3
_BY_CODE = """
1 US 7 RU 20 EG 27 ZA 30 GR 31 NL 32 BE 33 FR 34 ES 36 HU 39 IT 40 RO 41 CH 43 AT 44 GB 45 DK 46 SE 47 NO 48 PL 49 DE
51 PE 52 MX 53 CU 54 AR 55 BR 56 CL 57 CO 58 VE 60 MY 61 AU 62 ID 63 PH 64 NZ 65 SG 66 TH 81 JP 82 KR 84 VN 86 CN 90 TR
91 IN 92 PK 93 AF 94 LK 95 MM 98 IR 211 SS 212 MA 213 DZ 216 TN 218 LY 220 GM 221 SN 222 MR 223 ML 224 GN 225 CI 226 BF
227 NE 228 TG 229 BJ 230 MU 231 LR 232 SL 233 GH 234 NG 235 TD 236 CF 237 CM 238 CV 239 ST 240 GQ 241 GA 242 CG 243 CD
244 AO 245 GW 248 SC 249 SD 250 RW 251 ET 252 SO 253 DJ 254 KE 255 TZ 256 UG 257 BI 258 MZ 260 ZM 261 MG 262 RE 263 ZW
264 NA 265 MW 266 LS 267 BW 268 SZ 269 KM 291 ER 297 AW 298 FO 299 GL 350 GI 351 PT 352 LU 353 IE 354 IS 355 AL 356 MT
357 CY 358 FI 359 BG 370 LT 371 LV 372 EE 373 MD 374 AM 375 BY 376 AD 377 MC 378 SM 380 UA 381 RS 382 ME 383 XK 385 HR
386 SI 387 BA 389 MK 420 CZ 421 SK 423 LI 501 BZ 502 GT 503 SV 504 HN 505 NI 506 CR 507 PA 509 HT 590 GP 591 BO 592 GY
593 EC 595 PY 597 SR 598 UY 670 TL 673 BN 675 PG 676 TO 677 SB 678 VU 679 FJ 685 WS 852 HK 853 MO 855 KH 856 LA 880 BD
886 TW 960 MV 961 LB 962 JO 963 SY 964 IQ 965 KW 966 SA 967 YE 968 OM 970 PS 971 AE 972 IL 973 BH 974 QA 975 BT 976 MN
977 NP 992 TJ 993 TM 994 AZ 995 GE 996 KG 998 UZ
"""
_WORDS = _BY_CODE.split()
COUNTRIES = dict(zip(_WORDS[::2], _WORDS[1::2], strict=True))


def standard_params(call: Call) -> Form:
    """Return the parameters of every request about a call."""
    form = [
        ("CallSid", call.sid),
        ("AccountSid", call.account),
        ("From", call.from_),
        ("To", call.to),
        ("CallStatus", call.status.value),
        ("ApiVersion", "2010-04-01"),
        ("Direction", call.direction),
        ("Caller", call.from_),
        ("Called", call.to),
    ]
    if call.caller_name:
        form.append(("CallerName", call.caller_name))
    if call.parent is not None:
        form.append(("ParentCallSid", call.parent))
    return (*form, *geography_params(call.from_, call.to), *call.extra_params)


def script_subject(call: Call, role: Role, view: ReadOnlyState, now: float) -> ScriptSubject:
    """Return the call as the subject of a script of this role, with the form of its requests."""
    return ScriptSubject(
        call=call.sid,
        account=call.account,
        from_=call.from_,
        to=call.to,
        direction=call.direction,
        form=lambda: (*standard_params(call), *_role_params(call, role, view, now)),
    )


def _role_params(call: Call, role: Role, view: ReadOnlyState, now: float) -> Form:
    if role == "queue":
        return _queue_params(call, view, now)
    if role in ("wait", "hold", "announce"):
        return _conference_params(call, view)
    return ()


def _queue_params(call: Call, view: ReadOnlyState, now: float) -> Form:
    """Return the parameters of a queue's waitUrl. Source: TwiML <Enqueue> waitUrl."""
    queue = view.queue_of(call.sid)
    if queue is None:
        return ()
    places = ((at, now - member.entered_at) for at, member in enumerate(queue.members, 1) if member.call == call.sid)
    position, waited = next(places, (0, 0.0))
    return (
        ("QueuePosition", str(position)),
        ("QueueSid", queue.sid),
        ("QueueTime", str(int(waited))),
        ("AvgQueueTime", str(queue.average_wait_s(now))),
        ("CurrentQueueSize", str(len(queue.members))),
        ("MaxQueueSize", str(queue.max_size)),
    )


def _conference_params(call: Call, view: ReadOnlyState) -> Form:
    """Return the parameters of a conference's waitUrl, HoldUrl and AnnounceUrl (unconfirmed)."""
    room = view.room_of(call.sid)
    participant = room.participant(call.sid) if room is not None else None
    if room is None or participant is None:
        return ()
    form: Form = (
        ("ConferenceSid", room.sid),
        ("FriendlyName", room.name),
        ("Hold", _true_or_false(participant.held)),
        ("Muted", _true_or_false(participant.muted)),
        ("Coaching", _true_or_false(participant.coaching)),
    )
    return (*form, ("ParticipantLabel", participant.label)) if participant.label else form


def _true_or_false(value: bool) -> str:
    return "true" if value else "false"


def dial_sip_params(call: Call, sip_code: int) -> Form:
    """Return the `action` parameters of a `<Dial>` about a SIP phone. Source: TwiML <Sip>, DialSip… parameters."""
    if not call.to.lower().startswith(("sip:", "sips:")):
        return ()
    return (*call.sip_params, ("DialSipResponseCode", str(sip_code if call.answered_at is None else 200)))


def status_callback(
    call: Call, event: str, now: float, recorded: Recording | None = None
) -> tuple[Call, tuple[PostCallback, ...]]:
    """Return the call with the callback counted, and the status callback of an event, if one is subscribed to.

    `recorded` is the recording the call was placed with. Shape: `event` is initiated, ringing, answered or completed.
    """
    subscription = call.callback
    if subscription is None or event not in subscription.events:
        return call, ()
    form = dict(standard_params(call))
    if event == "initiated":
        form["CallStatus"] = "initiated"
    form |= {
        "Timestamp": rfc2822(now),
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(call.callbacks_sent),
    }
    if event == "completed":
        spoken = int(now - call.answered_at) if call.answered_at is not None else 0
        form |= {"CallDuration": str(spoken), "Duration": str(-(-spoken // 60))}
        form["SipResponseCode"] = str(call.sip_code)
        if recorded is not None:
            length = int(now - recorded.created_at)
            form |= {
                "RecordingUrl": recorded.url,
                "RecordingSid": recorded.sid,
                "RecordingDuration": str(length),
            }
    request = WebRequest(url=subscription.url, method=subscription.method, form=tuple(form.items()))
    counted = replace(call, callbacks_sent=call.callbacks_sent + 1)
    return counted, (PostCallback(call=call.sid, kind="call", request=request),)


@lru_cache(maxsize=1000)
def geography_params(from_: str, to: str) -> Form:
    """Return the geographic parameters of a call's two parties, without those of a party that is no phone number."""
    form: list[tuple[str, str]] = []
    for party, names in ((from_, ("From", "Caller")), (to, ("To", "Called"))):
        if NUMBER.match(party):
            for name in names:
                form += [(f"{name}{part}", "") for part in ("City", "State", "Zip")]
                form.append((f"{name}Country", country(party)))
    return tuple(form)


def country(number: str) -> str:
    """Return the country of a number in E.164, "" when its calling code belongs to no single country."""
    digits = number.removeprefix("+")
    found = (COUNTRIES.get(digits[:length]) for length in range(LONGEST_CODE, 0, -1))
    return next((each for each in found if each is not None), "")
