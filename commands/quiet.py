"""Keeps log lines off the terminal while a command's own engine or venues are at work.

What matters of them is in what the command prints. Counts who asked for it: commands may run side
by side in one process.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_asked = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Keep them off until the last one who asked for it is done."""
    global _asked  # noqa: PLW0603 - so is what it guards: the switch of the whole process
    with _lock:
        _asked += 1
        logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        with _lock:
            _asked -= 1
            if not _asked:
                logging.disable(logging.NOTSET)
