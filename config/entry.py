"""What the scripts of this folder are when started: `trade-engine config NAME`.

A wizard asks about venues and sources, which lie beside this folder and are put together above it.
So a script starts the command line as its own program would, and imports nothing from above.
"""

import runpy
import sys


def hand_over(name: str) -> None:
    """Become the command `config NAME` with the words of this script; never returns."""
    sys.argv = ["trade-engine", "config", name, *sys.argv[1:]]
    runpy.run_module("commands", run_name="__main__")
