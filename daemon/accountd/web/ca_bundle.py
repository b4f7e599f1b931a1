"""Whom TLS believes: the authorities that this machine trusts."""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from accountd.files.read import read_file, read_own_file

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BUNDLE: Final = 16 << 20
"""Bytes of a file of authorities: that of a system has a quarter of a megabyte, the largest known some three."""

_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/cert.pem",  # the same, when they were younger
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # BSD
)
"""Where systems keep their authorities, for a Python whose OpenSSL was built to look elsewhere."""


class SystemTrust:
    """Whom the system trusts; SSL_CERT_FILE and SSL_CERT_DIR name others in their place.

    To read it takes some fifty milliseconds, and no connection does: truststore, which asks the keychain of macOS,
    would read the whole file anew for each, in the loop that serves everybody.
    """

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    def open(self) -> ssl.SSLContext:
        """Give the TLS of a client that trusts them: one and the same, however many clients there are."""
        if sys.platform == "darwin":
            import truststore

            return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._context is None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.read_again()
        return self._context

    def read_again(self) -> None:
        """Have what was opened trust those, too, whom the system trusts by now."""
        if self._context is None:  # not opened; or it is macOS, which is asked each time
            return
        places = ssl.get_default_verify_paths()
        bundle: str | None = places.cafile
        if places.capath:
            self._context.load_verify_locations(capath=places.capath)  # which is looked into when a name comes up
        if not bundle and not (places.capath and any(Path(places.capath).glob("*.0"))):
            bundle = next((path for path in _BUNDLES if Path(path).is_file()), None)
        if bundle:
            with suppress(OSError):  # an SSLError, too: what cannot be read has nobody to trust
                # Whoever can write where this Python looks by itself could write this Python as well.
                is_chosen = places.openssl_cafile_env in os.environ
                add_authorities(self._context, bundle, read_own_file if is_chosen else read_file)


def add_authorities(
    context: ssl.SSLContext,
    bundle: str | os.PathLike[str],
    read: Callable[[str | os.PathLike[str], int], bytes] = read_own_file,
) -> None:
    """Have a context trust those of a PEM file, too. Raises OSError: an SSLError where no certificate is in it.

    OpenSSL is not given the path, which it would open and wait for whatever it is.
    """
    # As for OpenSSL, there may be text of any language around them, and settings behind each, which are ignored.
    text = read(bundle, MAX_BUNDLE).decode("ascii", "ignore").replace("TRUSTED CERTIFICATE", "CERTIFICATE")
    context.load_verify_locations(cadata=text or "\n")  # no text at all is another kind of error
