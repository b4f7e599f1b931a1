"""The verbs against the real daemon, which they start by themselves, and the sandbox as its issuer."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import pty
import select
import shlex
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd.client.blocking import Client
from fakes.processes import PORTS, daemon_pid, run_verb
from fakes.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the daemon's pid as Linux tells it")

Environ = dict[str, str]


@pytest.fixture
def sandbox(environ: Environ) -> Iterator[Callable[..., Environ]]:
    """Start a sandbox with these options, and give the environment in which it is the issuer."""
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> Environ:
            command = [sys.executable, "-m", "accountd", "sandbox", *options]
            process = stack.enter_context(
                subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            )
            stack.callback(process.terminate)
            assert process.stdout is not None
            found: Environ = {}
            while "ACCOUNTD_SANDBOX_PID" not in found:
                line = process.stdout.readline()
                assert line, "the sandbox did not start"
                name, _, value = line.removeprefix("export ").strip().partition("=")
                found[name] = shlex.split(value)[0]
            own = {name: environ[name] for name in ("ACCOUNTD_SOCKET",)}
            return {**environ, **found, **own}

        yield start


def test_a_login_from_its_code_to_its_logout(sandbox: Callable[..., Environ]) -> None:
    """The first verb starts the daemon; a code is approved; all verbs agree who is logged in, until nobody is."""
    environ = sandbox("--approve-after", "0")
    assert run_verb(environ, "status", "--no-start").returncode == 5
    login = run_verb(environ, "login")
    assert (login.returncode, login.stderr) == (0, "")
    last = login.stdout.splitlines()[-1]
    assert last.startswith("Logged in with ChatGPT as ")
    assert run_verb(environ, "status", "--no-start").stdout.splitlines()[0] == last
    status = json.loads(run_verb(environ, "status", "--json").stdout)
    assert (status["loggedIn"], status["codexHome"]) == (True, environ["CODEX_HOME"])
    assert run_verb(environ, "logout").stdout == "Logged out.\n"
    assert run_verb(environ, "status").returncode == 3


def test_a_person_at_a_terminal(sandbox: Callable[..., Environ]) -> None:
    """The page as a picture, the code through the terminal to its clipboard; then bars for what is used."""
    environ = sandbox("--approve-after", "0")
    assert run_verb(environ, "usage").returncode == 3
    for arguments, environment, words in [
        (["login", "--qr", "--copy"], {"NO_COLOR": "", "SSH_TTY": "/dev/pts/1", "TMUX": "", "STY": ""}, "▀▀▀▀▀▀▀"),
        (["usage"], {}, f"  5 hours  {'█' * 8}{'░' * 11}  42% used\r\n"),
    ]:
        terminal = Terminal(*arguments, columns=40, **{**environ, **environment})
        try:
            assert terminal.wait() == 0
        finally:
            terminal.close()
        assert words in terminal.screen
        assert ("\x1b]52;c;" in terminal.screen) is ("--copy" in arguments)
    lines = run_verb(environ, "usage").stdout.splitlines()
    assert [line.partition(", resets")[0] for line in lines[:2]] == [
        "codex primary 42% used, window 300 min",
        "codex secondary 7% used, window 10080 min",
    ]
    assert run_verb(environ, "login", "--with-api-key", stdin="sk-1\n").returncode == 0
    refused = run_verb(environ, "usage")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.endswith(" (active): chatgpt authentication required to read rate limits\n")  # the key


def write_browser(environ: Environ, lines: str) -> Environ:
    """Let BROWSER be a program that is run with the address as `url`, and without a proxy on its way."""
    script = Path(environ["HOME"]) / "browser"
    script.write_text(f"#!{sys.executable}\nimport os, sys, urllib.request\nurl = sys.argv[1]\n{lines}")
    script.chmod(0o700)
    return {**environ, "BROWSER": str(script), "NO_PROXY": "*"}


def test_a_login_in_a_browser(sandbox: Callable[..., Environ], loopback: None) -> None:
    """The browser that is opened comes back to the daemon, sees the page of success, and the login is complete."""
    environ = sandbox("--authorize", "approve")
    seen = Path(environ["HOME"]) / "seen"
    environ = write_browser(
        environ,
        "with urllib.request.urlopen(url) as page:\n"
        f"    open({str(seen)!r}, 'w').write(page.url + chr(10) + page.read().decode())\n",
    )
    login = run_verb(environ, "login", "--browser")
    assert (login.returncode, login.stderr) == (0, "")
    last = login.stdout.splitlines()[-1]
    assert last.startswith("Logged in with ChatGPT as ")
    assert run_verb(environ, "status", "--no-start").stdout.splitlines()[0] == last
    deadline = time.monotonic() + 10
    while not seen.exists() or "</html>" not in seen.read_text():
        assert time.monotonic() < deadline, "the browser saw no page"
        time.sleep(0.01)
    assert seen.read_text().partition("\n")[0] in [f"http://127.0.0.1:{port}/success" for port in PORTS]


def test_a_login_whose_client_is_killed(sandbox: Callable[..., Environ], loopback: None) -> None:
    """The login is the daemon's: the browser still comes back to it when nobody waits any more."""
    environ = sandbox("--authorize", "approve")
    address = Path(environ["HOME"]) / "address"
    environ = write_browser(
        environ,
        f"with open({str(address)!r} + '.part', 'w') as file: file.write(url)\n"
        f"os.rename({str(address)!r} + '.part', {str(address)!r})\n",
    )
    command = [sys.executable, "-m", "accountd", "login", "--browser"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 10
        while not address.exists():
            assert time.monotonic() < deadline, "no browser was opened"
            time.sleep(0.01)
        process.kill()
    assert run_verb(environ, "status", "--no-start").returncode == 3
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(address.read_text(), timeout=10) as page:
        assert page.url in [f"http://127.0.0.1:{port}/success" for port in PORTS]
    assert run_verb(environ, "status", "--no-start").stdout.startswith("Logged in with ChatGPT as ")


def test_a_login_by_paste(sandbox: Callable[..., Environ], loopback: None) -> None:
    """A browser that cannot reach this machine ends on an address, which is pasted; the code in it is in no log."""
    environ = sandbox("--authorize", "approve")
    location = Path(environ["HOME"]) / "location"
    environ = write_browser(
        environ,
        "class Stay(urllib.request.HTTPRedirectHandler):\n"
        "    def redirect_request(self, *_): pass\n"
        "try: urllib.request.build_opener(Stay).open(url)\n"
        "except urllib.error.HTTPError as answer:\n"
        f"    with open({str(location)!r} + '.part', 'w') as file: file.write(answer.headers['Location'])\n"
        f"    os.rename({str(location)!r} + '.part', {str(location)!r})\n",
    )
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "accountd", "login", "--browser"]
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, master)
        process = stack.enter_context(
            subprocess.Popen(command, env=environ, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        )
        stack.callback(process.kill)
        os.close(slave)
        screen = read_until(master, "> ")
        deadline = time.monotonic() + 10
        while not location.exists():
            assert time.monotonic() < deadline, "the browser was not sent anywhere"
            time.sleep(0.01)
        pasted = location.read_text()
        os.write(master, f"{pasted.replace('state=', 'state=x')}\n".encode())
        screen += read_until(master, "/auth/callback?\r\n> ")
        assert "This address belongs to another login" in screen
        os.write(master, f"{pasted}\n".encode())
        screen += read_until(master, "Logged in with ChatGPT as ")
        assert process.wait(10) == 0
    code = pasted.partition("code=")[2].partition("&")[0]
    log = (Path(environ["CODEX_HOME"]) / "log" / "accountd.log").read_text()
    assert len(code) > 10
    assert (screen.count(code), code in log) == (2, False)


def read_until(terminal: int, text: str) -> str:
    """Read what is on a terminal, up to this text at least; fail after ten seconds."""
    screen, decoder = "", codecs.getincrementaldecoder("utf-8")()  # a character may come in two pieces
    while text not in screen:
        assert select.select([terminal], [], [], 10)[0], f"no {text!r} on the screen: {screen!r}"
        try:
            screen += decoder.decode(os.read(terminal, 65536))
        except OSError:  # Linux's way to say that the other side is closed
            pytest.fail(f"no {text!r} on the screen: {screen!r}")
    return screen


def test_sigterm_cancels_a_login_that_waits(sandbox: Callable[..., Environ]) -> None:
    """The daemon answers the cancel of a waiting login, and nobody is logged in."""
    environ = sandbox()
    command = [sys.executable, "-m", "accountd", "login", "--json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "started"
        process.terminate()
        assert json.loads(process.stdout.read()) == {"event": "cancelled"}
    assert process.returncode == 143
    assert run_verb(environ, "status").returncode == 3


def call_sandbox(environ: Environ, path: str, body: object = None) -> Any:
    """Ask the sandbox for something, or tell it, with a body."""
    url = f"{environ['CODEX_APP_SERVER_LOGIN_ISSUER']}{path}"
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data), timeout=10) as answer:
        return json.load(answer)


