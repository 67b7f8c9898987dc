"""Sign requests with `X-Twilio-Signature`, by which a web server recognizes them as ours.

Source: Twilio, "Webhooks security", validating signatures.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

HEADER = "X-Twilio-Signature"


def sign(auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """Return the signature of a request to `url` (exactly as sent, query included) with this form body.

    Invariant: the order of the form does not matter; the same value given twice under one name counts once; an
    empty value adds its name alone; a fragment is never signed. A GET has no form: its parameters are in the URL.
    Shape: HMAC-SHA1 keyed with the account's token, in base64.
    """
    text = url.split("#", 1)[0] + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()).decode("ascii")
