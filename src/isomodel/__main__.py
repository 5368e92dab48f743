"""``python -m isomodel`` is the ``isomodel`` command."""

import sys

from isomodel.edges.cli import main

if __name__ == "__main__":
    sys.exit(main())
