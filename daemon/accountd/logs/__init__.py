"""The log, on stderr: one line an event, with what it is about. Nobody waits for it, and it has a bound.

logging ──▶ limiter ────────▶ formats ──▶ writer ──────────▶ stderr
            the first few     redacted    a thread, and      rotated where it
            of a kind                     a bounded queue    is a file of ours
"""

from accountd.logs.context import bind_fields, bound_fields
from accountd.logs.formats import render_time
from accountd.logs.handler import set_up

__all__ = ("bind_fields", "bound_fields", "render_time", "set_up")
