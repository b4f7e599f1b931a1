"""A string that shows dots wherever text is made of it by accident; and which of them there are now."""

from __future__ import annotations

from typing import Final, NoReturn
from weakref import WeakValueDictionary

SHORTEST: Final = 8
"""Characters of a secret that is looked for in texts. Whatever is shorter could be a word by chance."""


class Secret:
    """A token or key. Only `reveal` gives the text, so every place that uses it can be searched for.

    Python cannot promise to wipe memory; what this promises is that `repr`, `str`, f-strings, `%s` in a
    log call, tracebacks with locals and pickles do not carry the text.
    """

    __slots__ = ("__weakref__", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) >= SHORTEST:
            _living[id(self)] = self

    def reveal(self) -> str:
        """Return the text itself, for the wire or the disk."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(••••)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac  # brings OpenSSL, which a verb that holds a secret does not start for

        return hmac.compare_digest(_encode(self._text), _encode(other._text))

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied")


_living: Final = WeakValueDictionary[int, Secret]()
"""By identity: of two with one text, the second lives on when the first is gone. Keeps none of them alive."""


def living_secrets() -> list[Secret]:
    """List the secrets that this process holds now, but for the shortest. Safe in any thread."""
    return [secret for reference in _living.valuerefs() if (secret := reference()) is not None]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # the error of a plain `encode` would carry the text
