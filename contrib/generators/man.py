"""The man pages: one for the command, and one for each of its verbs.

They bear no date, so that the same parser always gives the same pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.roff import EXAMPLES, Epilog, bold, define, fill, italic, parse_epilog, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generators.command import Argument, Command, Option, Value

_HEAD = """\
.\\" Made by `make contrib` from the parser of the command line.
.TH {title} 1 "" "{version}" "User Commands"
.nh
.ad l
"""

_FIRST, _LAST = ("EXIT STATUS", "ENVIRONMENT", "FILES"), (EXAMPLES, "SEE ALSO")
"""The usual order. Sections that only some verb has stand between options and exit status."""


def render_man(root: Command, *, version: str, overview: str) -> dict[str, str]:
    """Write all pages, by their file names. `overview` goes into the first one: an epilog that no --help has."""
    pages = {}
    for command in root.all():
        epilog = parse_epilog(f"{overview}\n\n{command.epilog}" if command is root else command.epilog)
        sections = {
            "NAME": [f"{_page(command)} \\- {_lower(command.help)}"],
            "SYNOPSIS": list(_synopsis(command)),
            "DESCRIPTION": list(_paragraphs(command, epilog)),
            "VERBS": list(_verbs(command)),
            "OPTIONS": list(_options(command)),
            **_ordered({**({} if command is root else _elsewhere(root)), **epilog.sections}),
            "SEE ALSO": list(_see_also(root, command)),
        }
        text = "".join(f".SH {title}\n{_lines(lines)}" for title, lines in sections.items() if lines)
        head = _HEAD.format(title=_page(command).upper(), version=f"{root.name} {version}")
        pages[f"{'-'.join(command.path)}.1"] = head + text
    return pages


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _page(command: Command) -> str:
    return "-".join(command.path).replace("-", r"\-")


def _reference(command: Command, after: str = "") -> str:
    return f".BR {_page(command)} (1){after}"


def _ordered(sections: dict[str, list[str]]) -> dict[str, list[str]]:
    own = [title for title in sections if title not in (*_FIRST, *_LAST)]
    return {title: sections[title] for title in (*own, *_FIRST, *_LAST) if title in sections}


def _elsewhere(root: Command) -> dict[str, list[str]]:
    """Say where to find what is alike for every verb."""
    return {title: ["As for every verb: see", _reference(root, ".")] for title in ("EXIT STATUS", "ENVIRONMENT")}


def _paragraphs(command: Command, epilog: Epilog) -> Iterator[str]:
    for number, paragraph in enumerate(filter(None, [fill(command.description), *epilog.paragraphs])):
        yield from [".PP"] if number else []
        yield from paragraph


def _verbs(command: Command) -> Iterator[str]:
    for verb in command.commands:
        yield from define(bold(verb.path[-1]), sentence(verb.help))
    if command.commands:
        yield from (".PP", "Each has a page of its own, such as", _reference(command.commands[0], "."))


def _see_also(root: Command, command: Command) -> Iterator[str]:
    others = [other for other in root.all() if other is not command]
    for other in others:
        yield _reference(other, "," if other is not others[-1] else "")


def _synopsis(command: Command) -> Iterator[str]:
    yield f'.SY "{_words(command)}"'
    if command.commands:
        yield rf"{italic('VERB')} [{italic('OPTION')}\~.\|.\|.]"
    else:
        done = set[str]()
        for option in command.options:
            alternatives = [
                other
                for other in command.options
                if other is option or set(other.flags) & set(option.excluded_by) - set(option.flags)
            ]
            if "--help" not in option.flags and not done & set(option.flags):
                done.update(flag for other in alternatives for flag in other.flags)
                text = r"\~|\~".join(_usage(other) for other in alternatives)
                yield text if option.required else f"[{text}]"
        for argument in command.arguments:
            yield _argument_usage(argument)
    yield from (".YS", ".nh")  # .YS hyphenates again


def _words(command: Command) -> str:
    return command.name.replace("-", r"\-")


def _usage(option: Option) -> str:
    flag = bold(option.flags[-1])
    return flag + rf"\~{italic(option.value.name)}" if option.value else flag


def _argument_usage(argument: Argument) -> str:
    text = italic(argument.value.name) + (r"\~.\|.\|." if argument.repeated else "")
    return f"[{text}]" if argument.optional else text


def _options(command: Command) -> Iterator[str]:
    for argument in command.arguments:
        yield from define(italic(argument.value.name), sentence(argument.help))
    for group in command.groups:
        if group.title:
            yield f".SS {fill(sentence(group.title).rstrip('.'))[0]}"
        for option in group.options:
            term = ", ".join(bold(flag) for flag in option.flags)
            yield from define(term + _behind(option.value), sentence(option.help))


def _behind(value: Value | None) -> str:
    return f" {italic(value.name)}" if value else ""


def _lower(text: str) -> str:
    """Make a help text a name's explanation, as `apropos` lists it."""
    text = text.rstrip(".")
    return "\n".join(fill(text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text))
