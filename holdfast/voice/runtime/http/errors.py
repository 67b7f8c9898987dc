"""Define the errors of exchanges with web servers, each with Twilio's code.

Source: Twilio error and warning dictionary, 11100 to 11770.
"""

from __future__ import annotations

from holdfast.voice.model.errors import AskedWrong, FetchFailed, PeerWrong


class WebhookSettingInvalid(AskedWrong):
    """A setting for webhooks is invalid; the message names the setting."""


class UrlMalformed(PeerWrong):
    """The text is not an absolute http or https URL."""

    code = 11100


class OverridesInvalid(PeerWrong):
    """The connection overrides in the fragment of the URL are invalid."""

    code = 11243


class StatusWrong(FetchFailed):
    """The web server answered with an error status."""

    code = 11200


class ReadTimedOut(FetchFailed):
    """The web server sent nothing for too long."""

    code = 11200


class ConnectTimedOut(FetchFailed):
    """No attempt to connect succeeded within its time limit."""

    code = 11201


class ConnectionRefused(FetchFailed):
    """No server listens at that address."""

    code = 11202


class TotalTimedOut(FetchFailed):
    """No complete response arrived within the total time for connecting, redirects and reading."""

    code = 11203


class ConnectionFailed(FetchFailed):
    """The connection could not be made, or was closed before a response."""

    code = 11205


class AddressRefused(FetchFailed):
    """The address is not public, and no setting allows a connection to it."""

    code = 11205


class ResponseBroken(FetchFailed):
    """The response is not HTTP, or ended before its announced length."""

    code = 11206


class HostUnknown(FetchFailed):
    """The host name has no address."""

    code = 11210


class TooManyRedirects(FetchFailed):
    """The web server redirected the request too often."""

    code = 11215


class TlsFailed(FetchFailed):
    """No TLS session could be negotiated."""

    code = 11220


class CertificateHostMismatch(FetchFailed):
    """The certificate is valid, but not for this host."""

    code = 11235


class CertificateExpired(FetchFailed):
    """The certificate has expired."""

    code = 11236


class CertificateUntrusted(FetchFailed):
    """No trusted authority signed the certificate."""

    code = 11237


class ResponseEmpty(FetchFailed):
    """A successful response has no body where one is needed."""

    code = 11770


class SoundUnplayable(PeerWrong):
    """The fetched file cannot be played: it is not audio, damaged, too long or too large."""

    code = 13420
