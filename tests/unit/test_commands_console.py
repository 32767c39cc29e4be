"""The console: everything at hand, and nothing that could trade unless it is told."""

import asyncio
import io
import sys
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from commands.console_accounts import ConsoleAccounts, ConsoleVenue, LoopThread
from commands.main import run
from commands.refusal import RefusedError
from core.home import Home
from core.process.exit_codes import ExitCode
from core.process.lease import lock_now
from core.process.service_status import replace_status
from core.settings import load_settings
from core.store import atomic_write_json
from tests.contract.venue_cases import SECRETS, bench
from tests.engine.fake_venue import FakeVenue
from tests.virtual_time import VirtualClock

Capture = pytest.CaptureFixture[str]
Type = Callable[..., int]
READS = ["connect", "fetch_equity", "fetch_positions", "fetch_order", "fetch_open_orders"]
WRITES = ["place_orders", "cancel_order", "set_leverage", "set_margin_mode", "wait_turn", "close"]


@pytest.fixture
def type_in(home: Home, monkeypatch: pytest.MonkeyPatch) -> Type:
    account = {"name": "main", "exchange": "bybit", "environment": "live"}
    keys = {"base_url": "http://127.0.0.1:9", "api_key": "KEYMAIN", "api_secret": "hush-hush-hush"}
    atomic_write_json(home.credentials, {"accounts": [account | keys]})
    atomic_write_json(home.asset_mapping, {})
    atomic_write_json(home.signal_weights, [])

    def typed(text: str, *options: str) -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return run(["console", *options])

    return typed


@pytest.fixture
def loop() -> Any:
    thread = LoopThread()
    yield thread
    thread.close()


def test_everything_is_at_hand(home: Home, type_in: Type, capsys: Capture) -> None:
    code = type_in(
        "print(home.root, settings.accounts[0].name, status['cycles'], signals, positions())\n"
        "print(accounts, status_now()['cycles'])\n"
    )
    text = capsys.readouterr().out

    assert code == 0
    assert f"{home.root} main 0 [] []" in text
    assert "<accounts main> 0" in text


def test_nothing_heavy_is_loaded_before_an_account_is_asked(type_in: Type) -> None:
    before = set(sys.modules)
    type_in("accounts\n")

    assert "ccxt" not in set(sys.modules) - before


def test_a_write_is_refused_in_one_line(type_in: Type, capsys: Capture) -> None:
    code = type_in("accounts['main'].place_orders([])\n")
    told = capsys.readouterr()

    assert code == 0
    assert "RefusedError: place_orders could change something" in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize("method", READS)
def test_reads_are_answered(method: str, loop: LoopThread) -> None:
    venue = ConsoleVenue("main", FakeVenue(VirtualClock(), Random(1)), loop, is_writable=False)

    assert callable(getattr(venue, method))


@pytest.mark.parametrize("method", WRITES)
def test_what_could_change_something_is_refused(method: str, loop: LoopThread) -> None:
    venue = ConsoleVenue("main", FakeVenue(VirtualClock(), Random(1)), loop, is_writable=False)

    with pytest.raises(RefusedError, match="--unsafe-write"):
        getattr(venue, method)


def test_a_write_goes_when_it_was_told(loop: LoopThread) -> None:
    venue = ConsoleVenue("main", FakeVenue(VirtualClock(), Random(1)), loop, is_writable=True)

    assert callable(venue.place_orders)
    assert repr(venue) == "<account main, writable>"


def test_a_writable_console_is_refused_beside_the_engine(
    home: Home, type_in: Type, capsys: Capture
) -> None:
    with lock_now(home.state / "trade-engine.lock", "trade-engine"):
        code = type_in("", "--unsafe-write", "--yes")

    assert code == ExitCode.BUSY
    assert "trade-engine" in capsys.readouterr().err


def test_a_writable_console_asks_first(type_in: Type) -> None:
    assert type_in("", "--unsafe-write") == ExitCode.REFUSED


def test_a_writable_console_says_so(type_in: Type, capsys: Capture) -> None:
    assert type_in("", "--unsafe-write", "--yes") == 0
    assert "UNSAFE" in capsys.readouterr().err


def test_no_secret_is_shown_by_what_is_at_hand(type_in: Type, capsys: Capture) -> None:
    type_in("settings\naccounts\nraise ValueError('hush-hush-hush')\n")
    told = capsys.readouterr()

    assert "hush-hush-hush" not in told.out + told.err


def test_an_account_that_is_not_there_is_a_key_error(home: Home, type_in: Type) -> None:
    type_in("")
    accounts = ConsoleAccounts(home, load_settings(home), is_writable=False)
    try:
        with pytest.raises(KeyError):
            accounts["other"]
    finally:
        accounts.close()


async def test_accounts_are_read_from_the_exchange(
    home: Home, type_in: Type, capsys: Capture
) -> None:
    keys = {"api_key": "KEYMAIN", "api_secret": SECRETS["main"], "environment": "paper"}
    async with bench() as running:
        await asyncio.to_thread(type_in, "")
        atomic_write_json(
            home.credentials, {"accounts": [{"name": "main", "exchange": "bybit", **keys}]}
        )
        replace_status(home, "paper-exchange", {"url": running.server.url})
        typed = "accounts['main'].connect()\nprint(accounts['main'].fetch_equity())\n"
        await asyncio.to_thread(type_in, typed)

    assert "Equity(" in capsys.readouterr().out
