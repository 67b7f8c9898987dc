"""Whom a `<Dial>` calls, how, and who hears of it. Source: TwiML <Dial>, <Number>, <Client>, <Sip>."""

from __future__ import annotations

import pytest

from holdfast.testing.world import World, twiml
from holdfast.voice.model.commands import Target
from holdfast.voice.model.effects import PlaceLeg, PostCallback, RingLeg
from holdfast.voice.model.facts import LegRinging
from holdfast.voice.model.ids import CallSid

APP = "https://app.example"


def dial(world: World, inside: str, attributes: str = "") -> CallSid:
    """A caller whose document dials these nouns."""
    world.pages[f"{APP}/start"] = twiml(f'<Dial action="/after" {attributes}>{inside}</Dial>')
    world.pages[f"{APP}/after"] = twiml("<Pause length='60'/>")
    return world.calls_in("customer", f"{APP}/start")


def placed(world: World) -> list[PlaceLeg]:
    """The legs that were called, in order."""
    return [effect for effect in world.effects if isinstance(effect, PlaceLeg)]


def target(world: World) -> Target:
    """Whom the one leg calls."""
    (leg,) = placed(world)
    return leg.target


def codes(world: World) -> list[int]:
    assert all(notice.log == 1 for notice in world.notifications)
    return [notice.code for notice in world.notifications]


def after(world: World) -> dict[str, str]:
    """The one request for the Dial's action."""
    (asked,) = [asked for asked in world.document_requests if asked.url == f"{APP}/after"]
    return asked.form


# --- several nouns ----------------------------------------------------------------------------------------


def test_one_after_the_other_until_one_answers(world: World) -> None:
    caller = dial(world, "<Client>a</Client><Number>+15550111</Number><Client>c</Client>", 'sequential="true"')
    (first,) = world.children(caller)
    world.refuses(first, 486)
    second = world.children(caller)[-1]
    assert [leg.target.to for leg in placed(world)] == ["client:a", "+15550111"]
    world.rings(second)
    world.passes(30)
    assert world.call(second).status == "no-answer"
    third = world.children(caller)[-1]
    world.answers(third)
    assert world.heard_by(caller) == {third}
    world.hangs_up(third)
    assert after(world)["DialCallSid"] == third
    assert after(world)["DialCallStatus"] == "completed"
    world.check()


def test_a_sequential_dial_without_an_answer(world: World) -> None:
    caller = dial(world, "<Client>a</Client><Client>b</Client>", 'sequential="true"')
    world.refuses(world.children(caller)[0], 404)
    world.refuses(world.children(caller)[1], 486)
    assert after(world)["DialCallStatus"] == "busy"
    assert after(world)["DialCallSid"] == world.children(caller)[1]
    assert world.heard_by(caller) == "silence"


def test_nouns_of_all_kinds_ring_at_once(world: World) -> None:
    caller = dial(world, "<Client>a</Client><Sip>sip:b@192.0.2.1</Sip><Number>+15550111</Number>+15550112")
    assert [leg.target.to for leg in placed(world)] == ["client:a", "sip:b@192.0.2.1", "+15550111", "+15550112"]
    a, b, c, d = world.children(caller)
    world.refuses(a, 486)
    world.refuses(c, 404)
    assert world.call(caller).live
    world.answers(d)
    assert world.call(b).status == "canceled"
    assert world.heard_by(caller) == {d}
    world.check()


def test_of_two_hundred_nouns_ten_are_dialled(world: World) -> None:
    dial(world, "".join(f"<Client>a{number}</Client>" for number in range(200)))
    assert len(placed(world)) == 10
    assert codes(world) == [13250]


def test_a_conference_or_queue_stands_alone(world: World) -> None:
    dial(world, "<Client>a</Client><Conference>room</Conference>")
    assert placed(world) == []
    assert codes(world) == [13215]


@pytest.mark.parametrize("inside", ["", "<Dial>+15550111</Dial>", "<Client/>", "<Number> </Number>", "<Sip>bob</Sip>"])
def test_a_dial_without_a_noun_continues_with_the_next_verb(world: World, inside: str) -> None:
    world.pages[f"{APP}/start"] = twiml(f"<Dial>{inside}</Dial><Play>/next.mp3</Play>")
    caller = world.calls_in("customer", f"{APP}/start")
    assert world.heard_by(caller) == f"{APP}/next.mp3"
    assert world.notifications != []


