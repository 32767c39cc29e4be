"""A home whose files are counted, and the commands that must not touch them."""

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from commands.main import run
from tests.drills.stage import Stage

Screen = pytest.CaptureFixture[str]
Tree = dict[str, tuple[int, int, str]]


def tree(root: Path) -> Tree:
    """Every file and folder with mode, time of change and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        look = path.lstat()
        digest = sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(root))] = (look.st_mode, look.st_mtime_ns, digest)
    return found


async def ask(screen: Screen, *words: str) -> tuple[int, dict[str, Any]]:
    """Run a command as a process would, with a loop of its own; the exchange stays on ours."""
    screen.readouterr()
    code = await asyncio.to_thread(run, [*words, "--json"])
    said = screen.readouterr()
    assert said.out, said.err
    return code, orjson.loads(said.out)


async def untouched(here: Stage, screen: Screen, *words: str) -> tuple[int, dict[str, Any]]:
    """As `ask`; no file of the home changes, no request changes anything at the exchange."""
    await here.close_receiver()  # it writes its checkpoint a moment after an alert
    before = tree(here.home.root)
    here.forget()
    answer = await ask(screen, *words)
    requests = here.server.requests()

    assert tree(here.home.root) == before
    assert requests
    assert {request.method for request in requests} == {"GET"}
    return answer


def row_of(told: dict[str, Any], symbol: str, account: str = "main") -> dict[str, Any]:
    """The row of one symbol of one account."""
    (found,) = (
        row for row in told["symbols"] if (row["account"], row["symbol"]) == (account, symbol)
    )
    return dict(found)


def codes(row: dict[str, Any]) -> list[str]:
    """The codes of a row's reasons."""
    return [reason["code"] for reason in row["reasons"]]


def orders(row: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """The orders of a row: side, signed lots, reduce-only."""
    return [
        (step["side"], step["size_lots"], step["reduce_only"])
        for step in row["steps"]
        if "side" in step
    ]
