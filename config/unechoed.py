"""A terminal that shows nothing by itself while secrets are asked for.

Between two questions a terminal would echo what is typed or pasted; a person pastes the next secret
while the last one is still being tried. Questions draw what they show themselves.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
LOCAL_MODES: Final = 3  # where `tcgetattr` keeps them
SIGNALLED: Final = 128  # plus the signal, as a shell reports it


@contextmanager
def unechoed() -> Iterator[None]:
    """Keep the terminal from echoing; as it was again whichever way this is left.

    What was typed ahead at the end is dropped, so that no secret lands in the shell. A stop
    (Ctrl-Z) waits until then: the shell would be left without echo.
    """
    if not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415 - not everywhere

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    silent = [*before]
    silent[LOCAL_MODES] &= ~termios.ECHO
    handlers = {one: signal.signal(one, _leave) for one in ENDING}
    handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        termios.tcsetattr(handle, termios.TCSANOW, silent)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSAFLUSH, before)
        for one, handler in handlers.items():
            signal.signal(one, handler)


def forget_typed() -> None:
    """Drop what was typed before a question was there to be answered."""
    import termios  # noqa: PLC0415

    from prompt_toolkit.application.current import get_app_session  # noqa: PLC0415 - slow
    from prompt_toolkit.input.typeahead import clear_typeahead  # noqa: PLC0415

    clear_typeahead(get_app_session().input)  # lines pasted together reach it at once
    if sys.stdin.isatty():
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(SIGNALLED + number)
