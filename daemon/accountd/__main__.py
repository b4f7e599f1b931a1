"""`python -m accountd` is the `accountd` command."""

import sys

from accountd.cli import main

sys.exit(main())
