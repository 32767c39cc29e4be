"""The pages that a user reads, as data: fenced blocks and tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.home import CHECKOUT

README: Final = CHECKOUT / "README.md"
PAGES: Final = sorted([README, *(CHECKOUT / "docs").glob("*.md")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block; `mark` is what stands behind the language: ```json alert."""

    language: str
    mark: str
    content: str


def blocks(page: Path) -> Iterator[Block]:
    """Give the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w*) ?(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(language=found[1], mark=found[2], content=found[3])


def rows_under(page: Path, heading: str) -> list[list[str]]:
    """Give the cells of the tables under a heading, the first one's titles left out."""
    text = page.read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
