"""What the paper exchange acknowledged is on disk, whole, before anybody hears of it."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from core.errors import ConfigError
from paper_exchange.account import AccountState
from paper_exchange.orders import MarginMode
from paper_exchange.state_file import StateFile, decode, encode
from tests.disk_full import disk_full_after


def wallet(amount: int) -> AccountState:
    return AccountState(wallet_usdt=Decimal(amount))


async def test_every_change_is_on_disk_when_commit_returns(tmp_path: Path) -> None:
    path = tmp_path / "state" / "paper.json"
    file = StateFile(path)
    states: dict[str, AccountState] = {}

    async def change(number: int) -> None:
        states[f"a{number}"] = wallet(number)
        file.changed(states)
        await file.commit()
        assert f"a{number}" in StateFile(path).load()

    await asyncio.gather(*(change(number) for number in range(20)))
    assert StateFile(path).load() == {f"a{n}": wallet(n) for n in range(20)}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [row.name for row in path.parent.iterdir()] == ["paper.json"]


async def test_changes_that_come_together_share_a_write(tmp_path: Path) -> None:
    path = tmp_path / "paper.json"
    file = StateFile(path)
    states = {"a": wallet(0)}
    file.changed(states)
    commits = [asyncio.create_task(file.commit()) for _ in range(50)]
    await asyncio.sleep(0)
    states["a"] = wallet(1)
    file.changed(states)
    await asyncio.gather(*commits, file.commit())

    assert file.writes <= 2
    assert StateFile(path).load() == {"a": wallet(1)}


async def test_a_full_disk_is_an_error_and_the_next_commit_catches_up(tmp_path: Path) -> None:
    path = tmp_path / "paper.json"
    file = StateFile(path)
    file.changed({"a": wallet(1)})
    with disk_full_after(10), pytest.raises(OSError, match="File too large"):
        await file.commit()
    assert StateFile(path).load() == {}
    await file.commit()

    assert StateFile(path).load() == {"a": wallet(1)}


async def test_without_a_path_nothing_is_kept() -> None:
    file = StateFile(None)
    file.changed({"a": wallet(1)})
    await file.commit()

    assert file.load() == {}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "paper.json"
    path.write_text("{half")

    with pytest.raises(ConfigError, match=r"paper\.json does not parse"):
        StateFile(path).load()


def test_settings_survive_and_unknown_fields_of_a_newer_version_are_skipped() -> None:
    state = replace(
        wallet(5), margin_modes={"": MarginMode.ISOLATED}, hedged={"ETHUSDT": True}, sequence=9
    )
    raw = orjson.loads(encode(state)) | {"of_tomorrow": 1}

    assert decode(raw) == state
    assert decode(raw).margin_mode("BTCUSDT") is MarginMode.ISOLATED
