"""Reads the logins that switchers of accounts keep: other programs, which swap the files of several accounts.

`formats` has a reader for each of them. They read alone: nothing is written, and no issuer is asked whether a login
is good, since that would spend it.
"""
