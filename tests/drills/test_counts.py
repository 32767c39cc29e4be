"""What can be counted: requests of a pass, bytes read when idle, modules of ccxt."""

import asyncio
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from core.control import EVERYTHING
from core.control.file import resume, set_mode
from core.model import Mode
from core.source_reader import SourceReader
from tests.drills.stage import Stage, stage

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT")


async def hold_all(here: Stage, size: str) -> None:
    """Send an alert for every symbol while paused, then let one pass execute them together."""
    now_ms = here.engine.wall.now_ms()
    set_mode(here.home, EVERYTHING, Mode.PAUSE, who="test", now_ms=now_ms)
    sent = [await here.alert("long", size, symbol=symbol) for symbol in SYMBOLS]
    last = sent[-1]
    await here.passed(1, since=last)
    here.forget()
    resume(here.home, EVERYTHING, who="test", now_ms=now_ms + 1)
    await here.settled(last, within_s=10)


async def test_a_pass_in_which_n_symbols_change_sends_at_most_n_plus_four_requests(
    tmp_path: Path,
    venue: str,
) -> None:
    async with stage(tmp_path, venue, symbols=SYMBOLS) as here:
        await here.start()
        await hold_all(here, "2/100")
        await hold_all(here, "3/100")
        paths = [r.path for r in here.server.requests()]

        assert len(here.orders()) == len(SYMBOLS)
        assert len(paths) <= len(SYMBOLS) + 4, paths
        assert all(here.held(s) > 0 for s in SYMBOLS)


async def test_with_nothing_new_no_byte_of_history_is_read(tmp_path: Path, venue: str) -> None:
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        source = here.engine.manager._sources[0]
        assert isinstance(source, SourceReader)
        reads = -1
        while reads != here.engine.reader.file_reads:  # files changed a moment ago are read again
            reads = here.engine.reader.file_reads
            await asyncio.sleep(0.06)
            await here.engine.executor.execute()
        before = source.bytes_read
        here.forget()
        for _ in range(5):
            await here.engine.executor.execute()

        assert (source.bytes_read, here.engine.reader.file_reads) == (before, reads)
        assert here.orders() == []
        assert here.held() == Decimal("0.1")


@pytest.mark.parametrize("exchange", ["bybit"])
def test_opening_a_venue_loads_at_most_sixty_modules_of_ccxt(exchange: str) -> None:
    code = (
        "import asyncio, sys\n"
        "from account_processors import Address, Transport, open_market\n"
        "from account_processors.transport.limiter import Limiter\n"
        "from core.clock import SteadyClock\n"
        "clock = SteadyClock()\n"
        f"open_market({exchange!r}, Address(base_url='http://127.0.0.1:1'), "
        "Transport(clock=clock, limiter=Limiter(clock)))\n"
        "print(sum(name.split('.')[0] == 'ccxt' for name in sys.modules))\n"
    )
    out = subprocess.run(  # noqa: S603 # our own code, in a fresh interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert 0 < int(out.stdout) <= 60
