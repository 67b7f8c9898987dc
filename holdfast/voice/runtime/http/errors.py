"""What can go wrong between us and a web server, each with Twilio's code.

Source: Twilio error and warning dictionary, 11100 to 11770.
"""

from __future__ import annotations

from holdfast.voice.model.errors import AskedWrong, FetchFailed, PeerWrong


class WebhookSettingInvalid(AskedWrong):
    """A setting that names networks or hosts does not make sense; the message names the setting."""


class UrlMalformed(PeerWrong):
    """Not an absolute http or https URL."""

    code = 11100


class OverridesInvalid(PeerWrong):
    """The fragment of the URL is meant to override the connection's policy and cannot be read."""

    code = 11243


class StatusWrong(FetchFailed):
    """The web server answered with an error status."""

    code = 11200


class ReadTimedOut(FetchFailed):
    """The web server sent nothing for too long."""

    code = 11200


class ConnectTimedOut(FetchFailed):
    """No connection within the time for it, at any attempt."""

    code = 11201


class ConnectionRefused(FetchFailed):
    """Nobody listens at that address."""

    code = 11202


class TotalTimedOut(FetchFailed):
    """No complete answer within the time for everything: connecting, redirects, reading."""

    code = 11203


class ConnectionFailed(FetchFailed):
    """The connection could not be made, or was closed before an answer."""

    code = 11205


class AddressRefused(FetchFailed):
    """We do not connect to that address: it is private, and no setting allows it."""

    code = 11205


class ResponseBroken(FetchFailed):
    """What came is not HTTP, or ended before its announced end."""

    code = 11206


class HostUnknown(FetchFailed):
    """The host name has no address."""

    code = 11210


class TooManyRedirects(FetchFailed):
    """The web server sent us on once too often."""

    code = 11215


class TlsFailed(FetchFailed):
    """No TLS session could be agreed."""

    code = 11220


class CertificateHostMismatch(FetchFailed):
    """The certificate is valid, but not for this host."""

    code = 11235


class CertificateExpired(FetchFailed):
    """The certificate's time is over."""

    code = 11236


class CertificateUntrusted(FetchFailed):
    """Nobody we trust vouches for the certificate."""

    code = 11237


class ResponseEmpty(FetchFailed):
    """A successful answer without a body, where one is needed."""

    code = 11770


class SoundUnplayable(PeerWrong):
    """What was fetched is no sound we can play: not audio, damaged, too long or too large."""

    code = 13420
