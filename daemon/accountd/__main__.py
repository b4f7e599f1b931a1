"""The `accountd` command, as its script and `python -m accountd` run it: first a safe path, then the command."""

import sys

from accountd.system.safe_path import leave_out_working_folder


def main() -> int:
    """Run the command line and give its exit code."""
    leave_out_working_folder()
    from accountd.cli import main as run  # what it imports comes from the path as it is now

    return run()


if __name__ == "__main__":
    sys.exit(main())
