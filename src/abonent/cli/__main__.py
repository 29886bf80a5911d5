"""`python -m abonent.cli` is the command `abonent`."""

import sys

from abonent.cli import main

if __name__ == "__main__":
    sys.exit(main())
