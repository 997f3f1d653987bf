"""`python -m headworks`: the same as the `headworks` command."""

import sys

from headworks.cli import main

sys.exit(main())
