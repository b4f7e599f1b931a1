"""The schema and the types, read by the tools that authors of clients have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.cli import exits, main
from accountd.protocol.schema import BUNDLE, render_files
from accountd.protocol.schema.typescript import render_type_files

if TYPE_CHECKING:
    from typescript.conftest import Tools

pytestmark = pytest.mark.timeout(600)  # the first of these tests fetches the tools

STRICT = ("--noEmit", "--strict", "--target", "es2022", "--module", "nodenext")
HERE = Path(__file__).parent


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    """Write the folder of the schema."""
    assert main(["schema", "--out", str(tmp_path / "schema")]) == exits.OK
    return tmp_path / "schema"


def test_ajv_takes_every_file_in_strict_mode(schema: Path, tools: Tools) -> None:
    """There is no keyword and no format that draft-07 does not have."""
    said = tools.run("node", HERE / "compile_all.mjs", schema, tools.packages)
    assert said == f"{len(render_files())} files\n"


def test_json2ts_makes_all_types_without_flags(schema: Path, tools: Tools, tmp_path: Path) -> None:
    """From the one file as from the folder: every definition is reached, and none is numbered."""
    tools.run("json2ts", "-i", schema / BUNDLE, "-o", tmp_path / "all.ts")
    types = (tmp_path / "all.ts").read_text()
    named = re.findall(r"(?m)^export (?:interface|type) (\w+)", types)
    assert {"Methods", "Notifications", "ServerRequests", "ClientRequest", "GetAccountResponse"} <= {*named}
    assert [name for name in named if re.search(r"\d$", name)] == []
    tools.run("json2ts", "-i", f"{schema}/**/*.json", "-o", tmp_path / "each")
    assert len([*(tmp_path / "each").iterdir()]) == len(render_files())


USE = """
import type { ClientRequest, Methods, Notifications, ServerNotification, ServerRequests } from "./accountd.js";

type Call<M extends keyof Methods> = Methods[M];
declare function call<M extends keyof Methods>(method: M, params?: Call<M>["params"]): Promise<Call<M>["result"]>;
const { account } = await call("account/read", {});
if (account?.type === "chatgpt") console.log(account.email?.length, account.planType);
await call("account/logout");
// @ts-expect-error there is no such member
(await call("account/read", {})).token;
// @ts-expect-error there is no such method
await call("account/reed", {});
// @ts-expect-error params are of another type
await call("account/login/cancel", { loginId: 1 });
const request: ClientRequest = { id: 1, method: "account/login/start", params: { type: "chatgptDeviceCode" } };
const told: Notifications["account/updated"] = { authMode: null, planType: null, reason: null };
type Asked = ServerRequests["account/chatgptAuthTokens/refresh"];
const asked: Asked["params"] = { reason: "unauthorized", previousAccountId: null };
export const hear = (message: ServerNotification) =>
  message.method === "account/login/completed" ? message.params.success : [request, told, asked];
"""


def test_the_one_file_of_types_is_strict(tools: Tools, tmp_path: Path) -> None:
    """From a method follow the types of its params and its result; what is wrong is an error."""
    assert main(["schema", "--ts", str(tmp_path / "accountd.ts")]) == exits.OK
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "use.ts").write_text(USE)
    assert tools.run("tsc", *STRICT, "--types", "", "use.ts", cwd=tmp_path) == ""


def test_the_folder_of_types_is_strict(tools: Tools, tmp_path: Path) -> None:
    """What `generate-ts` writes without a Codex has every type that it refers to."""
    for path, text in render_type_files().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert tools.run("tsc", "--noEmit", "--strict", "--types", "", "index.ts", cwd=tmp_path) == ""
