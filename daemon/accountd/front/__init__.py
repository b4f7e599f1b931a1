"""The front: a whole app-server to its clients, of which the daemon has the accounts and a stock Codex all else.

It is a program of its own. The daemon owns tokens, is sandboxed and starts no other programs; the front starts
`codex app-server`, the agent, and holds no credential but the access token that it is handing on.

Where the login is another machine's, `remote_account` and `remote_side` stand in the place of the daemon.

`route` says which side has a message, `router` relays the messages of one client, `agent` is the child process and
what it is told, `feed` sees that the agent has the login that the daemon has, and `serve` is the program.
"""
