"""Files while they are written, and files that grow: B13, B16."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.source_reader import SourceReader
from tests.drills.stage import BTC, Stage, stage

TENTH = Decimal("0.1")
FILES = {
    "weights": "signal_weight_config.json",
    "mapping": "asset_mapping_config.json",
    "engine": "engine_config.json",
    "credentials": "credentials.json",
}
DAMAGES: Mapping[str, bytes | None] = {
    "half-written": b'[{"symbol": "BT',
    "empty": b"",
    "gone": None,
}


def damage(here: Stage, name: str, content: bytes | None) -> None:
    path = here.home.root / FILES[name]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)  # in place, as an editor does


@pytest.mark.parametrize("content", DAMAGES.values(), ids=list(DAMAGES))
@pytest.mark.parametrize("name", FILES)
@pytest.mark.in_turn
async def test_b13_a_file_read_while_half_written_changes_nothing(
    tmp_path: Path, venue: str, name: str, content: bytes | None
) -> None:
    """A configuration was read while half-written: defaults were used, positions closed.

    Must happen: the last good copy is in force, with an alert, also when the process restarts
    meanwhile; the next alert is executed under it.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.forget()
        damage(here, name, content)
        key = f"config/{FILES[name]}/"
        await here.until(lambda: key in here.alerts(), "told")
        assert here.held() == TENTH
        await here.kill()
        await here.start()
        await here.passed(1)
        assert here.orders() == []
        assert key in here.alerts()
        await here.settled(await here.alert("long", "3/100"))

        assert here.held() > TENTH
        assert len(here.orders()) == 1


async def test_b13_an_edit_that_closes_everything_counts_from_its_second_read(
    tmp_path: Path,
    venue: str,
) -> None:
    """An editor saved an empty list for a moment: everything was closed.

    Must happen: nothing is closed by one read; put back, nothing was ever sent.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.forget()
        here.weigh(BTC, weight=0)
        await here.until(lambda: "config_change" in here.alerts(), "told")
        here.weigh(BTC)
        cycles = here.engine.executor.cycles
        await here.until(lambda: here.engine.executor.cycles >= cycles + 2, "read again")

        assert here.orders() == []
        assert here.held() == TENTH


DAYS, ALERTS = 60, 50_000


def write_history(folder: Path) -> int:
    """Write 60 days of alerts; gives their bytes."""
    folder.mkdir(parents=True)
    size, today = 0, datetime.now(tz=UTC)
    for back in range(DAYS, 0, -1):
        day = today - timedelta(days=back)
        base_ms = int(day.timestamp() * 1000)
        count = ALERTS // DAYS
        lines = [orjson.dumps(_row(back, number, base_ms)) for number in range(count)]
        content = b"\n".join(lines) + b"\n"
        (folder / f"{day:%Y-%m-%d}.jsonl").write_bytes(content)
        size += len(content)
    return size


def _row(day: int, number: int, base_ms: int) -> dict[str, Any]:
    symbol = f"S{number % 40}USDT"
    return {
        "v": 1,
        "id": f"tv-{day}-{number}",
        "source": "tradingview",
        "source_symbol": symbol,
        "symbol": symbol,
        "depth": "0.01",
        "leverage": None,
        "price": None,
        "fired_at_ms": None,
        "received_at_ms": base_ms + number,
        "sequence": None,
        "strategy": "",
        "status": "accepted",
        "reason": "",
        "meta": {"raw": {"symbol": symbol, "direction": "long", "size": "1/100"}},
    }


async def test_b16_sixty_days_of_alerts_are_read_once(tmp_path: Path) -> None:
    """60 days of alerts were parsed again each 0.5 s: 1.3 s at 50,000 lines, on the event loop.

    Must happen: with nothing new no byte of history is read, with one alert only its line is; a
    start reads the checkpoint and what came after it.
    """
    history = write_history(tmp_path / "raw_signals" / "tradingview")
    async with stage(tmp_path) as here:  # the receiver writes the checkpoint
        await here.alert("flat")
        await here.close_receiver()
        here.open_receiver()
        await here.start()
        source = _source(here)
        at_start = source.bytes_read
        assert at_start < history / 100
        cycles = here.engine.executor.cycles
        await here.until(lambda: here.engine.executor.cycles >= cycles + 2, "idle sweeps")
        assert source.bytes_read == at_start
        before = _journal_size(here)
        await here.settled(await here.alert("long", "2/100"))

        assert here.held() == TENTH
        added = _journal_size(here) - before
        assert 0 < source.bytes_read - at_start <= added + 2_000  # and the line before, to compare


def _source(here: Stage) -> SourceReader:
    sources = here.engine.manager._sources
    found = next(one for one in sources if one.name == "tradingview")
    assert isinstance(found, SourceReader)
    return found


def _journal_size(here: Stage) -> int:
    folder = here.home.raw_signals / "tradingview"
    return sum(path.stat().st_size for path in folder.glob("*.jsonl"))
