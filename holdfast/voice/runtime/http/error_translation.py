"""Translate errors of the HTTP library to ours. Source: Twilio error dictionary, 11100 to 11237."""

from __future__ import annotations

import ssl

import aiohttp

from holdfast.voice.model.errors import FetchFailed, VoiceError
from holdfast.voice.runtime.http import errors

# X.509 verification results of OpenSSL that have their own Twilio code.
_EXPIRED = 10
_HOST_MISMATCH = (62, 64)


def translate_error(error: aiohttp.ClientError | OSError | ValueError, url: str) -> VoiceError:
    """Return our error for an error of the HTTP library while requesting `url`."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return errors.HostUnknown(f"{url}: the host name has no address")
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_error(error.certificate_error, url)
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError(reason="WRONG_VERSION_NUMBER")):
            return errors.TlsFailed(f"{url}: no TLS session: the server speaks plain HTTP; use http://")
        case aiohttp.ClientConnectorSSLError():
            return errors.TlsFailed(f"{url}: no TLS session: {error}")
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return errors.ConnectionRefused(f"{url}: the connection is refused")
        case aiohttp.ConnectionTimeoutError():
            return errors.ConnectTimedOut(f"{url}: no connection in time")
        case aiohttp.ServerTimeoutError():
            return errors.ReadTimedOut(f"{url}: the web server sent nothing for too long")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return errors.ResponseBroken(f"{url}: not a complete HTTP response: {_first_line(error)}")
        case aiohttp.InvalidURL():
            return errors.UrlMalformed(f"{url} is not a valid URL")
        case aiohttp.ClientError() | OSError() | ValueError():
            return errors.ConnectionFailed(f"{url}: the connection failed: {_first_line(error)}")


def _certificate_error(error: Exception, url: str) -> FetchFailed:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code in _HOST_MISMATCH:
        return errors.CertificateHostMismatch(f"{url}: the certificate is for another host")
    if code == _EXPIRED:
        return errors.CertificateExpired(f"{url}: the certificate has expired")
    return errors.CertificateUntrusted(f"{url}: no trusted authority signed the certificate")


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:200]
