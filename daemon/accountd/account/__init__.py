"""The account: who is logged in, on this machine, for this CODEX_HOME. The one owner of the stored credential.

`accounts` is the collection, of one; `account` is one of them, with the order of its changes: stored, then known in
memory (`credential`), then announced. Refreshing is `refresh`, which says when, and `rotation`, which says how;
`continuity` sees that what the issuer gives is of the same login; `workspaces` are those of its session. `external`
are a client's own tokens, which are stored nowhere; `store_watch` finds out what is stored; `reader` tells clients
of it all.
"""
