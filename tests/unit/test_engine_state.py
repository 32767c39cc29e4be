"""The small files and desks of the engine: frozen lots, trips, market data, accounts, events."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.decision import Frozen
from core.errors import BusyError, ConfigError, TransientError
from core.events import Events
from core.frozen_targets import FrozenTargets
from core.intents import OrdersJournal
from core.lanes.lane import Lane
from core.lanes.market_desk import INSTRUMENTS_MAX_AGE_MS, MarketDesk
from core.lanes.roster import Roster
from core.model import Instrument, Ticker
from core.orders_history import newest_rows
from core.settings import AccountConfig
from tests.engine.fake_venue import INSTRUMENT, MARK
from tests.engine.harness import MemoryLog, paper_account
from tests.virtual_time import VirtualClock, run_virtually

FROZEN = Frozen(version="v", exposure=Decimal("0.1"), leverage=Decimal(3), lots=Decimal(2))


def test_frozen_lots_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    frozen = replace(FROZEN, confirmed=True, started=True, expired=True, reason="why")
    FrozenTargets(path).put("one", {"BTCUSDT": frozen})
    assert FrozenTargets(path).get("one", "BTCUSDT") == frozen
    assert FrozenTargets(path).get("two", "BTCUSDT") is None


def test_unchanged_frozen_lots_are_not_written_again(tmp_path: Path) -> None:
    targets = FrozenTargets(tmp_path / "targets.json")
    assert targets.put("one", {"BTCUSDT": FROZEN})
    assert not targets.put("one", {"BTCUSDT": FROZEN})


def test_a_symbol_without_a_target_is_dropped(tmp_path: Path) -> None:
    targets = FrozenTargets(tmp_path / "targets.json")
    targets.put("one", {"BTCUSDT": FROZEN, "ETHUSDT": FROZEN})
    targets.put("one", {}, only={"ETHUSDT"})
    assert list(targets.of_account("one")) == ["ETHUSDT"]


@pytest.mark.parametrize("content", ["{", '{"one": 5}', '{"one": {"B": {"version": 1}}}'])
def test_a_torn_targets_file_is_noticed_and_begun_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "targets.json"
    path.write_text(content)
    targets = FrozenTargets(path)
    assert targets.was_lost
    assert targets.put("one", {"BTCUSDT": FROZEN})


class FakeMarket:
    """Obeys the `Market` port; fails on demand."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.fails = False
        self.price = MARK

    async def fetch_instruments(self) -> Mapping[str, Instrument]:
        await self._answer("instruments")
        return {"BTCUSDT": INSTRUMENT}

    async def fetch_tickers(self, symbols: Collection[str]) -> Mapping[str, Ticker]:
        await self._answer("tickers")
        return {
            s: Ticker(
                symbol=s,
                mark_price=self.price,
                last_price=None,
                bid_price=None,
                ask_price=None,
                read_at_ms=0,
            )
            for s in symbols
        }

    async def _answer(self, what: str) -> None:
        self.requests.append(what)
        await asyncio.sleep(0.1)
        if self.fails:
            raise TransientError("no answer")


def test_askers_at_the_same_time_share_one_request() -> None:
    async def story() -> None:
        market = FakeMarket()
        desk = MarketDesk(market, VirtualClock(), ticker_max_age_s=5)
        await asyncio.gather(*(desk.tickers(["BTCUSDT"]) for _ in range(9)))
        await desk.tickers(["BTCUSDT"])
        assert market.requests == ["tickers"]
        await desk.tickers(["ETHUSDT"])  # was not asked for before
        assert market.requests == ["tickers"] * 2
        await desk.close()

    run_virtually(story())


def test_a_symbol_that_is_watched_since_the_last_read_is_read_now() -> None:
    async def story() -> None:
        market = FakeMarket()
        desk = MarketDesk(market, VirtualClock(), ticker_max_age_s=5)
        assert await desk.tickers([]) == {}
        desk.watch(["BTCUSDT"])
        assert "BTCUSDT" in await desk.tickers(["BTCUSDT"])
        late = asyncio.gather(desk.tickers([]), desk.tickers(["ETHUSDT"]))
        assert "ETHUSDT" in (await late)[1]
        await asyncio.sleep(6)
        first = asyncio.ensure_future(desk.tickers(["BTCUSDT"]))
        await asyncio.sleep(0.01)
        assert "XRPUSDT" in await desk.tickers(["XRPUSDT"])
        await first
        await desk.close()

    run_virtually(story())


