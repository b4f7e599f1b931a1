"""The Codex app-server's account protocol: what a message is, what each method takes and gives.

Read `methods` first: it is the table of all that this server answers.
"""
