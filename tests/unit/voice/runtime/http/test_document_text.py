"""Documents are decoded in the encoding that their server declares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.model.errors import DocumentUnreadable
from holdfast.voice.runtime.http.document_text import document_text


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("<Response>ü</Response>".encode(), None, "<Response>ü</Response>"),
        ("<Response>ü</Response>".encode("latin-1"), "ISO-8859-1", "<Response>ü</Response>"),
        (b"\xef\xbb\xbf<Response/>", "latin-1", "<Response/>"),
        ("\ufeff<Response>ü</Response>".encode("utf-16-le"), None, "<Response>ü</Response>"),
        ("\ufeff<Response/>".encode("utf-16-be"), None, "<Response/>"),
        (
            '<?xml version="1.0" encoding="windows-1252"?><R>€</R>'.encode("cp1252"),
            None,
            '<?xml version="1.0"?><R>€</R>',
        ),
        (
            b"<?xml version='1.0' encoding='UTF-8' standalone='yes'?><R/>",
            None,
            "<?xml version='1.0' standalone='yes'?><R/>",
        ),
        (b" <?xml version='1.0' encoding='UTF-8'?><R/>", None, " <?xml version='1.0' encoding='UTF-8'?><R/>"),
    ],
)
def test_text(body: bytes, charset: str | None, text: str) -> None:
    assert document_text(body, charset) == text


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (b"\xff", None),
        (b"x", "no-such-charset"),
        (b"x", "zlib"),
        (b"x", "rot13"),
        (b"x", "idna"),
        (b"x", "unicode_escape"),
        (b"x", "utf-7"),
        (b"x", "\x00"),
        (b"<?xml version='1.0' encoding='punycode'?><R/>", None),
    ],
)
def test_unreadable_documents_are_refused(body: bytes, charset: str | None) -> None:
    with pytest.raises(DocumentUnreadable) as refusal:
        document_text(body, charset)
    assert refusal.value.code == 12100


@given(st.binary(max_size=200), st.none() | st.text(max_size=20))
def test_any_bytes_are_read_or_refused(body: bytes, charset: str | None) -> None:
    try:
        document_text(body, charset)
    except DocumentUnreadable:
        return
