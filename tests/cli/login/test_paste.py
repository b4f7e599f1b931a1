"""Lines from a terminal while something else is waited for: what is taken, and what is left alone."""

from __future__ import annotations

import io
import os
import pty
import select
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from accountd.cli.login import paste
from accountd.cli.login.paste import PasteReader, can_paste
from fakes.terminal import read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "http://127.0.0.1:1455/auth/callback?code="


class Keys:
    """The other end of a terminal."""

    def __init__(self, master: int) -> None:
        self.master = master
        self.woken = threading.Event()

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode())


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    """Let stdin be a terminal."""
    master, slave = pty.openpty()
    with io.TextIOWrapper(io.FileIO(slave, "r")) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        given = Keys(master)
        yield given
        if given.master >= 0:
            os.close(given.master)


def test_lines_are_given_one_by_one(keys: Keys) -> None:
    """Each `ask` gives one line, without the blanks around it, and hidden from whoever prints it."""
    with PasteReader(keys.woken.set) as reader:
        reader.ask()
        keys.type(" one two \nthree\n")
        assert keys.woken.wait(10)
        assert (reader.take().reveal(), str(reader.take())) == ("one two", "Secret(••••)")
        keys.woken.clear()
        reader.ask()
        assert keys.woken.wait(10)
        assert reader.take().reveal() == "three"


def test_a_long_address_comes_whole(keys: Keys) -> None:
    """Ten times the usual length is still less than the terminal takes."""
    length = 4000 if sys.platform == "linux" else 1000
    address = ADDRESS + "c" * (length - len(ADDRESS))
    with PasteReader(keys.woken.set) as reader:
        reader.ask()
        keys.type(f"{address}\n")
        assert keys.woken.wait(10)
        assert reader.take().reveal() == address


def test_what_is_no_text_is_no_failure(keys: Keys) -> None:
    """Bytes that are no UTF-8 become a line that the daemon will refuse."""
    with PasteReader(keys.woken.set) as reader:
        reader.ask()
        os.write(keys.master, b"\xff\xfe\n")
        assert keys.woken.wait(10)
        assert reader.take().reveal() == "��"


def test_what_is_not_ended_is_thrown_away(keys: Keys) -> None:
    """A line without its end wakes nobody, and is not left for the next who reads the terminal."""
    with PasteReader(keys.woken.set) as reader:
        reader.ask()
        keys.type("rm -r")
        read_exactly(keys.master, 5)  # it is echoed, so all of it is in the terminal
    assert not keys.woken.is_set()
    keys.type("\n")
    assert os.read(sys.stdin.fileno(), 100) == b"\n"


@pytest.mark.parametrize("ended", [True, False])
def test_a_terminal_that_goes_away_ends_the_asking(keys: Keys, ended: bool) -> None:
    """Neither the end of input nor a terminal that was closed is a line, or a failure."""
    with PasteReader(keys.woken.set) as reader:
        reader.ask()
        if ended:
            keys.type("\x04")
        else:
            os.close(keys.master)
            keys.master = -1
        assert reader._thread is not None
        reader._thread.join(10)
        assert not reader._thread.is_alive()
    assert not keys.woken.is_set()


def test_in_the_background_nothing_is_taken(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed while another command has the terminal is left to it; back in front, lines come again."""
    front = [os.getpgrp() + 1]
    looked = threading.Semaphore(0)

    def look(_: int) -> int:
        looked.release()
        return front[0]

    monkeypatch.setattr(os, "tcgetpgrp", look)
    monkeypatch.setattr(paste, "_PAUSE", 0.01)
    with PasteReader(keys.woken.set) as reader:
        reader.ask()
        keys.type("for the other\n")
        for _ in range(3):
            assert looked.acquire(timeout=10)
        assert not keys.woken.is_set()
        front[0] = os.getpgrp()
        assert keys.woken.wait(10)


def test_in_the_background_it_can_be_left(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that ends in the background neither waits for the pause nor touches what was typed."""
    looked = threading.Event()

    def look(_: int) -> int:
        looked.set()
        return os.getpgrp() + 1

    monkeypatch.setattr(os, "tcgetpgrp", look)
    monkeypatch.setattr(paste, "_PAUSE", 3600.0)
    with PasteReader(keys.woken.set) as reader:
        reader.ask()
        keys.type("for the other\n")
        assert looked.wait(10)
    assert select.select([sys.stdin.fileno()], [], [], 0)[0]


def test_only_on_a_terminal(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends must be one, the question's and the answer's, and this command in front."""
    assert not can_paste()
    monkeypatch.setattr(sys, "stdout", sys.stdin)
    assert can_paste()
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    assert not can_paste()
    for nobody in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stdin", nobody)
        assert not can_paste()
