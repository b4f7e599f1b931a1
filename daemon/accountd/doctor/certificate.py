"""Who signed a certificate, read from its DER (RFC 5280 section 4.1): the one thing that an error leaves out.

Python tells the issuer only of certificates that it trusts. This is for one that it does not.
"""

from __future__ import annotations

_VERSION = 0xA0
_COMMON_NAME, _ORGANISATION = b"\x55\x04\x03", b"\x55\x04\x0a"
_WIDE = {0x1E: "utf-16-be", 0x14: "latin-1"}
"""Kinds of text that are not UTF-8 or a part of it."""


def read_issuer(der: bytes) -> str | None:
    """Name who signed a certificate, by common name and organisation; None if that cannot be read."""
    try:
        [(_, certificate)] = _parse(der)
        [(_, body), *_] = _parse(certificate)
        fields = [field for field in _parse(body) if field[0] != _VERSION]
        _serial, _algorithm, (_, issuer), *_ = fields
        names = dict(_read_names(issuer))
    except (ValueError, IndexError):
        return None
    shown = [names[oid] for oid in (_COMMON_NAME, _ORGANISATION) if oid in names]
    return ", ".join(dict.fromkeys(shown)) or None


def _read_names(issuer: bytes) -> list[tuple[bytes, str]]:
    found = []
    for _, group in _parse(issuer):
        for _, pair in _parse(group):
            (_, oid), (kind, value) = _parse(pair)
            found.append((oid, value.decode(_WIDE.get(kind, "utf-8"), "replace")))
    return found


def _parse(data: bytes) -> list[tuple[int, bytes]]:
    """Split DER into its values, each with its tag. Raises ValueError or IndexError for what is none."""
    found = []
    while data:
        tag, size, start = data[0], data[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            raise ValueError("cut short")
        found.append((tag, data[start : start + size]))
        data = data[start + size :]
    return found
