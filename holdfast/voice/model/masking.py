"""Mask the passwords in texts that are shown: logs, ladders, explanations and notifications.

It works on plain text and on JSON that contains such text. The query of a URL stays, because only its owner knows
which part of it is secret.
"""

from __future__ import annotations

import re

MASK = "***"
_SPACE = r"(?:\s|\\+[nrt])*"
"""Space between the parts of an attribute or of JSON, with line ends as JSON writes them."""

_IN_URL = re.compile(r"(?<=//)[^/?#\s\"<>\\]+@")
"""Name and password before the host of a URL. Source: RFC 3986 §3.2.1."""
_IN_SIP_URI = re.compile(r"(?i)(?<![a-z0-9])(sips?:[^:@>\s\"\\]{1,512}):[^@>;?\s\"\\/]{1,512}(?=@)")
"""The password of a SIP URI. The bounds keep a text that begins many and ends none cheap. Source: RFC 3261 §19.1.1."""
_ATTRIBUTE = re.compile(rf"(?i)((?:\b|(?<=\\[nrt]))password{_SPACE}={_SPACE}(\\*[\"']))(?:(?!\2)[^<])+")
"""The password attribute of `<Sip>` and `<Uri>`. Source: TwiML <Sip>."""
_JSON = re.compile(rf'("password"{_SPACE}:{_SPACE}")(?:[^"\\]|\\.)+')
_JSON_IN_JSON = re.compile(rf'(\\"password\\"{_SPACE}:{_SPACE}\\")(?:[^"\\]|\\\\\\"|\\\\)+')


def mask_passwords(text: str) -> str:
    """Return the text with its passwords masked."""
    if "@" in text:
        text = _IN_SIP_URI.sub(rf"\1:{MASK}", _IN_URL.sub("", text))
    if "assword" in text.lower():
        for each in (_ATTRIBUTE, _JSON, _JSON_IN_JSON):
            text = each.sub(rf"\1{MASK}", text)
    return text
