"""`python -m priolb` is the command `prio-load-balancer`."""

import sys

from priolb.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
