"""The id of a thread, which is a UUID, in any of the spellings that Codex takes (RFC 9562 section 4)."""

from __future__ import annotations

import re
from typing import Final

from accountd.errors import InvalidRequest

_NO_DIGIT: Final = re.compile("[^0-9a-fA-F-]")
_LOOKED_AT: Final = 1000
"""Characters; what is longer is refused for its length, whatever follows."""
_SIZES: Final = (8, 4, 4, 4, 12)
_WRAPPINGS: Final = (("{", "}"), ("urn:uuid:", ""))


def parse_thread_id(text: str) -> str:
    """Spell an id as backends do: in small letters, with hyphens. Raises InvalidRequest in Codex's words."""
    prefix, suffix = next((w for w in _WRAPPINGS if text.startswith(w[0]) and text.endswith(w[1])), ("", ""))
    digits = text[len(prefix) : len(text) - len(suffix)]
    if stranger := _NO_DIGIT.search(digits, 0, _LOOKED_AT):
        reason = "character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-]"
        found = f"found `{stranger[0]}` at {stranger.start() + 1}"
        raise InvalidRequest(f"invalid thread id: invalid {reason}, {found}")
    count = digits.count("-") + 1  # before they are cut apart: the text may be a long one
    if count == 1 and not prefix:
        if len(digits) != sum(_SIZES):
            reason = f"length: expected length 32 for simple format, found {len(digits)}"
            raise InvalidRequest(f"invalid thread id: invalid {reason}")
        groups = [digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]]
    elif count != len(_SIZES):
        raise InvalidRequest(f"invalid thread id: invalid group count: expected 5, found {count}")
    else:
        groups = digits.split("-")
    for number, (group, size) in enumerate(zip(groups, _SIZES, strict=True)):
        if len(group) != size:
            reason = f"group length in group {number}: expected {size}, found {len(group)}"
            raise InvalidRequest(f"invalid thread id: invalid {reason}")
    return "-".join(groups).lower()
