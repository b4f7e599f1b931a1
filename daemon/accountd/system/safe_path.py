"""Import nothing from the folder that the command happens to be run in: anybody may have put an `httpx.py` there.

Python looks there for `python -m accountd`, and wherever PYTHONPATH has an empty or a relative entry, as
`PYTHONPATH=$OTHER:/mine` has if OTHER is empty. By the time that we run it has made absolute paths of them all. Its
own way out, `-I`, would also leave out what the person has installed for themselves (`pip install --user`).
"""

import os
import sys


def leave_out_working_folder() -> None:
    """Take such places out of `sys.path`, but for the standard library's and our own, should it be run in there.

    It has to come before other imports. What ran before this could be from there: to be safe from the first line
    on, the command is run by its script, or as `python -P -m accountd`.
    """
    try:
        here = os.getcwd()
    except OSError:  # it has been removed, and nothing can be in it
        here = os.devnull
    if sys.path[:1] == [here] and not sys.flags.safe_path:
        del sys.path[0]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    meant = {entry for entry in given if os.path.isabs(entry)}
    meant |= {os.path.dirname(os.__file__), os.path.abspath(f"{__file__}/../../..")}
    unsafe = {os.path.abspath(os.path.join(here, entry)) for entry in given} - meant
    sys.path[:] = [entry for entry in sys.path if os.path.isabs(entry) and entry not in unsafe]
