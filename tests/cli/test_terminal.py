"""What a person sees on a real terminal, and what Ctrl-C does: the verbs as processes on a pseudo-terminal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fakes.app_server import LOGIN_ID, STARTED, Answer, AppServer, Message, Refusal, Script, Then, begin, completed

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.terminal import Terminal

pytestmark = pytest.mark.process

WHO: Script = {
    "account/read": {"account": {"type": "chatgpt", "email": "dev@example.com", "planType": "pro"}},
    "getAuthStatus": {"authMethod": "chatgpt"},
}
COMPLETED = completed()
PAGE = {"type": "chatgpt", "loginId": LOGIN_ID, "authUrl": "https://auth.example.com/oauth/authorize?state=s"}
CALLBACK = "http://127.0.0.1:1455/auth/callback?code=c&state=s"
NOT_COMPLETED = completed("Login was not completed")


def test_the_time_left_is_rewritten_in_place(path: Path, run: type[Terminal]) -> None:
    """On a terminal one line counts down each second; it is gone when the login is complete."""
    with AppServer(path, {"account/login/start": begin(STARTED), **WHO}) as server:
        terminal = run("login")
        terminal.wait_for("\rWaiting for approval · 15:00 left · Ctrl-C cancels")
        terminal.wait_for("\rWaiting for approval · 14:59 left · Ctrl-C cancels")
        server.notify(*COMPLETED)
        assert terminal.wait() == 0
    last = terminal.screen.rstrip().rpartition("\r")[2]
    assert last == "Logged in with ChatGPT as dev@example.com."
    assert "\x1b" not in terminal.screen


def test_an_issuer_that_is_not_reached_is_told_in_place(path: Path, run: type[Terminal]) -> None:
    """The line says what is waited for: the person, the issuer, or the end."""
    with AppServer(path, {"account/login/start": begin(STARTED), **WHO}) as server:
        terminal = run("login")
        terminal.wait_for("\rWaiting for approval")
        step = {"loginId": LOGIN_ID, "state": "waiting", "retries": 1, "retryCause": "no route"}
        server.notify("account/login/progress", step)
        terminal.wait_for("\rThe issuer tells nothing yet · ")
        server.notify("account/login/progress", {**step, "state": "exchanging", "retries": 0})
        terminal.wait_for("\rApproved; finishing · ")
        server.notify(*COMPLETED)
        assert terminal.wait() == 0


def test_ctrl_c_cancels_the_login(path: Path, run: type[Terminal]) -> None:
    """Ctrl-C cancels by the login's id, waits for its completion, says so, and is exit code 130."""
    cancelled = Then({"status": "canceled"}, (NOT_COMPLETED,))
    with AppServer(path, {"account/login/start": begin(STARTED), "account/login/cancel": cancelled}) as server:
        terminal = run("login")
        terminal.wait_for("15:00 left")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert server.params("account/login/cancel") == {"loginId": LOGIN_ID}
    assert terminal.screen.rstrip().rpartition("\r")[2] == "Login cancelled."
    assert "Traceback" not in terminal.screen


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (
            Then({"status": "notFound"}, (COMPLETED,)),
            0,
            "Too late to cancel: the login was already complete.\nLogged in with ChatGPT as dev@example.com.",
        ),
        (
            Then({"status": "notFound"}, (completed("code expired"),)),
            130,
            "accountd: the login failed: code expired",
        ),
        (Refusal(-32603, "oops"), 1, "accountd: oops"),
    ],
    ids=["complete", "failed", "refused"],
)
def test_a_cancel_that_ends_otherwise_says_how(
    answer: Answer, code: int, told: str, path: Path, run: type[Terminal]
) -> None:
    """It came too late, for a login that was complete or had failed, with the signal's exit code; or is refused."""
    with AppServer(path, {"account/login/start": begin(STARTED), "account/login/cancel": answer, **WHO}):
        terminal = run("login")
        terminal.wait_for("15:00 left")
        terminal.type("\x03")
        assert terminal.wait() == code
    assert all(line in terminal.screen for line in told.splitlines())


def test_a_second_ctrl_c_leaves_at_once(path: Path, run: type[Terminal]) -> None:
    """When the daemon does not answer the cancel, another Ctrl-C ends the command and says what is unknown."""
    with AppServer(path, {"account/login/start": begin(STARTED), "account/login/cancel": None}) as server:
        terminal = run("login")
        terminal.wait_for("15:00 left")
        terminal.type("\x03")
        server.wait_for("account/login/cancel")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert "see `accountd status` for what\r\n  became of the login" in terminal.screen


