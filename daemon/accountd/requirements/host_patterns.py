"""Globs for host names, in the language of `fnmatch`: `*`, `?`, `[a-f]`, `[!a-f]`; letters' case does not count.

`fnmatch` makes a regular expression of a glob, which tries again where a star could have matched otherwise, and so
may take seconds for a few kilobytes. Here all ways to match are followed at once, as states of an automaton, one
bit for each: state n is to have matched the first n single characters of the pattern. A character of the name moves
on each state that takes it, and a state at which there is a star also stays. So name and pattern are read once.
"""

from __future__ import annotations


def matches_host(name: str, pattern: str) -> bool:
    """Return True if all of a name matches a pattern."""
    name = name.lower()
    takes, stays, end = _compile(pattern.lower(), frozenset(name))
    states = 1
    for character in name:
        states = (states & takes[character]) << 1 | states & stays
    return bool(states & end)


def _compile(pattern: str, characters: frozenset[str]) -> tuple[dict[str, int], int, int]:
    """Return the states that each of some characters moves on, those that a star lets stay, and the last one."""
    takes = dict.fromkeys(characters, 0)
    state, stays, at = 1, 0, 0
    while at < len(pattern):
        letter, at = pattern[at], at + 1
        if letter == "*":
            stays |= state
            continue
        if letter == "[" and (close := pattern.find("]", at + 1 + pattern.startswith("!", at))) >= 0:
            taken, at = _find_class(pattern[at:close], characters), close + 1
        else:
            taken = characters if letter == "?" else characters & {letter}
        for character in taken:
            takes[character] |= state
        state <<= 1
    return takes, stays, state


def _find_class(members: str, characters: frozenset[str]) -> frozenset[str]:
    """Return those of some characters that a class has, which is written without its brackets."""
    negated, members = members.startswith("!"), members.removeprefix("!")
    found, at = set[str](), 0
    while at < len(members):
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            first, last, at = members[at], members[at + 2], at + 3
            found |= {character for character in characters if first <= character <= last}
        else:
            found.add(members[at])
            at += 1
    return characters - found if negated else characters & found