def test_a_token_from_its_login_to_its_refusal(sandbox: Callable[..., Environ]) -> None:
    """The same token in every form, a new one only on need; then a login that is refused is told by all verbs."""
    environ = sandbox("--approve-after", "0")
    nobody = run_verb(environ, "token")
    assert (nobody.returncode, nobody.stdout) == (3, "")
    assert nobody.stderr == "accountd: not logged in. Log in with `accountd login`.\n"
    assert run_verb(environ, "login").returncode == 0

    token = json.loads(run_verb(environ, "token", "--format", "json").stdout)
    assert (token["authMode"], token["chatgptAccountId"]) == ("chatgpt", "account-sandbox")
    assert 3000 < token["expiresAt"] - time.time() <= 3600
    raw, env = run_verb(environ, "token").stdout, run_verb(environ, "token", "--format", "env").stdout
    assert raw == f"{token['token']}\n"
    assert env == f"export CHATGPT_ACCESS_TOKEN={raw}export CHATGPT_ACCOUNT_ID=account-sandbox\n"
    call_sandbox(environ, "/sandbox/script", {"token_lifetime": 7200})
    assert run_verb(environ, "token", "--min-valid", "50m").stdout == raw
    newer = run_verb(environ, "token", "--min-valid", "90m")
    assert (newer.returncode, newer.stdout != raw) == (0, True)
    too_long = run_verb(environ, "token", "--min-valid", "3h")
    assert (too_long.returncode, too_long.stdout) == (1, "")
    assert "no token can be had that is good for 10800 s" in too_long.stderr

    fault = {"path": "/oauth/token", "nth": 1, "status": 401}
    call_sandbox(environ, "/sandbox/script", {"faults": [fault]})
    with Client(environ["ACCOUNTD_SOCKET"]) as client:
        client.read_account(refresh=True)  # which a token that has just been issued is not by itself
    for min_valid in ("3h", "0"):
        refused = run_verb(environ, "token", "--min-valid", min_valid)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (4, "", 1)
        assert refused.stderr.startswith(
            "accountd: not logged in: the login that is stored here is no longer accepted ("
        )
    status = run_verb(environ, "status", "--json")
    assert status.returncode == 4
    assert {"loggedIn": False, "needsLogin": True}.items() <= json.loads(status.stdout).items()
    assert run_verb(environ, "login").returncode == 0
    assert run_verb(environ, "status").returncode == 0
    log = (Path(environ["CODEX_HOME"]) / "log" / "accountd.log").read_text()
    assert raw.strip() not in log


