"""`python -m commands`: the same as the `trade-engine` script."""

import sys

from commands.main import app

if __name__ == "__main__":
    sys.exit(app())