# --- <Number>, <Client>, <Sip> ----------------------------------------------------------------------------


def test_a_number_is_dialled_without_its_punctuation(world: World) -> None:
    dial(world, "<Number> +1 (555) 010-0.11 </Number>")
    assert target(world).to == "+15550100" + "11"


@pytest.mark.parametrize("noun", ["{}", "<Number>{}</Number>"])
@pytest.mark.parametrize(
    "written", ["415-555-1212", "(415) 555-1212", "4155551212", " 1 415.555.1212 ", "+14155551212"]
)
def test_a_number_is_dialled_as_people_write_it(world: World, noun: str, written: str) -> None:
    caller = dial(world, noun.format(written))
    (child,) = world.children(caller)
    assert world.call(child).to == "+14155551212"
    assert world.notifications == []
    world.refuses(child, 486)
    assert after(world)["DialCallStatus"] == "busy"


@pytest.mark.parametrize(("country", "to"), [("US", "0446681800"), ("CH", "+41446681800"), ("DE", "+49446681800")])
def test_a_number_without_a_plus_is_one_of_the_default_country(world: World, country: str, to: str) -> None:
    world.state.default_country = country
    (child,) = world.children(dial(world, "<Number>044 668 18 00</Number>"))
    assert world.call(child).to == to


def test_the_requests_of_a_dialled_number_say_where_it_is(world: World) -> None:
    dial(world, '<Number statusCallback="/status" statusCallbackEvent="initiated">(415) 555-1212</Number>')
    (posted,) = [effect.request for effect in world.effects if isinstance(effect, PostCallback)]
    form = dict(posted.form)
    assert [form[name] for name in ("To", "ToCity", "ToState", "ToCountry")] == [
        "+14155551212",
        "SAN FRANCISCO",
        "CA",
        "US",
    ]


def test_a_client_has_an_identity_and_parameters(world: World) -> None:
    inside = (
        "<Client><Identity>anna.b</Identity>"
        '<Parameter name="Order" value="a b&amp;c"/><Parameter name="Room" value=""/></Client>'
    )
    dial(world, inside)
    assert target(world) == Target(to="client:anna.b", parameters=(("Order", "a b&c"), ("Room", "")))
    assert world.notifications == []


def test_a_clients_parameters_may_stand_in_its_text(world: World) -> None:
    dial(world, "<Client>client:anna%2Eb?order=17&amp;shop=a+b</Client>")
    assert target(world) == Target(to="client:anna.b", parameters=(("order", "17"), ("shop", "a b")))


@pytest.mark.parametrize(
    "inside",
    [
        '<Client>anna<Parameter name="a: b" value="c"/></Client>',
        '<Client>anna<Parameter name="" value="c"/></Client>',
        '<Client>anna<Parameter name="a" value="b&#10;Contact: x"/></Client>',
        "<Client>anna?" + "&amp;".join(f"a{number}=1" for number in range(80)) + "</Client>",
        "<Client>anna<Say>hello</Say></Client>",
    ],
)
def test_invalid_parameters_of_a_client_are_left_out(world: World, inside: str) -> None:
    dial(world, inside)
    assert target(world) == Target(to="client:anna")
    assert codes(world) in ([12200], [])


def test_an_identity_has_up_to_256_characters(world: World) -> None:
    dial(world, f"<Client>{'a' * 257}</Client>")
    assert placed(world) == []
    assert 13224 in codes(world)


def test_a_sip_uri_brings_header_fields_and_credentials(world: World) -> None:
    uri = "sip:bob@192.0.2.1:5080;transport=tcp?x-order=17&amp;X-Shop=a%20b&amp;User-to-User=00abcd%3Bencoding%3Dhex"
    dial(world, f'<Sip username="me" password="secret">{uri}</Sip>')
    assert target(world) == Target(
        to="sip:bob@192.0.2.1:5080;transport=tcp",
        headers=(("x-order", "17"), ("X-Shop", "a b"), ("User-to-User", "00abcd;encoding=hex")),
        username="me",
        password="secret",
    )
    assert world.notifications == []
    assert [entry for entry in world.entries if "secret" in entry.data] == []
    assert "secret" not in repr(target(world))