@pytest.mark.parametrize(("option", "revoked"), [([], True), (["--forget"], False)])
def test_a_login_that_is_forgotten_is_not_revoked(
    sandbox: Callable[..., Environ], option: list[str], revoked: bool
) -> None:
    """A logout tells the issuer, and with `--forget` it does not; either way nobody is logged in here."""
    environ = sandbox("--approve-after", "0")
    assert run_verb(environ, "login").returncode == 0
    logout = run_verb(environ, "logout", *option)
    assert (logout.returncode, logout.stderr) == (0, "")
    assert ("not revoked" in logout.stdout) is not revoked
    asked = [request["path"] for request in call_sandbox(environ, "/sandbox/requests")]
    assert ("/oauth/revoke" in asked) is revoked
    assert run_verb(environ, "status").returncode == run_verb(environ, "token").returncode == 3
    assert not (Path(environ["CODEX_HOME"]) / "auth.json").exists()


def test_a_key_logs_in(environ: Environ) -> None:
    """An API key from stdin is stored, and is nowhere but in what `token` prints: not in the daemon's log."""
    login = run_verb(environ, "login", "--with-api-key", stdin="sk-secret-1\n")
    assert (login.returncode, login.stdout) == (0, "Logged in with an API key.\n")
    status = run_verb(environ, "status", "--json")
    assert json.loads(status.stdout)["authMode"] == "apikey"
    assert run_verb(environ, "token", "--min-valid", "24h", "--format", "header").stdout == (
        "Authorization: Bearer sk-secret-1\n"
    )
    log = (Path(environ["CODEX_HOME"]) / "log" / "accountd.log").read_text()
    assert "sk-secret-1" not in login.stdout + login.stderr + status.stdout + log


