"""The authorities that the system trusts, read once."""

from __future__ import annotations

import ssl
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import trustme

from accountd.errors import UnusableBundle
from accountd.web import ca_bundle as trust
from accountd.web.ca_bundle import Trust, add_authorities

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS asks its keychain")

CA = trustme.CA()
STRANGER = trustme.CA()


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
    nowhere = SimpleNamespace(openssl_cafile=str(tmp_path / "none"), openssl_capath=str(tmp_path / "nowhere"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    CA.cert_pem.write_to_path(str(tmp_path / "bundle.pem"))
    return tmp_path / "bundle.pem"


def test_a_file_is_read_once_and_not_for_each_connection(bundle: Path) -> None:
    """It has a hundred authorities, and nobody would be served while they are read."""
    context = Trust({"SSL_CERT_FILE": str(bundle)}).open()
    bundle.unlink()
    for _ in range(2):
        shake_hands(context)


def test_what_openssl_would_not_find_is_found(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that was built for another system takes the first bundle of those that systems are known to have."""
    monkeypatch.setattr(trust, "_BUNDLES", (f"{bundle}.gone", str(bundle), "/never/read"))
    shake_hands(Trust({}).open())


@pytest.mark.parametrize(
    ("environ", "is_trusted"),
    [
        ({}, True),
        ({"CODEX_CA_CERTIFICATE": "own"}, True),
        ({"CODEX_CA_CERTIFICATE": "stranger"}, True),  # besides the system's
        ({"SSL_CERT_FILE": "stranger"}, False),  # in its place
        ({"SSL_CERT_DIR": "strangers"}, False),
        ({"SSL_CERT_FILE": " own "}, True),
        ({"SSL_CERT_DIR": "folder"}, True),
        ({"SSL_CERT_DIR": "missing:folder"}, True),
        ({"SSL_CERT_FILE": "stranger", "SSL_CERT_DIR": "folder"}, True),
        ({"SSL_CERT_FILE": "own", "SSL_CERT_DIR": "missing"}, True),
        ({"CODEX_CA_CERTIFICATE": "own", "SSL_CERT_FILE": "missing"}, True),
        ({"CODEX_CA_CERTIFICATE": "stranger", "SSL_CERT_FILE": "missing"}, True),
        ({"CODEX_CA_CERTIFICATE": "stranger", "SSL_CERT_FILE": "stranger"}, False),
    ],
)
def test_who_is_trusted_is_what_the_variables_say(
    environ: dict[str, str], is_trusted: bool, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's, unless a file or folders stand in for it that can be used; and one file besides."""
    root = bundle.parent
    monkeypatch.setattr(trust, "_BUNDLES", (str(bundle),))
    for place, authority in (("own", CA), ("stranger", STRANGER), ("folder/a.pem", CA), ("strangers/a", STRANGER)):
        (root / place).parent.mkdir(exist_ok=True)
        authority.cert_pem.write_to_path(str(root / place))
    (root / "folder" / "README").write_text("not one")
    absolute = {
        name: ":".join(str(root / part) for part in value.strip().split(":")) for name, value in environ.items()
    }
    with nullcontext() if is_trusted else pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(Trust(absolute).open())


@pytest.mark.parametrize("variable", ["CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"cannot be read: No such file or directory \(os error 2\)"),
        ("rubbish", r"has no certificate that can be read"),
        ("", r"has no certificate that can be read"),
    ],
)
def test_what_is_named_and_cannot_be_used_is_named(
    variable: str, content: str | None, words: str, tmp_path: Path
) -> None:
    """By its path, its variable and what is wrong with it; and it is read again at the next try."""
    path = tmp_path / "named"
    file = path
    if variable == "SSL_CERT_DIR":
        file = path / "a.pem"
        if content is not None:
            path.mkdir()
    if content is not None:
        file.write_text(content)
    trusting = Trust({variable: str(path)})
    with pytest.raises(
        UnusableBundle, match=rf"^{path}, of {variable}, {words}\. Set {variable} to a .* or unset it"
    ):
        trusting.open()
    file.parent.mkdir(exist_ok=True)
    CA.cert_pem.write_to_path(str(file))
    shake_hands(trusting.open())


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


def test_a_bundle_of_the_system_that_cannot_be_read_is_trusted_for_nobody(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has named it: it is no error of its own, and the connection says what it misses."""
    bundle.write_text("rubbish")
    monkeypatch.setattr(trust, "_BUNDLES", (str(bundle),))
    system = Trust({})
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(system.open())
    assert system.is_empty()


def test_an_authority_that_is_added_later_is_trusted_when_it_is_read_again(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon lives longer than what its machine trusts at first."""
    monkeypatch.setattr(trust, "_BUNDLES", (str(bundle),))
    added = bundle.rename(bundle.with_name("added"))
    system = Trust({})
    context = system.open()
    added.rename(bundle)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context)
    system.read_again()
    shake_hands(context)
    assert not system.is_empty()


def test_a_file_in_nobodys_home_leads_nowhere() -> None:
    """It is the variable that says so, and nothing is made of it."""
    with pytest.raises(UnusableBundle, match=r"^~nobody-here/a, of SSL_CERT_FILE, leads nowhere"):
        Trust({"SSL_CERT_FILE": "~nobody-here/a"}).open()
