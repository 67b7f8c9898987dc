"""Forms: from a stranger's words to checked values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from holdfast.voice.api.errors import BodyMalformed, BodyTooLarge, CallbackUrlInvalid, MethodInvalid, TimeoutInvalid
from holdfast.voice.api.forms import MAX_BODY_BYTES, MAX_FIELDS, MAX_URL, Form, is_web_address, read_form
from holdfast.voice.model.commands import WebRequest

PAIRS = st.lists(st.tuples(st.sampled_from(["A", "B", "Url", "Method"]), st.text(max_size=20)), max_size=8)


def test_not_sent_sent_empty_and_sent_are_three_things() -> None:
    form = Form([("Empty", "  "), ("Full", " x ")])
    assert (form.raw("None"), form.raw("Empty"), form.raw("Full")) == (None, "", "x")
    assert (form.text("None"), form.text("Empty"), form.text("Full")) == (None, None, "x")


@pytest.mark.parametrize(
    ("value", "flag"), [("true", True), ("TRUE", True), (" True ", True), ("1", False), ("", False)]
)
def test_true_in_any_case_is_true_and_all_else_false(value: str, flag: bool) -> None:
    assert Form([("Muted", value)]).flag("Muted") is flag
    assert Form([]).flag("Muted") is None


def test_a_list_is_repeated_or_has_spaces() -> None:
    assert Form([("E", "a b"), ("E", "c")]).words("E") == ("a", "b", "c")
    assert Form([("E", "")]).words("E") == ()
    assert Form([]).words("E") is None


@pytest.mark.parametrize("value", ["-1", "+5", "5.0", "5e1", "٥", "0x5", "9" * 400, "1_0", "601"])
def test_a_number_is_written_in_digits_and_in_its_range(value: str) -> None:
    with pytest.raises(TimeoutInvalid):
        Form([("T", value)]).integer("T", low=0, high=600, error=TimeoutInvalid)


def test_a_number_at_the_ends_of_its_range_is_taken() -> None:
    assert [Form([("T", each)]).integer("T", low=0, high=600) for each in ("0", "600", " 007 ", "")] == [
        0,
        600,
        7,
        None,
    ]


def test_a_number_has_up_to_nine_digits() -> None:
    assert Form([("T", "9" * 9)]).integer("T", low=0, high=10**9) == 10**9 - 1
    with pytest.raises(TimeoutInvalid):
        Form([("T", "1" + "0" * 9)]).integer("T", low=0, high=10**9, error=TimeoutInvalid)


def test_a_web_address_has_up_to_4000_characters() -> None:
    longest = "http://h/" + "x" * (MAX_URL - 9)
    assert (len(longest), is_web_address(longest), is_web_address(longest + "x")) == (4000, True, False)


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "https://user:pw@example.com:8443/a?b=c#rc=2",
        "http://127.0.0.1:1/",
        "http://[::1]:8080/",
        "http://xn--bcher-kva.example/",
    ],
)
def test_absolute_web_addresses_are_taken(url: str) -> None:
    assert is_web_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "h/path",
        "/path",
        "//h/path",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http:h",
        "http:///path",
        "http://:80/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://[::1",
        "http://a b/",
        "http://h\\@evil/",
        "http://h/\x00",
        "",
    ],
)
def test_everything_else_is_no_web_address(url: str) -> None:
    assert not is_web_address(url)


@given(st.text())
def test_no_text_is_too_strange_to_be_judged(text: str) -> None:
    assert is_web_address(text) in (True, False)


def test_a_request_is_an_address_and_a_method() -> None:
    form = Form([("Url", "http://h/"), ("Method", "get")])
    assert form.request("Url", "Method") == WebRequest(url="http://h/", method="GET")
    assert form.request("Other", "OtherMethod", default="GET") is None
    assert form.request_or_silence("Url", "Nothing", default="GET") == WebRequest(url="http://h/", method="GET")
    assert Form([("Url", " ")]).request_or_silence("Url", "Method") == WebRequest(url="")
    with pytest.raises(CallbackUrlInvalid):
        Form([("Url", "h")]).request("Url", "Method")
    with pytest.raises(MethodInvalid):
        Form([("Method", "HEAD")]).request("Url", "Method")


@given(PAIRS)
def test_a_form_keeps_the_values_sent_for_each_name(pairs: list[tuple[str, str]]) -> None:
    form = Form(pairs)
    assert sorted(form.pairs()) == sorted(pairs)
    assert form.names() == {name for name, _ in pairs}


def a_request(body: bytes) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": [], "query_string": b""}, receive)


@pytest.mark.anyio
async def test_a_body_at_its_limits_is_read_and_a_larger_one_is_refused() -> None:
    longest = b"a=" + b"x" * (MAX_BODY_BYTES - 2)
    assert len((await read_form(a_request(longest))).text("a") or "") == MAX_BODY_BYTES - 2
    with pytest.raises(BodyTooLarge):
        await read_form(a_request(longest + b"x"))
    most = b"&".join(b"a=1" for _ in range(MAX_FIELDS))
    assert len((await read_form(a_request(most))).pairs()) == MAX_FIELDS
    with pytest.raises(BodyMalformed):
        await read_form(a_request(most + b"&a=1"))


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"a%00=1", b"a=%00", b"%1b=1", b"a=%7f"])
async def test_control_characters_are_refused_in_names_and_values(body: bytes) -> None:
    with pytest.raises(BodyMalformed):
        await read_form(a_request(body))