def test_a13_prices_have_an_age_limit() -> None:
    async def story() -> None:
        market = FakeMarket()
        desk = MarketDesk(market, VirtualClock(), ticker_max_age_s=5)
        await desk.tickers(["BTCUSDT"])
        market.price = MARK * 2
        await asyncio.sleep(5)
        tickers = await desk.tickers(["BTCUSDT"])
        assert tickers["BTCUSDT"].mark_price == MARK * 2
        assert desk.last_price("BTCUSDT") == MARK * 2
        await desk.close()

    run_virtually(story())


def test_b2_a_failed_instrument_read_is_not_kept_and_old_ones_serve_to_close() -> None:
    async def story() -> None:
        market = FakeMarket()
        desk = MarketDesk(market, VirtualClock(), ticker_max_age_s=5)
        market.fails = True
        with pytest.raises(TransientError):
            await desk.instruments()
        market.fails = False
        assert "BTCUSDT" in await desk.instruments()
        await desk.instruments()
        assert market.requests == ["instruments"] * 2
        market.fails = True
        await asyncio.sleep(INSTRUMENTS_MAX_AGE_MS / 1000 + 1)
        with pytest.raises(TransientError):
            await desk.instruments()
        assert "BTCUSDT" in desk.last_instruments()
        await desk.close()

    run_virtually(story())


def test_closing_a_desk_gives_up_what_is_under_way() -> None:
    async def story() -> None:
        desk = MarketDesk(FakeMarket(), VirtualClock(), ticker_max_age_s=5)
        asking = asyncio.ensure_future(desk.tickers(["BTCUSDT"]))
        await asyncio.sleep(0.01)
        await desk.close()
        with pytest.raises(asyncio.CancelledError):
            await asking

    run_virtually(story())


def test_b10_an_account_that_cannot_be_opened_parks_alone() -> None:
    async def story() -> None:
        clock = VirtualClock()
        events = Events(MemoryLog(), clock)
        tries: dict[str, int] = {}

        def open_account(account: AccountConfig) -> Lane:
            tries[account.name] = tries.get(account.name, 0) + 1
            if account.name == "keyless":
                raise ConfigError("no key")
            if account.name == "busy" and tries["busy"] < 3:
                raise BusyError("pid 7 holds it")
            if account.name == "paper" and tries["paper"] < 4:
                raise TransientError("waits for the paper exchange")
            return object.__new__(Lane)

        names = ("keyless", "busy", "paper", "good")
        accounts = [paper_account(name=name) for name in names]
        accounts.append(paper_account(name="off", enabled=False))
        roster = Roster(accounts, open_account, events, clock, OrdersJournal(MemoryLog(), clock))
        joined: list[Lane] = []
        await roster.fill(joined.append)

        states = {p.account.name: p.state for p in roster.places}
        assert states["keyless"] == "unconfigured"
        assert states["off"] == "disabled"
        assert len(joined) == 3
        assert tries == {"keyless": 1, "busy": 3, "paper": 4, "good": 1}
        assert {a.key for a in events.standing()} == {"account/keyless"}
        await events.drain()

    run_virtually(story())


def test_an_alert_is_told_once_counted_and_cleared_once() -> None:
    async def story() -> None:
        log = MemoryLog()
        events = Events(log, VirtualClock())
        for _ in range(3):
            events.alert("k", "trouble", account="one")
        events.alert("k", "worse", severity="error")
        (alert,) = events.standing()
        assert alert.severity == "error"
        events.clear("k")
        events.clear("k")
        await events.drain()
        assert [row["code"] for row in log.rows] == ["k", "k", "k:over"]
        assert events.standing() == ()

    run_virtually(story())


def test_an_event_that_cannot_be_stored_stops_nothing() -> None:
    async def story() -> None:
        log = MemoryLog(is_full=True)
        events = Events(log, VirtualClock())
        events.emit("code", "text")
        await events.drain()
        assert log.rows == []

    run_virtually(story())


def test_history_is_the_newest_two_days(tmp_path: Path) -> None:
    for day in ("2026-01-01", "2026-01-05", "2026-01-09"):
        (tmp_path / f"orders-{day}.jsonl").write_text(f'{{"day":"{day}"}}\n')
    rows, torn = newest_rows(tmp_path, "orders-")
    assert [row["day"] for row in rows] == ["2026-01-05", "2026-01-09"]
    assert torn == 0
    assert newest_rows(tmp_path, "other-") == ([], 0)


def test_a_history_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "orders-2026-01-01.jsonl").mkdir()
    (tmp_path / "gone").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        newest_rows(tmp_path / "nowhere", "orders-")
