"""The keyring of Linux: the Secret Service on the session bus, with items that Codex finds, and that it wrote.

Codex looks for `service`, `username` and `target`, else for items of an older kind without `target`; it
rewrites what it finds, and refuses to choose between two. No prompt is ever opened here.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accountd.errors import KeyringAbsent, KeyringError, KeyringLocked, StorageError, describe_foreign
from accountd.storage.keyring import LIBRARY_MISSING, SERVICE, Item

if TYPE_CHECKING:
    from collections.abc import Iterator

    import secretstorage

    from accountd.storage.keyring import Call

_TARGET: Final = "default"
_ERROR_NAME: Final = re.compile(r"[A-Za-z_][\w.]{0,100}", re.ASCII)  # as `org.freedesktop.Secret.Error.IsLocked`


class SecretService:
    """A Keyring. Each call has a connection of its own; what hangs up a call given up is its end."""

    def __init__(self, service: str = SERVICE) -> None:
        self.service = service

    def read(self, call: Call, account: str) -> Item | None:
        """See Keyring.read. A collection that is locked may hide its items, so then none is not an answer."""
        with _connect(call) as connection:
            for item in _find(connection, self.service, account):
                return Item(item.get_secret(), item.get_modified())
            collection = _default_collection(connection)
            if collection is not None:
                collection.ensure_not_locked()
            return None

    def write(self, call: Call, account: str, document: bytes) -> None:
        """See Keyring.write. Where there were several items, which nothing can choose from, one is left."""
        with _connect(call) as connection:
            found = _find(connection, self.service, account)
            if found:
                call.before_change()
                found[0].set_secret(document)
                for surplus in found[1:]:
                    surplus.delete()
                return
            collection = _default_collection(connection)
            if collection is None:
                raise KeyringError("the keyring has no default collection", "make one")
            collection.ensure_not_locked()
            attributes = {
                "service": self.service,
                "username": account,
                "target": _TARGET,
                "application": "accountd",
                "xdg:schema": "org.freedesktop.Secret.Generic",
            }
            call.before_change()
            collection.create_item(f"{account}@{self.service}", attributes, document, replace=True)

    def remove(self, call: Call, account: str) -> None:
        """See Keyring.remove."""
        with _connect(call) as connection:
            for item in _find(connection, self.service, account):
                item.ensure_not_locked()
                call.before_change()
                item.delete()


@contextmanager
def _connect(call: Call) -> Iterator[Any]:
    """Give a connection to the Secret Service, and make errors of ours of all that can happen on it."""
    try:
        import secretstorage
    except ImportError as error:
        raise (KeyringError if _may_have_bus() else KeyringAbsent)(*LIBRARY_MISSING) from error
    try:
        with closing(_open_bus()) as connection:
            call.on_give_up(lambda: connection.sock.shutdown(socket.SHUT_RDWR))
            _require_service(connection)
            yield connection
    except StorageError:
        raise
    except secretstorage.LockedException as error:
        raise KeyringLocked from error
    except secretstorage.SecretServiceNotAvailableException as error:
        raise KeyringAbsent(f"the Secret Service does not answer ({_describe(error)})", "start it") from error
    except Exception as error:  # of three libraries and a foreign service: whatever it is, it was not done
        raise KeyringError(f"the keyring failed ({_describe(error)})") from error


def _may_have_bus() -> bool:
    """Return True if there may be a session bus, and so a keyring; asked where the library cannot."""
    named = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "").strip()
    return bool(named) or Path(os.environ.get("XDG_RUNTIME_DIR", "").strip() or "/nowhere", "bus").exists()


def _describe(error: Exception) -> str:
    """Name an error: by what D-Bus calls it, or by its class."""
    name = getattr(error, "name", None)
    return name if isinstance(name, str) and _ERROR_NAME.fullmatch(name) else describe_foreign(error)


def _open_bus() -> Any:
    import secretstorage

    try:
        return secretstorage.dbus_init()
    except TimeoutError as error:
        raise KeyringError("the session bus does not answer") from error
    except (OSError, secretstorage.SecretServiceNotAvailableException) as error:
        raise KeyringAbsent(
            f"there is no session bus, and so no keyring ({_describe(error)})", "start one"
        ) from error


def _require_service(connection: Any) -> None:
    import secretstorage

    if not secretstorage.check_service_availability(connection):
        raise KeyringAbsent("there is no keyring: no Secret Service is on the session bus", "start one")


def _find(connection: Any, service: str, account: str) -> list[secretstorage.Item]:
    """Find the items that Codex would; first the one that it would take, or the newest of several."""
    import secretstorage

    found = secretstorage.search_items(connection, {"service": service, "username": account})
    targets = [(item.get_attributes().get("target"), item.get_modified(), item) for item in found]
    ranked = sorted(
        (entry for entry in targets if entry[0] in (_TARGET, None)), key=lambda entry: (entry[0] is None, -entry[1])
    )
    return [item for _, _, item in ranked]


def _default_collection(connection: Any) -> secretstorage.Collection | None:
    import secretstorage

    try:
        return secretstorage.Collection(connection)
    except secretstorage.ItemNotFoundException:
        return None
