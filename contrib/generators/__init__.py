"""What packagers install beside the command, made from its argparse parser: shell completions and man pages.

    completions    a script for each shell, by shtab
    man            a page for the command, and one for each verb, by argparse-manpage
    files          which files there are

`python -m generators`, which is `make contrib`, writes the files; a test holds them equal to the parser.
"""
