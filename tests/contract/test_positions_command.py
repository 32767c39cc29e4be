"""trade-engine positions over HTTP against the paper exchange."""

import asyncio
from decimal import Decimal
from typing import Any

import orjson
import pytest

from commands.main import run
from core.errors import TradeEngineError
from core.home import Home
from core.process.service_status import replace_status
from core.store import atomic_write_json
from tests.contract.venue_cases import BTC, SECRETS, Bench, bench, order


def configure(home: Home, *names: str, **changes: object) -> None:
    rows = [
        {
            "name": name,
            "exchange": "bybit",
            "api_key": f"KEY{name.upper()}",
            "api_secret": SECRETS[name],
            "environment": "paper",
            **changes,
        }
        for name in names
    ]
    atomic_write_json(home.credentials, {"accounts": rows})


async def ask(
    capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, list[dict[str, Any]]]:
    """Run the command as a process would, with a loop of its own; the server stays on ours."""
    capsys.readouterr()
    code = await asyncio.to_thread(run, ["positions", "--json", *options])
    return code, orjson.loads(capsys.readouterr().out)


async def hold(running: Bench, name: str, size: str) -> None:
    venue = await running.connected(name)
    (placed,) = await venue.place_orders([order(size=size)])
    assert not isinstance(placed, TradeEngineError)
    assert running.size(name=name) == Decimal(size)


async def test_positions_are_read_from_the_exchange_with_targets_beside(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, "main", "second")
    targets = {"main": {BTC: {"lots": "0.02"}, "ETHUSDT": {"lots": "-1.5"}}}
    atomic_write_json(home.state / "targets.json", targets)
    async with bench() as running:
        replace_status(home, "paper-exchange", {"url": running.server.url})
        await hold(running, "main", "0.01")
        await hold(running, "second", "-0.03")
        code, (btc, eth, foreign) = await ask(capsys)

    assert code == 0
    assert (btc["account"], btc["exchange"], btc["symbol"]) == ("main", "bybit", BTC)
    assert (btc["side"], btc["size_lots"], btc["size_base"]) == ("long", "0.01", "0.01")
    assert (Decimal(btc["notional_usdt"]), btc["target_lots"]) == (Decimal(600), "0.02")
    assert Decimal(btc["entry_price"]) > 0
    assert Decimal(btc["leverage"]) >= 1
    assert (eth["side"], eth["size_lots"], eth["target_lots"]) == (None, "0", "-1.5")
    assert Decimal(eth["mark_price"]) == Decimal(3000)
    assert (foreign["account"], foreign["side"], foreign["size_lots"]) == (
        "second",
        "short",
        "-0.03",
    )
    assert Decimal(foreign["notional_usdt"]) == Decimal(-1800)
    assert foreign["target_lots"] is None


async def test_reading_positions_sends_no_order_and_changes_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, "main")
    async with bench() as running:
        replace_status(home, "paper-exchange", {"url": running.server.url})
        running.server.forget_requests()
        code, rows = await ask(capsys)
        methods = {request.method for request in running.server.requests()}

    assert (code, rows) == (0, [])
    assert methods == {"GET"}


async def test_a_failed_account_is_a_row_and_exit_5(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, "main", "second")
    rows = orjson.loads(home.credentials.read_bytes())["accounts"]
    rows[0]["api_secret"] = "wrong"
    rows += [
        {**rows[1], "name": "keyless", "api_key": ""},
        {**rows[1], "name": "off", "api_key": "x", "enabled": False},
        {**rows[1], "name": "elsewhere", "api_key": "y", "exchange": "nowhere"},
    ]
    atomic_write_json(home.credentials, {"accounts": rows})
    async with bench() as running:
        replace_status(home, "paper-exchange", {"url": running.server.url})
        await hold(running, "second", "0.01")
        code, found = await ask(capsys)

    assert code == 5
    assert [row["account"] for row in found] == ["main", "second", "keyless", "elsewhere"]
    assert found[1]["size_lots"] == "0.01"
    errors = [row.get("error") for row in found]
    assert errors[1] is None
    assert "CredentialsError" in str(errors[0])
    assert "nowhere" in str(errors[3])
    assert all(set(row) == {"account", "error"} for row in found if "error" in row)


def test_without_a_paper_exchange_the_account_is_a_row(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, "main")
    assert run(["positions", "--json"]) == 5
    (row,) = orjson.loads(capsys.readouterr().out)

    assert "paper exchange" in row["error"]


@pytest.mark.parametrize("content", [b"{", b"[]"])
def test_lost_targets_leave_positions_without_targets(
    home: Home, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (home.state / "targets.json").write_bytes(content)

    assert run(["positions"]) == 0
    said = capsys.readouterr()
    assert "Nothing is held" in said.out
    assert ("targets are unknown" in said.err) is (content == b"{")
