"""What is left of a text when its passwords are out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.model.masking import mask_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:hush@h/a@b?c=d@e", "http://h/a@b?c=d@e"),
        ("see https://hush@h, http://a:b@hush@h:1/ and //h/x@y", "see https://h, http://h:1/ and //h/x@y"),
        ("sip:bob:hush@h;x=y, <SIPS:bob:hush@h>", "sip:bob:***@h;x=y, <SIPS:bob:***@h>"),
        ("sip:192.0.2.1:5060;to=a@b <sip:bob@h:5060>", "sip:192.0.2.1:5060;to=a@b <sip:bob@h:5060>"),
        ("<Sip username='me' password='hush'>sip:b@h</Sip>", "<Sip username='me' password='***'>sip:b@h</Sip>"),
        ("http://user:hu'sh@h, sip:bob:hu'sh@h", "http://h, sip:bob:***@h"),
        ("sip:+1;phone-context=a:hush@h, sip:a/b:hush@h", "sip:+1;phone-context=a:***@h, sip:a/b:***@h"),
        ('<Sip\n\tusername="me"\n\tpassword\n\t=\t"hush">', '<Sip\n\tusername="me"\n\tpassword\n\t=\t"***">'),
        ('<Sip username="me"\r\npassword="hush">', '<Sip username="me"\r\npassword="***">'),
        (f'<Sip password{" " * 20}="{"hush" * 1000}">', f'<Sip password{" " * 20}="***">'),
        (f'{{"password":{" " * 20}"{"hush" * 1000}"}}', f'{{"password":{" " * 20}"***"}}'),
        ('<Uri password = "hu\'sh" priority="1">', '<Uri password = "***" priority="1">'),
        ('{"password": "hu\\"sh", "x": "y"}', '{"password": "***", "x": "y"}'),
        ("password=hush is no attribute", "password=hush is no attribute"),
    ],
)
def test_passwords_are_left_out_and_nothing_else(text: str, shown: str) -> None:
    assert mask_passwords(text) == shown
    assert mask_passwords(shown) == shown
    assert json.loads(mask_passwords(json.dumps({"at": text})))["at"] == shown


@given(st.text(alphabet="abc:@/?#%.", min_size=1).filter(lambda text: "***" not in text))
def test_text_without_signs_of_a_password_stays(text: str) -> None:
    if "//" not in text:
        assert mask_passwords(text) == text


def test_a_text_that_opens_and_never_closes_costs_little() -> None:
    pieces = (
        'password="',
        "password='",
        "//a@",
        "sip:a:b@",
        '"password":"',
        "//",
        "sip:a:",
        "password \\n\\\\",
        "sip:",
    )
    for piece in pieces:
        assert len(mask_passwords(piece * 20_000 + " @ Password")) > 0
