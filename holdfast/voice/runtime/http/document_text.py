"""Decode the text of a document from its bytes.

Source: RFC 7303 §3 (the header's charset, then a byte order mark, then the XML declaration), TwiML: UTF-8 otherwise.
"""

from __future__ import annotations

import codecs
import re

from holdfast.voice.model.errors import DocumentUnreadable

BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
SUPPORTED_ENCODING = re.compile(
    r"(ascii|utf-8|utf-16(-le|-be)?|iso8859-\d+|cp125\d|koi8-r|shift_jis|euc_jp|gb18030|big5)\Z"
)
DECLARED_ENCODING = re.compile(rb"""<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
XML_DECLARATION = re.compile(r"""(<\?xml[^>]{0,100}?)\s+encoding\s*=\s*["'][^"']{0,40}["']""")


def document_text(body: bytes, charset: str | None) -> str:
    """Decode a document to text without byte order mark and without its declared encoding, which no longer applies.

    Raises: DocumentUnreadable.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if body.startswith(mark):
            body, charset = body[len(mark) :], encoding
            break
    else:
        declared = DECLARED_ENCODING.match(body)
        charset = charset or (declared.group(1).decode("ascii") if declared else "utf-8")
    try:
        name = codecs.lookup(charset).name
        if not SUPPORTED_ENCODING.match(name):
            raise DocumentUnreadable(f"a document in {charset[:40]} cannot be read")
        text = body.decode(name)
    except UnicodeDecodeError as error:
        raise DocumentUnreadable(f"the document is not {charset[:40]}: {error.reason} at byte {error.start}") from error
    except (LookupError, ValueError) as error:
        raise DocumentUnreadable(f"a document in {charset[:40]!r} cannot be read") from error
    return XML_DECLARATION.sub(r"\1", text, count=1) if text.startswith("<?xml") else text
