"""TLS for SIP: the certificate we show, and the authorities we accept.

Deviation: `sips:` promises TLS on every hop to the callee (RFC 5630 §3.1.1); we promise it for our own hop alone.
Source: RFC 3261 §26.3; RFC 5922 §7 for the name that a certificate must have.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from holdfast.voice.model.errors import AskedWrong


class CertificateUnusable(AskedWrong):
    """An error for a TLS file that cannot be used. `setting` names the setting."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: our certificate with its chain, its key (None: in the same file), and additional authorities."""

    certificate: Path
    key: Path | None = None
    authorities: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The TLS contexts of inbound and outbound connections, both from TLS 1.2 on."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def load_tls(files: TlsFiles) -> Tls:
    """Load the files.

    Raises: CertificateUnusable.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _load_certificate(context, files)
    server.options |= ssl.OP_NO_RENEGOTIATION  # costs us much and a peer nothing, and no phone needs it
    if files.authorities is not None:
        try:
            client.load_verify_locations(files.authorities)
        except ssl.SSLError as error:
            raise CertificateUnusable(
                "sip_tls_authorities", f"{files.authorities} has no PEM certificate in it"
            ) from error
        except OSError as error:
            raise CertificateUnusable(
                "sip_tls_authorities", f"{files.authorities} cannot be read: {error.strerror}"
            ) from error
    return Tls(server=server, client=client)


def certificate_problem(tls: Tls, certificate: Path) -> str:
    """Return why phones that have our certificate as an authority will still reject it; "" if they will not.

    It runs a handshake with itself in memory, since an expired certificate loads like any other.
    """
    phone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    phone.check_hostname = False
    phone.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    phone.load_verify_locations(certificate)
    to_us, to_phone = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        phone.wrap_bio(to_phone, to_us),
        tls.server.wrap_bio(to_us, to_phone, server_side=True),
    )
    for end in ends * 2:  # the phone verifies after its hello and our response
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue  # until the other end has sent its part
        except ssl.SSLCertVerificationError as wrong:
            return f"phones will reject {certificate}: {wrong.verify_message}"
        except ssl.SSLError as wrong:
            return f"no TLS handshake succeeds with {certificate}: {wrong.reason}"
    return ""


def _load_certificate(context: ssl.SSLContext, files: TlsFiles) -> None:
    key = files.key or files.certificate
    for setting, path in (("sip_tls_certificate", files.certificate), ("sip_tls_key", key)):
        try:
            text = path.read_bytes()
        except OSError as error:
            raise CertificateUnusable(setting, f"{path} cannot be read: {error.strerror}") from error
        wanted = b"CERTIFICATE-----" if setting == "sip_tls_certificate" else b"PRIVATE KEY-----"
        if wanted not in text:
            what = "certificate" if setting == "sip_tls_certificate" else "private key"
            raise CertificateUnusable(setting, f"{path} has no PEM {what} in it")
    try:
        # Without a password of ours, OpenSSL would ask for one at the terminal.
        context.load_cert_chain(files.certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        why = f"the key in {key} does not match the certificate in {files.certificate}, or is encrypted"
        raise CertificateUnusable("sip_tls_key", why) from error
