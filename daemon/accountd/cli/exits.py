"""The exit codes of the command, and the exception that ends it with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OK = 0
ERROR = 1
USAGE = 2
NOT_LOGGED_IN = 3
NEEDS_LOGIN = 4
NO_DAEMON = 5
NO_ACCOUNT = 6
UNREADABLE = 7
UPGRADED = 75
"""EX_TEMPFAIL of sysexits.h: whoever runs it is to start it again."""
SIGNALLED = 128
"""Added to the number of the signal that ended the command, as shells do: 143 for SIGTERM."""
INTERRUPTED = SIGNALLED + 2  # SIGINT; the module that names it takes long to import

DOCUMENTATION = """\
exit codes:
  0    done
  1    it failed; the reason is on stderr
  2    the command line is wrong
  3    nobody is logged in (status, usage, token)
  4    the stored login is no longer accepted (status, usage, token)
  5    there is no daemon, and none could be started
  6    there is no such account, or several may be meant
  7    what is stored cannot be read (status, usage, token)
  75   its package is another one now: start it again (serve)
  130  cancelled with Ctrl-C; 143 with SIGTERM
"""


class Failure(Exception):
    """Ends the command: `message` goes to stderr as one line, and says what to do.

    `reason` is that of the daemon's error, in its one word; None of what did not fail there. `candidates` are the
    names of which each means one account, where several may be meant.
    """

    def __init__(
        self, message: str, code: int = ERROR, reason: str | None = None, candidates: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.candidates = candidates
