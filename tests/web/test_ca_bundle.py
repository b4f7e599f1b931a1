"""The authorities that the system trusts, read once."""

from __future__ import annotations

import ssl
import sys
from typing import TYPE_CHECKING

import pytest
import trustme

from accountd.web import ca_bundle as trust
from accountd.web.ca_bundle import SystemTrust, add_authorities

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS asks its keychain")

CA = trustme.CA()


def shake_hands(client: ssl.SSLContext) -> None:
    """Connect to a server with a certificate of the authority. Raises ssl.SSLError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("issuer.example").configure_cert(server)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname="issuer.example"),
        server.wrap_bio(there, back, server_side=True),
    ]
    while ends:
        for end in tuple(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file with the authority, on a system that has no other that OpenSSL would find."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nowhere"))
    CA.cert_pem.write_to_path(str(tmp_path / "bundle.pem"))
    return tmp_path / "bundle.pem"


def test_the_system_s_file_is_read_once_and_not_for_each_connection(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a hundred authorities, and nobody would be served while they are read."""
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    context = SystemTrust().open()
    bundle.unlink()
    for _ in range(2):
        shake_hands(context)


def test_what_openssl_would_not_find_is_found(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that was built for another system takes the first bundle of those that systems are known to have."""
    monkeypatch.setattr(trust, "_BUNDLES", (f"{bundle}.gone", str(bundle), "/never/read"))
    shake_hands(SystemTrust().open())


def test_who_names_a_folder_trusts_nobody_else(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Authorities in SSL_CERT_DIR are all that there are, even if they are strangers here."""
    folder = bundle.parent / "folder"
    folder.mkdir()
    (folder / "01234567.0").write_text("")
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    monkeypatch.setattr(trust, "_BUNDLES", (str(bundle),))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(SystemTrust().open())


@pytest.mark.parametrize("label", [b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"])
def test_a_bundle_may_have_comments_and_each_label_that_openssl_takes(label: bytes, bundle: Path) -> None:
    """Those of systems have the names of authorities around them, which are no ASCII, and old ones other labels."""
    pem = bundle.read_bytes().replace(b"CERTIFICATE", label)
    bundle.write_bytes("# Főtanúsítvány\n".encode() + pem + b"\xff\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    add_authorities(context, bundle)
    shake_hands(context)


@pytest.mark.parametrize("text", ["", "rubbish"])
def test_a_bundle_without_a_certificate_is_an_error(text: str, bundle: Path) -> None:
    """As one with something else in the place of one."""
    bundle.write_text(text)
    with pytest.raises(ssl.SSLError):
        add_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), bundle)


def test_a_bundle_that_cannot_be_read_is_trusted_for_nobody(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no error of its own: the connection says what it misses."""
    bundle.write_text("rubbish")
    monkeypatch.setattr(trust, "_BUNDLES", (str(bundle),))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(SystemTrust().open())


def test_where_nobody_is_trusted_there_is_no_connection(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any authority a certificate is not believed."""
    monkeypatch.setattr(trust, "_BUNDLES", ())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(SystemTrust().open())


def test_an_authority_that_is_added_later_is_trusted_when_it_is_read_again(bundle: Path) -> None:
    """A daemon lives longer than what its machine trusts at first."""
    added = bundle.rename(bundle.with_name("added"))
    system = SystemTrust()
    context = system.open()
    added.rename(bundle.with_name("none"))  # where SSL_CERT_FILE says
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context)
    system.read_again()
    shake_hands(context)