def test_verbs_at_the_same_time_share_one_daemon(environ: Environ) -> None:
    """Three verbs that find nothing all get their answer, from one daemon."""
    command = [sys.executable, "-m", "accountd", "status"]
    verbs = [subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [verb.wait(30) for verb in verbs] == [3, 3, 3]
    log = (Path(environ["CODEX_HOME"]) / "log" / "accountd.log").read_text()
    assert log.count("serving") == 1


def test_a_second_daemon_on_the_socket_says_so(environ: Environ) -> None:
    """`accountd serve` where one runs already is one line and exit code 1; the first goes on."""
    run_verb(environ, "status")
    pid = daemon_pid(environ["ACCOUNTD_SOCKET"])
    second = run_verb(environ, "serve")
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "already in use" in second.stderr
    assert daemon_pid(environ["ACCOUNTD_SOCKET"]) == pid


def test_a_configuration_that_cannot_be_used_is_named(environ: Environ) -> None:
    """The error that keeps the daemon from starting reaches the person in one line, with file, line and key."""
    home = Path(environ["CODEX_HOME"])
    home.mkdir()
    (home / "config.toml").write_text('\nforced_login_method = "magic"\n')
    done = run_verb(environ, "status")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1)
    assert f"{home}/config.toml:2: forced_login_method must be one of" in done.stderr


def test_a_home_and_a_work_account(sandbox: Callable[..., Environ], tmp_path: Path) -> None:
    """Added, pinned, meant by a command and by a client that knows nothing of it, switched, logged out."""
    environ = sandbox("--approve-after", "0")

    def verb(*arguments: str, code: int = 0, **more: str) -> str:
        done = run_verb({**environ, **more}, *arguments)
        assert done.returncode == code, done
        return done.stdout

    def be(name: str) -> None:
        claims = {"email": "ada@example.com", "user_id": "user-ada", "account_id": f"ws-{name}"}
        claims["workspace_name"] = name.capitalize()
        script = json.dumps({"claims": claims}).encode()
        urllib.request.urlopen(f"{environ['CODEX_APP_SERVER_LOGIN_ISSUER']}/sandbox/script", script).close()

    be("home")
    verb("login")
    assert "Here:" in verb("accounts")
    be("work")
    told = verb("login", "--keep-active", "--as", "work")
    assert told.splitlines()[-1] == "It is kept as `work`; `accountd switch work` has it in use."
    be("home")
    listed = json.loads(verb("accounts", "--json", "--refresh"))
    assert listed["accounts"][0]["workspace"]["name"] == "Home"
    verb("accounts", "rename", "ada@example.com/Home", "home")
    listed = json.loads(verb("accounts", "--json"))
    home, work = listed["accounts"]
    assert (listed["activeId"], home["alias"], work["state"]) == (home["id"], "home", "stored")
    verb("status", "--account", "ada@example.com", code=6)

    folder = tmp_path / "acme"
    (folder / "shop").mkdir(parents=True)
    verb("accounts", "pin", "work", str(folder))
    there = [
        "sh",
        "-c",
        f'cd "$0" && exec "{sys.executable}" -m accountd token --format json',
        str(folder / "shop"),
    ]
    token = json.loads(subprocess.run(there, env=environ, capture_output=True, check=True).stdout)
    assert (token["accountId"], token["chatgptAccountId"]) == (work["id"], "ws-work")
    token = json.loads(verb("token", "--format", "json"))
    assert (token["accountId"], token["chatgptAccountId"]) == (home["id"], "ws-home")
    every = json.loads(verb("usage", "--all", "--json"))["accounts"]
    assert [(each["id"], each["error"]) for each in every] == [(home["id"], None), (work["id"], None)]
    asked = [
        {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "stock", "version": "1"}}},
        {"id": 2, "method": "account/read", "params": {}},
    ]
    lines = "".join(f"{json.dumps(message)}\n" for message in asked)
    told = run_verb({**environ, "ACCOUNTD_ACCOUNT": "work"}, "connect", stdin=lines).stdout
    assert json.loads(told.splitlines()[-1])["result"]["workspaceRouting"]["chatgptAccountId"] == "ws-work"

    path = environ["ACCOUNTD_SOCKET"]
    with Client(path), Client(path) as bound:  # the first follows whichever is active
        bound.select_account("home")
        told = verb("switch", "work")
    assert told == "Now in use: ada@example.com in Work (plus), as `work`. 1 connected client has been told.\n"
    assert json.loads(verb("status", "--json"))["account"]["because"] == "active"
    be("home")  # who is anybody else than work
    verb("login", "--account", "work", code=1)
    assert verb("logout", "--account", "home").startswith("Logged out. It was ada@example.com in Home, home")
    assert verb("logout") == "Logged out.\n"
    verb("status", code=3)
    assert verb("accounts").startswith("There is no account.")