def test_ctrl_c_after_the_login_is_complete(path: Path, run: type[Terminal]) -> None:
    """While the daemon looks up whose login it is, Ctrl-C ends the wait, and the login is told as complete."""
    script: Script = {"account/login/start": begin(STARTED, COMPLETED), "account/read": None}
    with AppServer(path, script) as server:
        terminal = run("login")
        server.wait_for("account/read")
        terminal.type("\x03")
        assert terminal.wait() == 0
    assert "Logged in with ChatGPT (workspace details are unavailable: not waited for)." in terminal.screen


@pytest.mark.parametrize("is_answered", [False, True])
def test_ctrl_c_before_there_is_a_code(is_answered: bool, path: Path, run: type[Terminal]) -> None:
    """While the code is being fetched, Ctrl-C cancels too: a login that begins after all is cancelled by its id."""
    cancelled = Then({"status": "canceled"}, (NOT_COMPLETED,))
    script: Script = {"account/login/start": None, "account/login/cancel": cancelled}
    answer = json.dumps({"id": 4, "result": STARTED}).encode() + b"\n"
    with AppServer(path, script) as server:
        terminal = run("login")
        server.wait_for("account/login/start")
        if is_answered:  # and nothing is told of it yet
            server.send(answer)
        terminal.type("\x03")
        terminal.wait_for("^C")  # it is echoed when the signal is sent
        if not is_answered:
            server.send(answer)
        assert terminal.wait() == 130
        assert server.params("account/login/cancel") == {"loginId": LOGIN_ID}
    assert "Login cancelled." in terminal.screen


def test_an_address_is_pasted(path: Path, run: type[Terminal]) -> None:
    """A wrong paste says why and asks again, an empty line asks again; the right one completes the login."""

    def take(params: Message) -> Answer:
        right = params == {"loginId": LOGIN_ID, "callbackUrl": CALLBACK}
        return Then({}, (COMPLETED,)) if right else Refusal(-32600, "This is not the address that it ends with.")

    script: Script = {"account/login/start": begin(PAGE), "account/login/submitCallback": take, **WHO}
    with AppServer(path, script) as server:
        terminal = run("login", "--browser")
        terminal.wait_for("paste the address it ends on here:\r\n> ")
        terminal.type("http://example.com/\n")
        terminal.wait_for("accountd: This is not the address that it ends with.\r\n> ")
        terminal.type("\n")
        terminal.wait_for("\r\n> \r\n> ")
        terminal.type(f"  {CALLBACK} \n")
        assert terminal.wait() == 0
    assert server.methods.count("account/login/submitCallback") == 2
    assert terminal.screen.endswith(
        f"{CALLBACK} \r\nThank you. The login is being finished.\r\nLogged in with ChatGPT as dev@example.com.\r\n"
    )
    assert terminal.screen.count("code=c") == 1
    assert "at most 10 minutes; Ctrl-C cancels." in terminal.screen


def test_ctrl_c_while_an_address_is_typed(path: Path, run: type[Terminal]) -> None:
    """Ctrl-C in the middle of a line cancels as it does elsewhere, and what was typed goes nowhere."""
    cancelled = Then({"status": "canceled"}, (NOT_COMPLETED,))
    with AppServer(path, {"account/login/start": begin(PAGE), "account/login/cancel": cancelled}) as server:
        terminal = run("login", "--browser")
        terminal.wait_for("> ")
        terminal.type("http://127.0.")
        terminal.wait_for("http://127.0.")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert server.methods == [
        "accountd/status",
        "accountd/accounts/list",
        "account/login/start",
        "account/login/cancel",
    ]
    assert terminal.screen.endswith("> http://127.0.^C\r\nLogin cancelled.\r\n")


def test_ctrl_c_while_an_address_is_looked_at(path: Path, run: type[Terminal]) -> None:
    """A daemon that does not answer the paste does not keep Ctrl-C from cancelling."""
    cancelled = Then({"status": "canceled"}, (NOT_COMPLETED,))
    script: Script = {"account/login/submitCallback": None, "account/login/cancel": cancelled}
    with AppServer(path, {"account/login/start": begin(PAGE), **script}) as server:
        terminal = run("login", "--browser")
        terminal.wait_for("> ")
        terminal.type(f"{CALLBACK}\n")
        server.wait_for("account/login/submitCallback")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert "Login cancelled." in terminal.screen


@pytest.mark.parametrize(("error", "code"), [(None, 0), ("Login timed out", 1)])
def test_a_login_ends_while_an_address_is_typed(
    path: Path, run: type[Terminal], error: str | None, code: int
) -> None:
    """The end is told on a line of its own, and what was typed is not left for the shell."""
    with AppServer(path, {"account/login/start": begin(PAGE), **WHO}) as server:
        terminal = run("login", "--browser")
        terminal.wait_for("> ")
        terminal.type("rm -r")
        terminal.wait_for("rm -r")
        server.notify(*completed(error))
        assert terminal.wait() == code
    last = "accountd: the login failed: Login timed out" if error else "Logged in with ChatGPT as dev@example.com."
    assert terminal.screen.endswith(f"> rm -r\r\n{last}\r\n")