def test_a_sip_uri_may_stand_in_elements_of_its_own(world: World) -> None:
    inside = (
        '<Sip><Uri username="me" password="secret" priority="1">sip:bob@192.0.2.1</Uri>'
        '<Headers><Header name="x-order" value="17"/></Headers></Sip>'
    )
    dial(world, inside)
    assert target(world) == Target(
        to="sip:bob@192.0.2.1", headers=(("x-order", "17"),), username="me", password="secret"
    )


@pytest.mark.parametrize(
    ("noun", "to"),
    [
        ("<Sip>bob@192.0.2.1</Sip>", "sip:bob@192.0.2.1"),
        ("<Sip> +15550111@192.0.2.1:5080;transport=tcp </Sip>", "sip:+15550111@192.0.2.1:5080;transport=tcp"),
        ("<Sip>SIPS:bob@192.0.2.1</Sip>", "SIPS:bob@192.0.2.1"),
        ("<Sip><Uri>bob@192.0.2.1</Uri></Sip>", "sip:bob@192.0.2.1"),
        ("<Sip>\n  <Uri>\n    sip:bob@192.0.2.1\n  </Uri>\n</Sip>", "sip:bob@192.0.2.1"),
    ],
)
def test_a_sip_address_may_lack_its_scheme(world: World, noun: str, to: str) -> None:
    dial(world, noun)
    assert target(world) == Target(to=to)
    assert world.notifications == []


def test_a_sip_address_without_scheme_keeps_its_header_fields(world: World) -> None:
    dial(world, "<Sip><Uri>bob@192.0.2.1?x-order=17</Uri></Sip>")
    assert target(world) == Target(to="sip:bob@192.0.2.1", headers=(("x-order", "17"),))
    assert world.notifications == []


@pytest.mark.parametrize(
    ("noun", "named"),
    [
        ("<Sip><Uri>http://a</Uri></Sip>", "'http://a'"),
        ("<Sip><Uri>bob</Uri></Sip>", "'bob'"),
        ("<Sip><Uri/></Sip>", "an empty value"),
        ("<Client><Identity>a b</Identity></Client>", "'a b'"),
        ("<Application><ApplicationSid>shop</ApplicationSid></Application>", "'shop'"),
        ("<Number/>", "an empty value"),
        ("<Sip>sip:bob@192.0.2.1?=17</Sip>", "a header field without a name, of value '17'"),
        ('<Sip><Uri>sip:b@192.0.2.1</Uri><Headers><Header value="17"/></Headers></Sip>', "of value '17'"),
    ],
)
def test_a_warning_names_the_value_that_cannot_be_used(world: World, noun: str, named: str) -> None:
    dial(world, noun)
    assert named in world.notifications[0].message
    assert "''" not in world.notifications[0].message


APPLICATION = "AP" + "1" * 32


@pytest.mark.parametrize(
    ("attributes", "inside", "told"),
    [
        ("", "", ()),
        ('customerId="acme"', "", (("customerId", "acme"),)),
        ('copyParentTo="true"', "", (("To", "+15550100"),)),
        ("", '<Parameter name="Ticket" value="9 8"/><Parameter name="A" value=""/>', (("Ticket", "9 8"), ("A", ""))),
        (
            'copyParentTo="true" customerId="acme"',
            '<Parameter name="Ticket" value="9"/>',
            (("To", "+15550100"), ("customerId", "acme"), ("Ticket", "9")),
        ),
    ],
)
def test_an_application_is_dialled_with_parameters_of_the_call(
    world: World, attributes: str, inside: str, told: tuple[tuple[str, str], ...]
) -> None:
    sid = f"<ApplicationSid>{APPLICATION}</ApplicationSid>"
    caller = dial(world, f"<Application {attributes}>{sid}{inside}</Application>")
    assert target(world) == Target(to=f"app:{APPLICATION}", parameters=told)
    assert world.notifications == []
    (child,) = world.children(caller)
    world.answers(child)
    assert world.heard_by(caller) == {child}
    world.hangs_up(child)
    assert (after(world)["DialCallStatus"], after(world)["DialCallSid"]) == ("completed", child)


