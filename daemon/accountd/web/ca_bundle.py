"""Whom TLS believes: the authorities that this machine trusts, and those that the environment names.

The variables are those of Codex and of OpenSSL. `CODEX_CA_CERTIFICATE` names a file of authorities besides those of
the system; `SSL_CERT_FILE` a file, and `SSL_CERT_DIR` folders, in their place. Where one cannot be used, and no
other is named, it is an error that names it: to go on without would be told as an issuer that is not to be trusted.
"""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from accountd import paths
from accountd.config.network import AUTHORITIES
from accountd.errors import ConfigError, UnusableBundle, describe_os_error
from accountd.files.ownership import UnsafePath
from accountd.files.read import read_file, read_own_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BUNDLE: Final = 16 << 20
"""Bytes of a file of authorities: that of a system has a quarter of a megabyte, the largest known some three."""

MAX_FILES: Final = 2048
"""Files of a folder of authorities: that of a system has some three hundred, each by two names."""

STAND_IN: Final = "SSL_CERT_FILE"
"""The variable that names a file in place of the system's."""

FILES: Final = ("CODEX_CA_CERTIFICATE", STAND_IN, AUTHORITIES)
"""Variables that name a file of authorities, of which the first counts."""

FOLDERS: Final = "SSL_CERT_DIR"
"""The variable that names folders of them, as PATH does."""

_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/cert.pem",  # the same, when they were younger
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # BSD
)
"""Where systems keep their authorities, for a Python whose OpenSSL was built to look elsewhere."""

NOBODY: Final = "this system has no certificates of authorities"
"""What is to be said where nobody is trusted, so that no certificate can be good."""

NOBODY_REMEDY: Final = "install its package ca-certificates, or name a PEM file of them in SSL_CERT_FILE"


class Named(NamedTuple):
    """A file or folder of authorities, and the variable that names it."""

    variable: str
    path: str


class Trust:
    """Whom an environment trusts, in one context for all connections.

    To read it takes some fifty milliseconds, and no connection does: truststore, which asks the keychain of macOS,
    would read the whole file anew for each, in the loop that serves everybody.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._context: ssl.SSLContext | None = None

    def open(self) -> ssl.SSLContext:
        """Return the TLS of a client that trusts them: one and the same, however many clients there are.

        Raises UnusableBundle.
        """
        if self._context is None:
            if sys.platform == "darwin":
                import truststore

                context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            else:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._read_into(context)
            self._context = context
        return self._context

    def read_again(self) -> None:
        """Make what was opened trust those, too, who are trusted by now."""
        if self._context is not None:
            with suppress(UnusableBundle):  # which was good when it was opened
                self._read_into(self._context)

    def is_empty(self) -> bool:
        """Return True if what was opened trusts nobody at all."""
        if self._context is None or sys.platform == "darwin":
            return False
        return not self._context.cert_store_stats()["x509"] and not _has_authorities(_system_folder())

    def _read_into(self, context: ssl.SSLContext) -> None:
        """Read the one file that counts, and what stands for the system, if anything does that can be used."""
        named, faults = find_file(self._environ), []
        if named is not None:
            add_file(context, named)
        is_replaced = named is not None and named.variable == STAND_IN
        for other in find_stand_ins(self._environ, named):
            try:
                (add_folder if other.variable == FOLDERS else add_file)(context, other)
                is_replaced = True
            except UnusableBundle as fault:
                faults.append(fault)
        if faults and named is None and not is_replaced:
            raise faults[0]
        if not is_replaced and sys.platform != "darwin":
            _add_system(context)


def find_file(environ: Mapping[str, str]) -> Named | None:
    """Find the file of authorities that an environment names. Raises UnusableBundle for a path to nowhere."""
    for variable in FILES:
        if value := environ.get(variable, "").strip():
            try:
                return Named(variable, paths.expand(value, where=variable))
            except ConfigError:
                raise UnusableBundle(variable, value, "leads nowhere") from None
    return None


def find_stand_ins(environ: Mapping[str, str], named: Named | None) -> list[Named]:
    """Find what an environment names in the system's place, besides the one file."""
    file = environ.get(STAND_IN, "").strip()
    files = [Named(STAND_IN, file)] if file and (named is None or named.variable != STAND_IN) else []
    folders = environ.get(FOLDERS, "").strip().split(os.pathsep)
    return [*files, *(Named(FOLDERS, path) for path in folders if path)]


def add_file(context: ssl.SSLContext, named: Named) -> None:
    """Make a context trust those of a file, too. Raises UnusableBundle."""
    try:
        add_authorities(context, named.path)
    except ssl.SSLError:
        raise UnusableBundle(*named, "has no certificate that can be read") from None
    except UnsafePath as error:
        raise UnusableBundle(*named, f"is not used: {error.problem}", error.remedy) from None
    except OSError as error:
        raise UnusableBundle(*named, f"cannot be read: {describe_os_error(error)}") from None


def add_folder(context: ssl.SSLContext, named: Named) -> None:
    """Make a context trust those of each file of a folder, too, whatever it is called. Raises UnusableBundle.

    OpenSSL would know only those that are called by a number of theirs, for which somebody has to run a program.
    """
    before = context.cert_store_stats()["x509"]
    try:
        files = sorted(Path(named.path).iterdir())[:MAX_FILES]
    except OSError as error:
        remedy = f"set {named.variable} to a folder of PEM files, or unset it"
        raise UnusableBundle(*named, f"cannot be read: {describe_os_error(error)}", remedy) from None
    for file in files:
        with suppress(OSError):  # an SSLError, too: a README, a folder, what is not to be trusted
            add_authorities(context, file)
    if context.cert_store_stats()["x509"] == before:
        remedy = f"set {named.variable} to a folder of PEM files, or unset it"
        raise UnusableBundle(*named, "has no certificate that can be read", remedy)


def add_authorities(
    context: ssl.SSLContext,
    bundle: str | os.PathLike[str],
    read: Callable[[str | os.PathLike[str], int], bytes] = read_own_file,
) -> None:
    """Make a context trust those of a PEM file, too. Raises OSError: an SSLError where no certificate is in it.

    OpenSSL is not given the path, which it would open and wait for whatever it is.
    """
    # As for OpenSSL, there may be text of any language around them, and settings behind each, which are ignored.
    text = read(bundle, MAX_BUNDLE).decode("ascii", "ignore").replace("TRUSTED CERTIFICATE", "CERTIFICATE")
    context.load_verify_locations(cadata=text or "\n")  # no text at all is another kind of error


def _add_system(context: ssl.SSLContext) -> None:
    """Make a context trust those of the system: where this Python looks, or else where systems have them."""
    bundle, folder = ssl.get_default_verify_paths().openssl_cafile, _system_folder()
    if Path(folder).is_dir():
        context.load_verify_locations(capath=folder)  # which is looked into when a name comes up
    if not Path(bundle).is_file():
        if _has_authorities(folder):
            return
        bundle = next((path for path in _BUNDLES if Path(path).is_file()), "")
    if bundle:
        with suppress(OSError):  # an SSLError, too: what cannot be read has nobody to trust
            # Whoever can write where this Python looks by itself could write this Python as well.
            add_authorities(context, bundle, read_file)


def _system_folder() -> str:
    return ssl.get_default_verify_paths().openssl_capath


def _has_authorities(folder: str) -> bool:
    return any(Path(folder).glob("*.0"))
