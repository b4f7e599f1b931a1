"""The account: who is logged in, on this machine, for this CODEX_HOME. The one owner of the stored credential.

Whoever would change the credential comes to `service`, one at a time, and takes the locks that other programs
respect; each change is one shielded step: stored, then known in memory (`state`), then announced. `renewal` has
the one change that the issuer is asked for, `continuity` sees that what it gives is of the same login, and
`refresher` says when; `external` are a client's own tokens, which nobody stores; `reader` tells clients of it all.
"""
