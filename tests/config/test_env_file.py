"""`.env` in CODEX_HOME: each line as codex 0.171 was seen to take it, and what is taken of them at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.config.env_file import join_env_file, parse_env_file, read_env_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=http://p:1", "http://p:1"),
        ("export A=x", "x"),
        ("  A = x  ", "x"),
        ('A="x y"', "x y"),
        ("A='x # y' # z", "x # y"),
        ("A=x # y", "x"),
        ("A=x#y", "x#y"),
        ("# A=y\r\nA=x\r\n", "x"),
        ("A=y\nA=x", "x"),
        ("!!! no line\nA=x\n!!!", "x"),
        ("\ufeffA=x", None),
        ("B=x\nA=${B}/$B", "x/x"),
        ("A=$SET$UNSET", "y"),
        ("SET=x\nA=$SET", "x"),
        ("CODEX_SET=x\nA=${CODEX_SET}${CODEX_B}", "xz"),
        ("CODEX_B=x\nA=${CODEX_B}", "z"),
        ("A=$$SET$SET_/$", "yy_/"),
        ('A="${SET}"', "y"),
        ('A="$SET"', None),
        ("A=${SET", None),
        ("A=x\\y", None),
        ("A=x\\ y\\", "x y"),
        ('A="x\ny"', "x\ny"),
        ('B="\nA=y\n"\nA=x', "x"),
        ("B=it's\nA=x", None),
        ("B=it\\'s # it's\n# it's\nA=x", "x"),
        ("B=y\x0cA=x\x85A=x\rA=x", None),
        ("B=\udcff\nA=x", "x"),
        ("export=y\nexport\tA=x", "x"),
        ("A=#x", ""),
        ("A='$SET'", "$SET"),
        (r"A=\$SET", "$SET"),
        (r'A="x\"\\\ny"', 'x"\\\ny'),
        ("A=", ""),
        ("A=''", ""),
        ("A=x y", None),
        ('A="x', None),
        ("A: x", None),
    ],
)
def test_a_line_is_read_as_codex_reads_it(text: str, value: str | None) -> None:
    """With quotes, comments and other variables; one that is no assignment spoils no other.

    A quote that is open goes on in the next lines, and what is odd in the reading is so here, too.
    """
    assert parse_env_file(text, {"SET": "y", "CODEX_B": "z"}).get("A") == value


def test_the_way_to_the_network_is_taken_and_goes_before_the_environment(tmp_path: Path) -> None:
    """Nothing else is, so that nobody moves the issuer or the socket there."""
    (tmp_path / ".env").write_text(
        "\ufeffHTTPS_PROXY=http://file:1\nno_proxy=x\nCODEX_CA_CERTIFICATE=/x\nACCOUNTD_SOCKET=/x\nSSL_CERT_FILE=/f\n"
    )
    environ = {"CODEX_HOME": str(tmp_path), "HTTPS_PROXY": "http://environment:1"}
    taken = {"HTTPS_PROXY": "http://file:1", "no_proxy": "x", "SSL_CERT_FILE": "/f"}
    assert join_env_file(environ) == {**environ, **taken}


def test_one_that_cannot_be_used_is_told_of_and_not_taken(tmp_path: Path) -> None:
    """Such as one that others may write to, or that is none; none at all is as usual."""
    environ = {"CODEX_HOME": str(tmp_path)}
    assert read_env_file(environ).fault is None
    for text in (b"NO_PROXY=x\nHTTPS_PROXY=http://p\xff\n", "NO_PROXY=x".encode("utf-16")):
        (tmp_path / ".env").write_bytes(text)
        found = read_env_file(environ)
        assert found.fault == f"{tmp_path}/.env is not read as a whole: it is no UTF-8"
        assert found.values == ({"NO_PROXY": "x"} if text.endswith(b"\n") else {})
    (tmp_path / ".env").write_bytes(b"# caf\xe9\nNO_PROXY=x\n")
    assert read_env_file(environ).fault is None
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    assert str(read_env_file(environ).fault).startswith(f"{tmp_path}/.env is not read: ")
