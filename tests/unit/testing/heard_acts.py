"""Ears that have heard a given story, without a phone, for tests of the demo's report."""

from collections.abc import Sequence

from holdfast.testing.audio.ears import Ear, Packet, frames
from holdfast.testing.audio.music import MUSIC_BOX, SLOW_BELLS, play
from holdfast.testing.demo.story import Act, Phase
from holdfast.testing.signals import ALICE, BOB, FRAME_S, HOLD_MUSIC, RATE_HZ, SECOND_MUSIC, as_samples
from holdfast.voice.media.codec.g711 import encode

CUSTOMER, AGENT = ALICE.named("customer"), BOB.named("agent")
SOUNDS = (CUSTOMER, AGENT, HOLD_MUSIC, SECOND_MUSIC)
PAYLOADS = {
    "customer": [encode(CUSTOMER.frame())],
    "agent": [encode(AGENT.frame())],
    "hold music": frames(encode(as_samples(play(MUSIC_BOX, rate_hz=RATE_HZ)))),
    "second music": frames(encode(as_samples(play(SLOW_BELLS, rate_hz=RATE_HZ)))),
    "silence": [b"\xff" * 160],
}
BEGAN_S = 1000.0


def ear_of(*stretches: tuple[str, int]) -> Ear:
    """Return an ear that heard each of these sounds for so many packets, from `BEGAN_S` on."""
    ear = Ear(SOUNDS)
    number = 0
    for sound, packets in stretches:
        for place in range(packets):
            payload = PAYLOADS[sound][place % len(PAYLOADS[sound])]
            at_s = BEGAN_S + number * FRAME_S
            ear.take(
                Packet(
                    at_s=at_s,
                    payload_type=0,
                    marker=False,
                    sequence=number,
                    timestamp=160 * number,
                    ssrc=1,
                    payload=payload,
                )
            )
            number += 1
    return ear


def act_of(customer: Sequence[tuple[str, int]], agent: Sequence[tuple[str, int]]) -> Act:
    """Return an act of three seconds: talk, hold the customer, resume; each a second long."""
    act = Act(
        title="Act 1",
        how="by hearsay",
        parties=("customer", "agent"),
        ears={"customer": ear_of(*customer), "agent": ear_of(*agent)},
    )
    talk, held = {"customer": "agent", "agent": "customer"}, {"customer": "hold music", "agent": "silence"}
    for number, (title, expected) in enumerate((("talk", talk), ("hold", held), ("resume", talk))):
        act.phases.append(
            Phase(
                title=title,
                asked_s=BEGAN_S + number,
                until_s=BEGAN_S + number + 1,
                expected=expected,
                held="customer" if title == "hold" else None,
            )
        )
    return act


GOOD_CUSTOMER = (("agent", 51), ("hold music", 50), ("agent", 49))
GOOD_AGENT = (("customer", 50), ("silence", 52), ("customer", 48))