def test_a_person_who_has_nothing_to_paste(path: Path, run: type[Terminal]) -> None:
    """Ctrl-D at the prompt ends the asking; the login goes on."""
    with AppServer(path, {"account/login/start": begin(PAGE), **WHO}) as server:
        terminal = run("login", "--browser")
        terminal.wait_for("> ")
        terminal.type("\x04too late\n")
        terminal.wait_for("too late")
        server.notify(*COMPLETED)
        assert terminal.wait() == 0
        assert server.methods[2] == "account/login/start"
        assert "account/login/submitCallback" not in server.methods


def test_json_asks_for_nothing(path: Path, run: type[Terminal]) -> None:
    """With --json there is no prompt, on a terminal either."""
    with AppServer(path, {"account/login/start": begin(PAGE), **WHO}) as server:
        terminal = run("login", "--browser", "--json")
        terminal.wait_for("}\r\n")
        terminal.type(f"{CALLBACK}\n")
        terminal.wait_for(CALLBACK)
        server.notify(*COMPLETED)
        assert terminal.wait() == 0
        assert "account/login/submitCallback" not in server.methods
    assert "> " not in terminal.screen


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_sigterm_cancels_as_well(path: Path, arguments: list[str]) -> None:
    """SIGTERM, without a terminal, cancels in the same way; exit code 143."""
    cancelled = Then({"status": "canceled"}, (NOT_COMPLETED,))
    with AppServer(path, {"account/login/start": begin(STARTED), "account/login/cancel": cancelled}) as server:
        command = [sys.executable, "-m", "accountd", "login", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()  # what is printed can be read while it waits
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
        assert process.returncode == 143
        assert server.params("account/login/cancel") == {"loginId": LOGIN_ID}
    if arguments:
        assert json.loads(first)["event"] == "started"
        assert json.loads(rest) == {"event": "cancelled"}
    else:
        assert rest.endswith("\nLogin cancelled.\n")


def test_a_key_is_asked_for_without_showing_it(path: Path, run: type[Terminal]) -> None:
    """On a terminal the key is asked for with the echo off; it reaches the daemon and not the screen."""
    script: Script = {
        "account/login/start": {"type": "apiKey"},
        "account/read": {"account": {"type": "apiKey"}},
        "getAuthStatus": {"authMethod": "apikey"},
    }
    with AppServer(path, script) as server:
        terminal = run("login", "--with-api-key")
        terminal.wait_for("OpenAI API key (is not shown): ")
        assert not terminal.echoes()
        terminal.type("sk-secret-1\n")
        assert terminal.wait() == 0
        assert server.params("account/login/start") == {"type": "apiKey", "apiKey": "sk-secret-1"}
    assert "Logged in with an API key." in terminal.screen
    assert "sk-secret-1" not in terminal.screen


@pytest.mark.parametrize(("keys", "code"), [("\x04", 2), ("\n", 2), ("\x03", 130)])
def test_no_key_is_typed(run: type[Terminal], keys: str, code: int) -> None:
    """The end of input and an empty line are a wrong command line; Ctrl-C leaves; no daemon is asked."""
    terminal = run("login", "--with-api-key")
    terminal.wait_for("(is not shown): ")
    terminal.type(keys)
    assert terminal.wait() == code
    assert "Traceback" not in terminal.screen
    assert terminal.screen.partition("(is not shown): ")[2].startswith("\r\n")
    assert terminal.screen.endswith("\r\n")


def test_what_ctrl_c_leaves_going_on_is_said(path: Path, run: type[Terminal]) -> None:
    """The daemon goes on with a logout that nobody waits for any more."""
    with AppServer(path, {"account/logout": None}) as server:
        terminal = run("logout", columns=40)
        server.wait_for("account/logout")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert terminal.screen.replace("^C", "").strip().splitlines() == [
        "accountd: the daemon goes on with the",
        "  logout; `accountd status` says what",
        "  became of it",
    ]


def test_a_sentence_is_folded(path: Path, run: type[Terminal]) -> None:
    """What a verb says for a person fits the terminal, whatever stream it is on."""
    terminal = run("stop", columns=40)
    assert terminal.wait() == 0
    assert terminal.screen.splitlines() == ["No daemon listens on", f"{path}."]


@pytest.mark.parametrize("arguments", [["help", "login"], ["help"], ["statsu"], ["status", "--jsno"]])
def test_help_fits_a_narrow_terminal(arguments: list[str], run: type[Terminal]) -> None:
    """Paragraphs, options and errors are folded at words; only tables and examples keep their lines."""
    terminal = run(*arguments, columns=40)
    terminal.wait()
    lines = terminal.screen.splitlines()
    assert len(lines) > 1
    assert [line for line in lines if len(line) > 40 and not line.startswith("  ")] == []
