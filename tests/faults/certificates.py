"""Certificates that a server may show: one that is good, and those that no client may believe."""

from __future__ import annotations

import datetime
import ssl
from functools import cache
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path

CERTIFICATES = ("expired", "not yet valid", "of another host", "of an unknown authority")

_DAY = datetime.timedelta(days=1)


@cache
def authority() -> trustme.CA:
    """Give the authority that the daemon is told to trust."""
    return trustme.CA()


def write_authority(folder: Path) -> Path:
    """Write its certificate to a file in a folder, and give the path."""
    file = folder / "ca.pem"
    authority().cert_pem.write_to_path(str(file))
    return file


@cache
def server_context(kind: str = "") -> ssl.SSLContext:
    """Give the TLS of a server with such a certificate; a good one, for any other word."""
    past, future = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2020, 2099))
    match kind:
        case "expired":
            certificate = authority().issue_cert("127.0.0.1", not_before=past, not_after=past + _DAY)
        case "not yet valid":
            certificate = authority().issue_cert("127.0.0.1", not_before=future, not_after=future + _DAY)
        case "of another host":
            certificate = authority().issue_cert("elsewhere.example")
        case "of an unknown authority":
            certificate = trustme.CA().issue_cert("127.0.0.1")
        case _:
            certificate = authority().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
