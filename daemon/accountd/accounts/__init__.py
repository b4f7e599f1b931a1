"""Several accounts of one person: the list of them, and what moves a login from where to where.

One account by itself is the business of `account`. The head of `accounts.accounts` has the rules.
"""
