"""What packagers install beside the command, made from its argparse parser: shell completions and man pages.

    command    the parser, read into plain values; the only module that looks inside argparse
    bash · zsh · fish    a completion script each
    roff       text for man pages: what is escaped, and how an epilog is laid out
    man        a page for the command, and one for each verb

`python -m generators`, which is `make contrib`, writes the files; a test holds them equal to the parser.

Why not shtab for the completions: it offers options that exclude each other (`--browser --with-api-key`), and
again those that are there already; in bash it completes nothing behind `--format=`, splits paths with blanks, and
leaves functions with names like `_set_new_action` in everybody's shell; in fish a help text that ends in a
backslash breaks the script. Why not argparse-manpage: it fills an epilog into one paragraph, examples and tables
included, cannot leave the date of the build out, and does not escape a line that begins with a dot.
"""