def test_an_applications_sid_may_be_its_text(world: World) -> None:
    dial(world, f"<Application>{APPLICATION}</Application>")
    assert target(world) == Target(to=f"app:{APPLICATION}")


@pytest.mark.parametrize(
    ("noun", "codes", "dialled"),
    [
        ("<Application/>", [12200, 12200], 0),
        ("<Application><ApplicationSid>shop</ApplicationSid></Application>", [12200, 12200], 0),
        (f'<Application customerId="{"a" * 257}">{APPLICATION}</Application>', [12200], 1),
        (f'<Application>{APPLICATION}<Parameter name="a b" value="1"/></Application>', [12200], 1),
        (f'<Application>{APPLICATION}<Parameter name="To" value="1"/></Application>', [12200], 1),
        (f'<Application copyParentTo="x">{APPLICATION}</Application>', [12200], 1),
        (f"<Application>{APPLICATION}<Number>+15550111</Number></Application>", [12200], 1),
        (f"<Application>{APPLICATION}</Application><Client>anna</Client>", [13215], 1),
    ],
)
def test_faults_of_an_application_noun(world: World, noun: str, codes: list[int], dialled: int) -> None:
    dial(world, noun)
    assert [notice.code for notice in world.notifications] == codes
    assert [leg.target for leg in placed(world)] == [Target(to=f"app:{APPLICATION}")] * dialled


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("Contact=x", 13252),
        ("x-a%0d%0aVia=b", 13252),
        ("x-a=b%0d%0aVia:%20c", 13253),
        ("x-a=" + "b" * 1100, 13251),
        ("X-Twilio-CallSid=CA1", 13252),
        ("x-TWILIO-accountsid=AC1", 13252),
        ("x-twilio=1", 13252),
        ("X-Holdfast-Word=1", 13252),
        *((f"{name}=x", 13252) for name in ("From", "f", "Via", "Call-ID", "Authorization", "P-Asserted-Identity")),
    ],
)
def test_header_fields_that_may_not_be_set_are_left_out(world: World, query: str, code: int) -> None:
    dial(world, f"<Sip>sip:bob@192.0.2.1?{query}</Sip>")
    assert target(world) == Target(to="sip:bob@192.0.2.1")
    assert codes(world) == [code]


@pytest.mark.parametrize("noun", ["<Number>{}</Number>", "{}"])
def test_a_sip_uri_in_another_place_is_read_by_the_rules_of_sip(world: World, noun: str) -> None:
    dial(world, noun.format("sip:bob@192.0.2.1?X-Twilio-CallSid=CA1&amp;x-order=17"))
    assert target(world) == Target(to="sip:bob@192.0.2.1", headers=(("x-order", "17"),))
    assert codes(world) == [13252]


@pytest.mark.parametrize("name", ["username", "password"])
@pytest.mark.parametrize("noun", ["<Sip {}>sip:bob@192.0.2.1</Sip>", "<Sip><Uri {}>sip:bob@192.0.2.1</Uri></Sip>"])
def test_credentials_set_no_header_field(world: World, noun: str, name: str) -> None:
    given = {"username": "u", "password": "p"} | {name: "u&#13;&#10;X-Twilio-CallSid: CA0"}
    dial(world, noun.format(" ".join(f'{each}="{value}"' for each, value in given.items())))
    assert target(world) == Target(to="sip:bob@192.0.2.1")
    assert codes(world) == [13249]


def test_header_elements_that_are_ours_to_set_are_left_out(world: World) -> None:
    fields = '<Header name="X-Twilio-CallSid" value="CA1"/><Header name="x-order" value="17"/>'
    dial(world, f"<Sip><Uri>sip:bob@192.0.2.1</Uri><Headers>{fields}</Headers></Sip>")
    assert target(world) == Target(to="sip:bob@192.0.2.1", headers=(("x-order", "17"),))
    assert codes(world) == [13252]


