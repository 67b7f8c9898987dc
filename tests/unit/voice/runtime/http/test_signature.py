"""Our signatures are accepted by the official validator, and are the ones Twilio's page prints."""

from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from holdfast.voice.runtime.http.destination import read_destination
from holdfast.voice.runtime.http.signature import sign

FORMS = st.lists(st.tuples(st.text(min_size=1, max_size=12), st.text(max_size=20)), max_size=8)


def test_the_example_of_twilios_page() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }

    assert sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form.items()) == "GvWf1cFY/Q7PnoempGyD5oXAezc="


class Lists(dict[str, list[str]]):
    """A form with repeated names, as web frameworks give it to the validator."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


@given(form=FORMS, path=st.text(alphabet="abc/%20?&=", max_size=20))
def test_the_official_validator_accepts_any_form(form: list[tuple[str, str]], path: str) -> None:
    url = str(read_destination(f"http://127.0.0.1:8000/{path}").url)
    received = Lists()
    for name, value in form:
        received.setdefault(name, []).append(value)

    assert RequestValidator("secret").validate(url, received, sign("secret", url, form))
    assert not RequestValidator("other").validate(url, received, sign("secret", url, form))


def test_a_get_is_signed_by_its_url_alone_without_the_fragment() -> None:
    url = "https://example.com/hold?CallSid=CA1&Empty="

    assert RequestValidator("secret").validate(url, {}, sign("secret", url + "#rc=2&rp=all"))
