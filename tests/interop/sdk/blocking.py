"""What a program does with the official Python SDK, any version from 6.0 on, told as one line of JSON at its end.

python blocking.py URL SID TOKEN OUR-NUMBER MUSIC     (a line on standard input lets it go on)
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

url, sid, token, ours, music = sys.argv[1:]
client = Client(sid, token)
client.api.base_url = url
told: dict[str, Any] = {}


def code_of(ask: Callable[[], Any]) -> "list[Any] | None":
    try:
        ask()
    except TwilioRestException as error:
        return [error.status, error.code]
    return None


number = client.incoming_phone_numbers.create(phone_number="+15550100777", friendly_name="desk")
number = client.incoming_phone_numbers(number.sid).update(voice_url=music, voice_method="GET")
told["number"] = [number.phone_number, number.friendly_name, number.voice_method]
told["numbers"] = len(client.incoming_phone_numbers.list())
told["number deleted"] = client.incoming_phone_numbers(number.sid).delete()

queue = client.queues.create(friendly_name="sales", max_size=7)
told["queue"] = [queue.friendly_name, queue.max_size, queue.current_size]
told["queue twice"] = code_of(lambda: client.queues.create(friendly_name="sales"))
told["queue members"] = len(client.queues(queue.sid).members.list())
told["queue deleted"] = client.queues(queue.sid).delete()

document = "<Response><Dial><Conference>room</Conference></Dial></Response>"
calls = [client.calls.create(to="client:" + name, from_=ours, twiml=document) for name in ("alice", "bob")]
told["made"] = sorted({call.status for call in calls})
while {client.calls(call.sid).fetch().status for call in calls} != {"in-progress"}:
    time.sleep(0.05)
while len(client.conferences.list(status="in-progress")) != 1:
    time.sleep(0.05)
conference = client.conferences.list(friendly_name="room", status="in-progress")[0]
told["participants"] = len(client.conferences(conference.sid).participants.list())
alice = client.conferences(conference.sid).participants(calls[0].sid)
told["held"] = alice.update(hold=True, hold_url=music, hold_method="GET").hold
print("held", flush=True)
sys.stdin.readline()
held = client.conferences(conference.sid).participants.list(hold=True)
told["who is held"] = [each.call_sid == calls[0].sid for each in held]
told["resumed"] = alice.update(hold=False, muted=True).hold
told["muted"] = alice.fetch().muted
print("resumed", flush=True)
sys.stdin.readline()

told["paged"] = [each.sid for each in client.calls.list(page_size=1)] == [call.sid for call in reversed(calls)]
told["limited"] = len(client.calls.list(limit=1))
told["unknown"] = code_of(lambda: client.calls("CA" + "0" * 32).fetch())
client.conferences(conference.sid).update(status="completed")
while {client.calls(call.sid).fetch().status for call in calls} != {"completed"}:
    time.sleep(0.05)
told["over"] = code_of(lambda: client.calls(calls[0].sid).update(status="completed"))
told["gone"] = code_of(lambda: alice.update(hold=True))
told["call deleted"] = client.calls(calls[0].sid).delete()
stranger = Client(sid, "wrong")
stranger.api.base_url = url
told["stranger"] = code_of(lambda: stranger.calls(calls[1].sid).fetch())
print(json.dumps(told, sort_keys=True), flush=True)