@pytest.mark.parametrize(
    ("noun", "code"),
    [
        ("<Sip>http://192.0.2.1</Sip>", 13243),
        (f"<Sip>sip:{'b' * 250}@192.0.2.1</Sip>", 13243),
        ("<Sip>sip:b b@192.0.2.1</Sip>", 13243),
        ("<Number>call me</Number>", 13223),
        ('<Number>+15550111<Parameter name="a"/></Number>', 12200),
        ('<Number method="PUT">+15550111</Number>', 13221),
        ('<Number sendDigits="1x">+15550111</Number>', 13222),
        ('<Sip method="PUT">sip:b@192.0.2.1</Sip>', 13241),
        ('<Sip password="secret">sip:b@192.0.2.1</Sip>', 13249),
        ('<Client volume="11">anna</Client>', 12200),
        ('<Client sendDigits="1">anna</Client>', 12200),
        ('<Client statusCallbackEvent="ringing vanished" statusCallback="/s">anna</Client>', 12200),
    ],
)
def test_a_fault_in_a_noun_is_a_warning(world: World, noun: str, code: int) -> None:
    caller = dial(world, f"{noun}<Client>other</Client>")
    assert codes(world) == [code]
    assert world.call(caller).live
    assert placed(world) != []


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ('method="PUT"', 13210),
        ('timeout="0"', 13212),
        ('hangupOnStar="maybe"', 13213),
        ('callerId="no &quot;body&quot;"', 13214),
        ('timeLimit="-5"', 13216),
        ('sequential="2"', 13218),
        ('answerOnBridge="x"', 13219),
        ('ringTone="mars"', 13220),
        ('trim="beard"', 12200),
        ('volume="11"', 12200),
    ],
)
def test_a_fault_in_a_dial_is_a_warning(world: World, attributes: str, code: int) -> None:
    dial(world, "<Client>anna</Client>", attributes)
    assert codes(world) == [code]
    assert target(world).to == "client:anna"


def test_a_known_attribute_without_effect_is_no_warning(world: World) -> None:
    dial(world, "<Number byoc='x'>+15550111</Number>", 'callReason="x" referUrl="/refer" events="a" passports="p"')
    assert world.notifications == []


# --- what both ends hear and are told ---------------------------------------------------------------------


def test_the_callees_phone_shows_the_caller_or_the_caller_id_of_the_document(world: World) -> None:
    dial(world, "<Client>anna</Client>")
    dial(world, "<Client>anna</Client>", 'callerId="+15550199"')
    dial(world, "<Client>anna</Client>", 'callerId="client:sales"')
    dial(world, "<Client>anna</Client>", 'callerId="(415) 555-1212"')
    dial(world, "<Client>anna</Client>", 'callerId="100"')
    shown = ["client:customer", "+15550199", "client:sales", "+14155551212", "100"]
    assert [leg.from_ for leg in placed(world)] == shown
    assert world.notifications == []


def test_another_countrys_ringing(world: World) -> None:
    caller = dial(world, "<Client>anna</Client>", 'ringTone="de"')
    assert world.playing[caller][1:] == ("ringing:de", 0)
    world.answers(world.children(caller)[0])
    assert caller not in world.playing


def test_the_progress_of_a_dialled_leg_is_posted(world: World) -> None:
    noun = '<Client statusCallback="/progress" statusCallbackMethod="GET" statusCallbackEvent="{}">anna</Client>'
    caller = dial(world, noun.format("initiated ringing answered completed"))
    (child,) = world.children(caller)
    world.rings(child)
    world.answers(child)
    world.passes(65)
    world.hangs_up(child)
    assert [told["CallStatus"] for told in world.callbacks] == ["initiated", "ringing", "in-progress", "completed"]
    assert {told.method for told in world.callbacks} == {"GET"}
    assert {told.url for told in world.callbacks} == {f"{APP}/progress"}
    last = world.callbacks[-1]
    assert (last["CallSid"], last["ParentCallSid"]) == (child, caller)
    assert (last["CallDuration"], last["Duration"]) == ("65", "2")
    assert last["Direction"] == "outbound-dial"


