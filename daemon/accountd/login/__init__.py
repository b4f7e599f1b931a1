"""Logins: attempts to become the account. `lifecycle` says what one may do, `manager` runs them."""
