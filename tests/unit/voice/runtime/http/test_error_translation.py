"""Each failure of the HTTP library has Twilio's code."""

import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from holdfast.voice.runtime.http.error_translation import translate_error

KEY = ConnectionKey("h", 443, True, True, None, None, None)


def certificate_error(verify_code: int) -> aiohttp.ClientConnectorCertificateError:
    cause = ssl.SSLCertVerificationError()
    cause.verify_code = verify_code
    return aiohttp.ClientConnectorCertificateError(KEY, cause)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")), 11210),
        (certificate_error(10), 11236),
        (certificate_error(62), 11235),
        (certificate_error(64), 11235),
        (certificate_error(18), 11237),
        (aiohttp.ClientConnectorCertificateError(KEY, ValueError()), 11237),
        (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "handshake")), 11220),
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "refused")), 11202),
        (aiohttp.ClientConnectorError(KEY, OSError(113, "no route")), 11205),
        (aiohttp.ConnectionTimeoutError(), 11201),
        (aiohttp.SocketTimeoutError(), 11200),
        (aiohttp.ServerDisconnectedError(), 11205),
        (aiohttp.ClientPayloadError("cut"), 11206),
        (aiohttp.InvalidURL("x"), 11100),
        (ConnectionResetError("reset"), 11205),
        (ValueError("header"), 11205),
    ],
)
def test_codes(error: aiohttp.ClientError | OSError | ValueError, code: int) -> None:
    told = translate_error(error, "https://h/x")

    assert told.code == code
    assert "https://h/x" in told.message
    assert "\n" not in told.message