def test_by_default_only_the_end_of_a_dialled_leg_is_posted(world: World) -> None:
    caller = dial(world, '<Client statusCallback="/progress">anna</Client>')
    (child,) = world.children(caller)
    world.rings(child)
    world.refuses(child, 486)
    assert [told["CallStatus"] for told in world.callbacks] == ["busy"]
    assert world.callbacks[0]["SipResponseCode"] == "486"


def test_a_screening_that_lets_pass_bridges_and_one_that_hangs_up_does_not(world: World) -> None:
    world.pages[f"{APP}/screen"] = twiml("<Say>a call for you</Say>")
    caller = dial(world, '<Client url="/screen" method="GET">anna</Client>', 'answerOnBridge="true"')
    (child,) = world.children(caller)
    world.answers(child)
    screened = world.document_requests[-1]
    assert (screened.url, screened.method, screened["ParentCallSid"]) == (f"{APP}/screen", "GET", caller)
    assert world.heard_by(caller) == "builtin:ringback"
    assert world.call(caller).status == "ringing"
    if child in world.playing:
        world.sound_ends(child)
    world.passes(5)
    assert world.heard_by(caller) == {child}
    assert world.call(caller).status == "in-progress"
    world.check()


def test_a_screening_may_not_dial(world: World) -> None:
    world.pages[f"{APP}/screen"] = twiml("<Dial>+15550111</Dial>")
    caller = dial(world, '<Client url="/screen">anna</Client>')
    (child,) = world.children(caller)
    world.answers(child)
    assert [notice.code for notice in world.notifications] == [13201]
    assert (child in world.playing, caller in world.playing) == (True, True)
    world.sound_ends(child)
    assert after(world)["DialBridged"] == "false"
    assert world.call(caller).live


def rings_aloud(world: World, child: CallSid) -> None:
    """The called phone sends sound before it answers: first it only rings."""
    world.rings(child)
    world.post(LegRinging(call=child, early_media=True))


def test_early_media_is_heard_in_place_of_ringback(world: World) -> None:
    caller = dial(world, "<Client>anna</Client>")
    (child,) = world.children(caller)
    world.rings(child)
    assert world.heard_by(caller) == "builtin:ringback"
    world.post(LegRinging(call=child, early_media=True))
    assert world.heard_by(caller) == f"leg:{child}"
    world.answers(child)
    assert (world.heard_by(caller), world.heard_by(child)) == ({child}, {caller})
    assert caller not in world.playing
    world.check()


def test_early_media_before_a_refusal_ends_with_it(world: World) -> None:
    caller = dial(world, "<Client>anna</Client>")
    (child,) = world.children(caller)
    rings_aloud(world, child)
    world.refuses(child, 486)
    assert after(world)["DialCallStatus"] == "busy"
    assert world.playing.get(caller, ("", "", 0))[1] != f"leg:{child}"
    world.check()


def test_the_next_one_in_turn_rings_as_usual(world: World) -> None:
    caller = dial(world, "<Client>anna</Client><Client>bert</Client>", 'sequential="true"')
    (first,) = world.children(caller)
    rings_aloud(world, first)
    world.refuses(first, 486)
    assert world.heard_by(caller) == "builtin:ringback"
    world.check()


def test_early_media_is_not_heard_with_a_ring_tone_in_the_document(world: World) -> None:
    caller = dial(world, "<Client>anna</Client>", 'ringTone="de"')
    (child,) = world.children(caller)
    before = world.heard_by(caller)
    rings_aloud(world, child)
    assert world.heard_by(caller) == before


def early(world: World) -> list[CallSid]:
    """The callers that are sent sound before they are answered."""
    return [effect.call for effect in world.effects if isinstance(effect, RingLeg) and effect.early_media]


