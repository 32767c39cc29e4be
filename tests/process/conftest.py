"""Installations to try things on, each in folders of its own."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.installation import ROOT, STUB, Installation, node


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Give a folder short enough for PM2's sockets; pytest's own paths may not be."""
    if node() is None or not (ROOT / "node_modules" / "pm2").exists():
        pytest.skip("PM2 is not installed here: run ./trade-engine test")
    folder = Path(tempfile.mkdtemp(prefix="te-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def whole(short_folder: Path) -> Iterator[Installation]:
    """Give this checkout itself, with its real services."""
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("there is no .venv here: run ./trade-engine test")
    installation = Installation(ROOT, short_folder)
    yield installation
    installation.end()


@pytest.fixture
def small(short_folder: Path) -> Iterator[Installation]:
    """Give a copy of this checkout whose services do nothing but live."""
    checkout = short_folder / "checkout"
    for name in ("core", "commands"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "ecosystem.config.js", checkout)
    (checkout / ".venv").symlink_to(sys.prefix)
    (checkout / "node_modules").symlink_to(ROOT / "node_modules")
    entries = {
        "paper-exchange": "paper_exchange/server.py",
        "tradingview-endpoint": "signal_processors/tradingview_endpoint.py",
        "bittensor-signals": "signal_processors/bittensor_processor.py",
        "trade-engine": "execute_trades.py",
        "monitor": "monitor/app.py",
    }
    for name, path in entries.items():
        (checkout / path).parent.mkdir(exist_ok=True)
        (checkout / path).write_text(STUB.replace("NAME", name))
    installation = Installation(checkout, short_folder)
    yield installation
    installation.end()
