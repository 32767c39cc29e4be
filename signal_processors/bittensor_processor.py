"""Bittensor SN8 as a source of signals, and its entry script.

`python3 signal_processors/bittensor_processor.py` is the process `bittensor-signals`; `--config` is
the wizard, `--rank` and `--once` read the network once and print. Importing it costs next to
nothing: the engine does, to learn that the source exists.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from signal_processors.source_profile import SourceProfile

SOURCE: Final = SourceProfile(
    name="bittensor", kind="level", service="bittensor-signals", compress_after_days=3
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the service, the wizard or a look at the network; give the exit code."""
    parser = argparse.ArgumentParser(
        description="Follows the best miners of Bittensor's subnet 8.",
        epilog="example: python3 signal_processors/bittensor_processor.py --rank",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--config", action="store_true", help="ask for every setting and save it")
    what.add_argument("--rank", action="store_true", help="print all miners, weights and reasons")
    what.add_argument("--once", action="store_true", help="read once, print the depths, store none")
    parser.add_argument("--json", action="store_true", help="with --rank or --once: one JSON line")
    wish = parser.parse_args(arguments)
    if wish.json and not (wish.rank or wish.once):
        parser.error("--json goes with --rank or --once")
    if wish.config:
        from signal_processors.bittensor_wizard import run_wizard  # noqa: PLC0415 - only here

        return run_wizard()
    if wish.rank or wish.once:
        from signal_processors.bittensor_look import look  # noqa: PLC0415 - only here

        return look(ranks=wish.rank, as_json=wish.json)
    from core.process.service import run_service  # noqa: PLC0415 - the engine imports this file
    from signal_processors.bittensor_service import follow_sn8  # noqa: PLC0415

    return run_service(SOURCE.service, follow_sn8)


if __name__ == "__main__":
    sys.exit(main())