def test_a_caller_that_is_not_answered_hears_ringing_and_then_the_phone_that_rings(world: World) -> None:
    caller = dial(world, "<Client>anna</Client>", 'answerOnBridge="true"')
    (child,) = world.children(caller)
    assert (world.legs[caller], early(world)) == ("calling", [caller])
    assert world.heard_by(caller) == "builtin:ringback"
    rings_aloud(world, child)
    assert world.heard_by(caller) == f"leg:{child}"
    assert world.call(caller).status == "ringing"
    world.answers(child)
    assert (world.legs[caller], early(world)) == ("up", [caller])
    assert (world.heard_by(caller), world.heard_by(child)) == ({child}, {caller})
    world.check()


def test_two_dials_in_turn_begin_early_media_once(world: World) -> None:
    two = [f'<Dial answerOnBridge="true"><Client>{name}</Client></Dial>' for name in ("anna", "bert")]
    world.pages[f"{APP}/start"] = twiml("".join(two))
    caller = world.calls_in("customer", f"{APP}/start")
    world.refuses(world.children(caller)[0], 486)
    assert world.heard_by(caller) == "builtin:ringback"
    assert early(world) == [caller]
    world.hangs_up(caller)
    world.check()


@pytest.mark.parametrize("before", ["<Say>hello</Say>", "<Dial><Client>bert</Client></Dial>"])
def test_an_answered_caller_has_no_early_media(world: World, before: str) -> None:
    world.pages[f"{APP}/start"] = twiml(f'{before}<Dial answerOnBridge="true"><Client>anna</Client></Dial>')
    caller = world.calls_in("customer", f"{APP}/start")
    if caller in world.playing:
        world.sound_ends(caller) if "Say" in before else world.refuses(world.children(caller)[0], 486)
    assert [child for child in world.children(caller) if world.call(child).to == "client:anna"]
    assert early(world) == []


def test_of_several_that_ring_none_is_heard_before_it_answers(world: World) -> None:
    caller = dial(world, "<Client>anna</Client><Client>bert</Client>")
    first, second = world.children(caller)
    rings_aloud(world, first)
    assert world.heard_by(caller) == "builtin:ringback"
    world.refuses(second, 486)
    world.post(LegRinging(call=first, early_media=True))
    assert world.heard_by(caller) == f"leg:{first}"
    world.hangs_up(caller)
    world.check()


def test_a_leg_is_not_heard_during_its_screening(world: World) -> None:
    world.pages[f"{APP}/screen"] = twiml("<Say>a call for you</Say>")
    caller = dial(world, '<Client url="/screen" method="GET">anna</Client>')
    (child,) = world.children(caller)
    rings_aloud(world, child)
    world.answers(child)
    assert world.heard_by(caller) == "builtin:ringback"


# --- what the action is told of a phone dialled by SIP ----------------------------------------------------

TOLD = (("DialSipCallId", "abc@192.0.2.1"), ("DialSipHeader_X-Shop", "17"))


def sip_told(world: World) -> dict[str, str]:
    return {name: value for name, value in after(world).items() if name.startswith("DialSip")}


def test_the_action_has_the_sip_answer(world: World) -> None:
    caller = dial(world, "<Sip>sip:bob@192.0.2.1</Sip>")
    (child,) = world.children(caller)
    world.answers(child, TOLD)
    world.hangs_up(child)
    assert sip_told(world) == {**dict(TOLD), "DialSipResponseCode": "200"}


def test_the_action_has_the_sip_refusal(world: World) -> None:
    caller = dial(world, "<Sip>sip:bob@192.0.2.1</Sip>")
    world.refuses(world.children(caller)[0], 486)
    assert sip_told(world) == {"DialSipResponseCode": "486"}


def test_the_action_of_several_legs_has_the_one_that_answered(world: World) -> None:
    caller = dial(world, "<Sip>sip:a@192.0.2.1</Sip><Sip>sip:b@192.0.2.1</Sip>")
    first, second = world.children(caller)
    world.refuses(first, 404)
    world.answers(second, TOLD)
    world.hangs_up(caller)
    assert sip_told(world) == {**dict(TOLD), "DialSipResponseCode": "200"}


def test_the_action_of_a_client_has_no_sip_parameters(world: World) -> None:
    caller = dial(world, "<Client>anna</Client>")
    (child,) = world.children(caller)
    world.answers(child, TOLD)
    world.hangs_up(child)
    assert sip_told(world) == {}
