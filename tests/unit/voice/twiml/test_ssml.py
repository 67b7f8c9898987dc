"""What a `<Say>` holds, written anew: nothing that is not listed gets through."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.twiml.document import parse
from holdfast.voice.twiml.ssml import ATTRIBUTES, markup


def said(inside: str) -> tuple[str, str, tuple[str, ...]]:
    return markup(parse(f"<Say>{inside}</Say>"))


@pytest.mark.parametrize(
    ("inside", "text", "marked"),
    [
        ("Hello", "Hello", "Hello"),
        ("  Hello\n   there ", "Hello there", "Hello there"),
        ("Tom &amp; &lt;b&gt;", "Tom & <b>", "Tom &amp; &lt;b&gt;"),
        ("One <break time='1500ms'/> two", "One two", 'One <break time="1.5s"></break> two'),
        ("a<break strength='none'/>b", "a b", 'a<break time="0s"></break>b'),
        ("a<break time='99s'/>b", "a b", 'a<break time="10s"></break>b'),
        (
            "Dial <say-as interpret-as='digits'>12</say-as>!",
            "Dial 12 !",
            'Dial <say-as interpret-as="digits">12</say-as>!',
        ),
        ("<p><s>One.</s><s>Two.</s></p>", "One. Two.", "<p><s>One.</s><s>Two.</s></p>"),
        ("<lang xml:lang='fr-FR'>oui</lang>", "oui", '<lang xml:lang="fr-FR">oui</lang>'),
        ("<prosody rate='slow' onclick='x'>a</prosody>", "a", '<prosody rate="slow">a</prosody>'),
        ("<sub alias='&quot;&lt;'>x</sub>", "x", "<sub alias='\"&lt;'>x</sub>"),
    ],
)
def test_text_and_markup(inside: str, text: str, marked: str) -> None:
    assert said(inside) == (text, marked, ())


def test_an_unknown_element_is_a_warning_and_its_text_is_spoken() -> None:
    text, marked, wrong = said("a <audio src='http://x/'>b</audio> <break time='soon'/>")
    assert (text, marked) == ("a b", 'a b <break time="0.4s"></break>')
    assert len(wrong) == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*ATTRIBUTES, "audio", "script"]),
            st.dictionaries(
                st.sampled_from(["time", "alias", "ph", "src", "role"]), st.text(alphabet="ab<&\"'", max_size=9)
            ),
            st.text(alphabet="ab<>& ", max_size=8),
        ),
        max_size=6,
    )
)
def test_the_ssml_is_well_formed_and_has_listed_elements_alone(
    children: list[tuple[str, dict[str, str], str]],
) -> None:
    say = ElementTree.Element("Say")
    say.text = "x & y"
    for tag, attributes, text in children:
        child = ElementTree.SubElement(say, tag, attributes)
        child.text, child.tail = text, text
    _, marked, _ = markup(parse(ElementTree.tostring(say, encoding="unicode")))
    spoken = ElementTree.fromstring(f"<speak>{marked}</speak>")
    for element in spoken.iter():
        assert element is spoken or set(element.attrib) <= set(ATTRIBUTES[element.tag])
