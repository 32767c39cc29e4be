"""Tables on the terminal: nothing cut off, whatever the width; plain and wide when piped."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from core.process.logs import redact

PIPED_WIDTH: Final = 400


def plain(text: str) -> str:
    """Make a text harmless for a terminal: no secret, and none of a stranger's control codes."""
    shown = redact(text)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under titles; what is too wide for a terminal is folded, never cut."""
    from rich.console import Console  # noqa: PLC0415 - programs that ask for JSON need none
    from rich.table import Column, Table  # noqa: PLC0415

    table = Table(*(Column(title, overflow="fold") for title in titles), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(plain, row))
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(highlight=False, markup=False, width=width).print(table)
