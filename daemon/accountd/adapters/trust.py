"""Whom TLS believes: the authorities that this machine trusts."""

from __future__ import annotations

import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

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
        """Give the TLS of a client that trusts them."""
        if sys.platform == "darwin":
            import truststore

            return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.read_again()
        return self._context

    def read_again(self) -> None:
        """Have what was opened trust those, too, whom the system trusts by now."""
        if self._context is None:  # not opened; or it is macOS, which is asked each time
            return
        self._context.load_default_certs()
        places = ssl.get_default_verify_paths()
        if not places.cafile and not (places.capath and any(Path(places.capath).glob("*.0"))):
            for bundle in filter(Path.is_file, map(Path, _BUNDLES)):
                with suppress(OSError):  # an SSLError, too: what cannot be read has nobody to trust
                    self._context.load_verify_locations(bundle)
                break
