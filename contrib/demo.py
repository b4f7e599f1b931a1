"""Show accountd at work: a daemon, a sandbox in the place of the real services, logins, and a turn of a Codex.

Everything here is what a person would do at a shell and in a browser; only the person is scripted. Nothing
leaves this machine, and nothing is left on it. `make demo` runs it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

BOLD, DIM, END = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
PATIENCE = 20.0
"""Seconds for anything that this waits for; all of it takes a fraction of one."""


def main() -> int:
    """Run the demo, and give the exit status: 0 if everything went as it says."""
    with tempfile.TemporaryDirectory(prefix="accountd-demo-") as folder, open_sandbox(Path(folder)):
        say(f"A sandbox stands in for the issuer, at {os.environ['CODEX_APP_SERVER_LOGIN_ISSUER']}.")
        say(f"CODEX_HOME is {os.environ['CODEX_HOME']}, and ends with this demo.")
        with open_daemon():
            heading("Nobody is logged in yet")
            run("status", expect=3, first_line=True)
            heading("A login: type the code on any device, and approve")
            log_in("approve", expect=0)
            run("status", expect=0)
            show_credential(Path(folder))
            heading("A turn: what an editor has of `accountd app-server`")
            show_turn(folder)
            run("logout", expect=0)
            heading("A login that is cancelled: Ctrl-C, and nothing is stored")
            log_in("ctrl-c", expect=130)
            heading("A login that the person denies")
            log_in("deny", expect=1)
            run("status", expect=3, first_line=True)
    heading("Done: the daemon and the sandbox have stopped, and nothing is left of them")
    say("Next: `.venv/bin/accountd login` logs you in for real; `Use it` in README.md goes on from there.")
    return 0


@contextmanager
def open_sandbox(home: Path) -> Iterator[None]:
    """Run `accountd sandbox` for the block, in an environment that points at it."""
    command = [sys.executable, "-m", "accountd", "sandbox", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as sandbox:
        try:
            if sandbox.stdout is None:
                raise AssertionError("Popen was asked for a pipe")
            for line in sandbox.stdout:
                name, _, value = line.removeprefix("export ").strip().partition("=")
                os.environ[name] = value.strip("'\"")
            yield
        finally:
            sandbox.send_signal(signal.SIGTERM)


@contextmanager
def open_daemon() -> Iterator[None]:
    """Run `accountd serve` for the block, until it answers, and see that it stops cleanly.

    Its log is shown only if it ends otherwise: it is not what this is about.
    """
    show_command("serve &")
    daemon = subprocess.Popen([sys.executable, "-m", "accountd", "serve"], stderr=subprocess.PIPE, text=True)
    with daemon:
        try:
            if daemon.stderr is None:
                raise AssertionError("Popen was asked for a pipe")
            log = daemon.stderr.readline()
            yield
        finally:
            daemon.terminate()
            log += daemon.communicate(timeout=PATIENCE)[1]
    if daemon.returncode != 0:
        raise SystemExit(f"{log}the daemon ended with status {daemon.returncode}")


def run(*arguments: str, expect: int, first_line: bool = False) -> None:
    """Run a verb as a person would, and show it, or only what it says first."""
    show_command(*arguments)
    command = [sys.executable, "-m", "accountd", *arguments]
    pipe = subprocess.PIPE if first_line else None
    result = subprocess.run(command, timeout=PATIENCE, check=False, stdout=pipe, text=True)
    if first_line:
        print(result.stdout.partition("\n")[0], flush=True)
    check(result.returncode, expect)


def log_in(ending: str, expect: int) -> None:
    """Run `accountd login`; when it shows its code, do what the person does."""
    show_command("login")
    command = [sys.executable, "-u", "-m", "accountd", "login"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as login:
        if login.stdout is None:
            raise AssertionError("Popen was asked for a pipe")
        code = ""
        for line in login.stdout:
            print(line, end="", flush=True)
            if re.fullmatch(r"\s+\w{4}-\w{4}\s+", line):
                code = line.strip()
            if line.startswith("Waiting"):
                time.sleep(1.0)  # for the eye of whoever watches
                act(ending, code, login)
        check(login.wait(PATIENCE), expect)


def act(ending: str, code: str, login: subprocess.Popen[str]) -> None:
    """Be the person: Ctrl-C, or the page in the browser with its two forms."""
    if ending == "ctrl-c":
        print(f"{DIM}  (the person presses Ctrl-C){END}")
        login.send_signal(signal.SIGINT)
        return
    page = os.environ["CODEX_APP_SERVER_LOGIN_ISSUER"] + "/codex/device"
    print(f"{DIM}  (the person types {code} at {page} and chooses: {ending}){END}")
    submit(page, user_code=code)
    submit(page + "/decision", user_code=code, decision=ending)


def submit(url: str, **fields: str) -> None:
    """Submit a form, as a browser does."""
    with urlopen(url, data=urlencode(fields).encode(), timeout=PATIENCE) as answer:
        answer.read()


def show_credential(home: Path) -> None:
    """Show what was stored, without the secrets in it."""
    path = home / "auth.json"
    show_command(f"ls -l {path.name}, without what is secret in it", prompt="#")

    def mask(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: mask(member) for key, member in value.items()}
        return "…" if isinstance(value, str) and len(value) > 36 else value

    document = json.loads(path.read_text())
    print(f"mode {path.stat().st_mode & 0o777:o}", json.dumps(mask(document), indent=2, ensure_ascii=False))


def show_turn(folder: str) -> None:
    """Be an editor, which starts a whole app-server: say what would be needed for that if there is no codex."""
    import trio  # here, where a Ctrl-C while it is read is expected

    from accountd.errors import AgentUnavailable
    from accountd.front.program import find_program

    try:
        program = trio.run(find_program, os.environ)
    except AgentUnavailable as error:
        say(f"Left out: {error}; then run this again.")
        return
    say(f"Everything but the account is done by {program}, which is given an access token and no more.")
    show_command("app-server")
    command = [sys.executable, "-m", "accountd", "app-server"]
    environ = {**os.environ, "XDG_RUNTIME_DIR": folder}  # so that its sockets, too, end with this demo
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, stderr=null, text=True) as front:
        try:
            ask(front, "initialize", clientInfo={"name": "demo", "version": "1"})
            thread = ask(front, "thread/start", cwd=folder)["thread"]["id"]
            text = "say hello from the sandbox, by way of Codex"
            ask(front, "turn/start", threadId=thread, input=[{"type": "text", "text": text}])
            print("← ", end="")
            while (said := receive(front)).get("method") != "turn/completed":
                if said.get("method") == "item/agentMessage/delta":
                    print(said["params"]["delta"], end="", flush=True)
            print()
            if said["params"]["turn"]["status"] != "completed":
                raise SystemExit(f"the turn ended otherwise: {said['params']['turn']['error']}")
        finally:
            front.terminate()


def ask(front: subprocess.Popen[str], method: str, **params: Any) -> Any:
    """Send a request, show it, and give its result."""
    if front.stdin is None:
        raise AssertionError("Popen was asked for a pipe")
    request = json.dumps({"id": method, "method": method, "params": params})
    print(f"→ {request}", flush=True)
    front.stdin.write(f"{request}\n")
    front.stdin.flush()
    while (answer := receive(front)).get("id") != method:
        pass
    if "error" in answer:
        raise SystemExit(f"{method}: {answer['error']['message']}")
    return answer["result"]


def receive(front: subprocess.Popen[str]) -> Any:
    """Give the next message of a front."""
    if front.stdout is None:
        raise AssertionError("Popen was asked for a pipe")
    line = front.stdout.readline()
    if not line:
        raise SystemExit("accountd app-server has ended")
    return json.loads(line)


def heading(text: str) -> None:
    """Begin a part."""
    print(f"\n{BOLD}{text}{END}", flush=True)


def say(text: str) -> None:
    """Say what is going on."""
    print(text, flush=True)


def show_command(*arguments: str, prompt: str = "$ accountd") -> None:
    """Show what would be typed."""
    print(f"{BOLD}{prompt} {' '.join(arguments)}{END}", flush=True)


def check(got: int, expected: int) -> None:
    """Stop if a command did not end as it should."""
    print(f"{DIM}exit status {got}{END}", flush=True)
    if got != expected:
        raise SystemExit(f"expected exit status {expected}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nInterrupted: the daemon and the sandbox have stopped, and nothing is left of them")
        sys.exit(130)
