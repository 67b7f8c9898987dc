"""Certificates for TLS: loaded, or refused with the setting that is wrong."""

import ssl
from pathlib import Path

import pytest

from holdfast.voice.runtime.sip.config.tls import CertificateUnusable, TlsFiles, load_tls

LOCALHOST = Path(__file__).parents[5] / "loopback" / "localhost.pem"
KEY_OF_ANOTHER = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg
-----END PRIVATE KEY-----
"""


def test_one_file_with_both_is_enough() -> None:
    tls = load_tls(TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST))
    assert tls.client.check_hostname
    assert any((("commonName", "localhost"),) in each["subject"] for each in tls.client.get_ca_certs())


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    tls = load_tls(TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST))
    assert tls.server.minimum_version == tls.client.minimum_version == ssl.TLSVersion.TLSv1_2
    assert tls.client.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("certificate", "key", "authorities", "setting", "said"),
    [
        (None, LOCALHOST, None, "sip_tls_certificate", "cannot be read"),
        ("nothing", LOCALHOST, None, "sip_tls_certificate", "no PEM certificate"),
        (LOCALHOST, "nothing", None, "sip_tls_key", "no PEM private key"),
        (LOCALHOST, KEY_OF_ANOTHER, None, "sip_tls_key", "does not match"),
        (LOCALHOST, None, "nothing", "sip_tls_authorities", "no PEM certificate"),
        (LOCALHOST, None, Path("/nowhere"), "sip_tls_authorities", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path,
    certificate: Path | str | None,
    key: Path | str | None,
    authorities: Path | str | None,
    setting: str,
    said: str,
) -> None:
    def made(what: Path | str | None, name: str) -> Path:
        if isinstance(what, Path):
            return what
        if what is not None:
            (tmp_path / name).write_text(what)
        return tmp_path / name

    files = TlsFiles(
        certificate=made(certificate, "certificate"),
        key=None if key is None else made(key, "key"),
        authorities=None if authorities is None else made(authorities, "authorities"),
    )
    with pytest.raises(CertificateUnusable, match=said) as caught:
        load_tls(files)
    assert caught.value.setting == setting
