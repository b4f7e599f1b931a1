"""The browser of the person who runs a verb: whether there is one to open, and opening it.

There is no way to hand over the address but the browser's argv, which other users of this machine may be able to
read while it runs. Who reads it learns no token, but knows the login's `state`: they could approve the login with
an account of their own. `--no-browser` keeps the address out of any argv.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, NamedTuple

from accountd.errors import describe_foreign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_USUAL: Final = ("xdg-open", "x-www-browser", "firefox", "chromium", "google-chrome")
_GRAPHICAL: Final = {*_USUAL, "open", "firefox-esr", "chromium-browser", "google-chrome-stable", "sensible-browser"}
"""Programs that need a display before the person."""

_IN_THE_TERMINAL: Final = {"elinks", "links", "lynx", "w3m", "www-browser"}
"""Browsers that need the terminal, which is in use."""

_ADDRESS: Final = re.compile(r"https?://[!-~]+")
"""What is opened: so it is no option, no file, and no other program's scheme."""


class Browser(NamedTuple):
    """A command. `%s` in its words is where the address goes; without one it goes to the end."""

    words: tuple[str, ...]


class NoBrowser(NamedTuple):
    """There is none to open, and `reason` says why, as a part of a sentence."""

    reason: str


def choose_browser(environ: Mapping[str, str], platform: str = sys.platform) -> Browser | NoBrowser:
    """Find the browser that this environment means, without starting anything.

    `BROWSER` is a list of commands with os.pathsep between them, of which the first that can be used is taken;
    empty, or `none`, it means that there is none. In a remote session it may name a program that opens the page at
    the other end, as editors have it; well-known browsers are not opened there, nor without a display.
    """
    hindrance = _find_hindrance(environ, platform)
    if "BROWSER" in environ:
        return _choose_named(environ["BROWSER"], hindrance, environ)
    wsl = "WSL_DISTRO_NAME" in environ or "WSL_INTEROP" in environ
    if wsl and not _is_remote(environ) and (browser := _find(["wslview"], environ)):
        return browser
    if hindrance:
        return NoBrowser(hindrance)
    return _find(["open"] if platform == "darwin" else _USUAL, environ) or NoBrowser("none was found here")


def open_browser(browser: Browser, url: str, environ: Mapping[str, str]) -> NoBrowser | None:
    """Start the browser on an address, in a session of its own and with nothing to write to; do not wait for it.

    Returns the reason if it could not be started. That it was started does not mean that a page is to be seen.
    """
    if not _ADDRESS.fullmatch(url):
        return NoBrowser("this is no address for a browser")
    words = [word.replace("%s", url) for word in browser.words]
    if words == list(browser.words):
        words.append(url)
    try:
        os.posix_spawn(
            words[0],
            words,
            environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in range(3)],
            setsid=True,
            setsigdef=[signal.SIGPIPE],  # which Python ignores, and what it starts would ignore too
        )
    except (OSError, NotImplementedError) as error:  # the second: there is no setsid here, so no opening either
        return NoBrowser(f"{words[0]} cannot be started: {describe_foreign(error)}")
    return None


def _find_hindrance(environ: Mapping[str, str], platform: str) -> str | None:
    """Return why no browser could be seen by the person, if it is so."""
    if _is_remote(environ):
        return "this is a remote session (SSH)"
    if platform != "darwin" and not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return "there is no display here"
    return None


def _is_remote(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))


def _choose_named(commands: str, hindrance: str | None, environ: Mapping[str, str]) -> Browser | NoBrowser:
    if commands.strip() in ("", "none"):
        return NoBrowser("BROWSER says so")
    reason = "nothing that BROWSER names was found"
    for words in _parse(commands):
        name = PurePath(words[0]).name
        if words == ["none"]:
            break
        if name in _IN_THE_TERMINAL:
            reason = f"{name} needs this terminal"
        elif hindrance and name in _GRAPHICAL:
            reason = hindrance
        elif browser := _find(words[:1], environ):
            return Browser((*browser.words, *words[1:]))
    return NoBrowser(reason)


def _parse(commands: str) -> Iterator[list[str]]:
    """Split BROWSER as a shell would, into words; a `&` at the end, for those who wait, changes nothing here."""
    for command in commands.split(os.pathsep):
        try:
            words = shlex.split(command.strip().removesuffix("&"))
        except ValueError:  # a quote that is not closed
            continue
        if words:
            yield words


def _find(names: Iterable[str], environ: Mapping[str, str]) -> Browser | None:
    """Take the first that is installed, by its whole path."""
    paths = (shutil.which(name, path=environ.get("PATH")) for name in names)
    return next((Browser((path,)) for path in paths if path), None)
