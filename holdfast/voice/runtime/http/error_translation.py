"""Our error for what the HTTP client below us raises. Source: Twilio error dictionary, 11100 to 11237."""

from __future__ import annotations

import ssl

import aiohttp

from holdfast.voice.model.errors import FetchFailed, VoiceError
from holdfast.voice.runtime.http import errors

# X.509 verification results of OpenSSL that have a code of their own.
_EXPIRED = 10
_WRONG_HOST = (62, 64)


def translate_error(error: aiohttp.ClientError | OSError | ValueError, url: str) -> VoiceError:
    """The error that says what happened on the way to `url`."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return errors.HostUnknown(f"{url}: the host name has no address")
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_error(error.certificate_error, url)
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError(reason="WRONG_VERSION_NUMBER")):
            return errors.TlsFailed(f"{url}: no TLS session: it speaks plain HTTP there; use http://")
        case aiohttp.ClientConnectorSSLError():
            return errors.TlsFailed(f"{url}: no TLS session: {error}")
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return errors.ConnectionRefused(f"{url}: nobody listens there")
        case aiohttp.ConnectionTimeoutError():
            return errors.ConnectTimedOut(f"{url}: no connection in time")
        case aiohttp.ServerTimeoutError():
            return errors.ReadTimedOut(f"{url}: the web server fell silent")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return errors.ResponseBroken(f"{url}: not a complete HTTP answer: {_first_line(error)}")
        case aiohttp.InvalidURL():
            return errors.UrlMalformed(f"{url} is no URL we could ask")
        case aiohttp.ClientError() | OSError() | ValueError():
            return errors.ConnectionFailed(f"{url}: the connection failed: {_first_line(error)}")


def _certificate_error(error: Exception, url: str) -> FetchFailed:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code in _WRONG_HOST:
        return errors.CertificateHostMismatch(f"{url}: the certificate is for another host")
    if code == _EXPIRED:
        return errors.CertificateExpired(f"{url}: the certificate has expired")
    return errors.CertificateUntrusted(f"{url}: the certificate is signed by nobody we trust")


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:200]
