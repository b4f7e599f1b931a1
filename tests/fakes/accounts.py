"""A scripted daemon's several accounts: their list, and the names by which they are selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakes.app_server import Message, Refusal

if TYPE_CHECKING:
    from fakes.app_server import Answer, Script


def list_account(account_id: str, alias: str | None = None, state: str = "stored", **members: Any) -> Message:
    """Make an entry of the list; its email and workspace are those of its alias unless it is said."""
    name = alias or account_id
    return {
        "id": account_id,
        "alias": alias,
        "authMode": "chatgpt",
        "email": f"{name}@example.com",
        "userId": f"user-{name}",
        "workspace": {"id": f"ws-{name}", "name": name.capitalize(), "kind": None},
        "planType": "plus",
        "state": state,
        "permitted": state != "forbidden",
        "needsLogin": state in ("needsLogin", "signedOut"),
        "expiresAt": None,
        "lastRefresh": None,
        "addedAt": 1_800_000_000.0,
        "lastUsedAt": None,
        "pins": [],
        **members,
    }


HOME = list_account("aaaaaa", "home", "active")
WORK = list_account("bbbbbb", "work", planType="team")
SHOP = list_account("cccccc", "shop", "needsLogin")


def script_accounts(*accounts: Message) -> Script:
    """Answer for these accounts: by alias, by id, and several for `ada@example.com`."""
    active = next((each["id"] for each in accounts if each["state"] == "active"), None)

    def select(params: Message) -> Answer:
        name = params["account"]
        if name is None:
            return {"selectedId": None}
        if name == "ada@example.com":
            names = tuple(each["alias"] for each in accounts)
            return Refusal(-32600, f'"{name}" may be {", ".join(names)}', "ambiguousAccount", names)
        for each in accounts:
            if name in (each["id"], each["alias"]):
                return {"selectedId": each["id"]}
        return Refusal(-32600, f'no account is called "{name}"', "noSuchAccount")

    listed = {"activeId": active, "selectedId": None, "revision": 7, "accounts": list(accounts)}
    return {"accountd/accounts/list": listed, "accountd/accounts/select": select}
