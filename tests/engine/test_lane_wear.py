"""What an hour, a midnight or a restart in an odd state costs, and that alerts end with it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import UnknownOutcomeError
from core.journal import Journal
from core.ledger import HoldKind
from core.model import Mode, OrderState, OrderStatus, PositionsRead
from core.orders_history import newest_rows
from tests.disk_full import disk_full_after
from tests.engine.harness import Engine, paper_account
from tests.engine.scenes import S, codes_of, failing, holding, refuse_orders, replace_call
from tests.virtual_time import run_virtually

HOUR_S = 3600
DAY_MS = 86_400_000
HELD_ALERT = "external_change/one/BTCUSDT"


async def change_by_hand(engine: Engine, lots: int) -> None:
    """Let a person trade, and wait until that counts."""
    engine.venue.trade_by_hand(S, Decimal(lots))
    await asyncio.sleep(130)


async def restart_with_clock_moved(engine: Engine, by_ms: int) -> None:
    await engine.crash()
    engine.clock._offset_ms += by_ms
    engine.start()
    await asyncio.sleep(70)


def unreadable_row(engine: Engine) -> None:
    async def read() -> PositionsRead:
        rows: PositionsRead = await honest()
        return replace(rows, positions={}, unreadable=frozenset({S}))

    honest = replace_call(engine, "fetch_positions", read)


def fate_unknown(engine: Engine) -> None:
    refuse_orders(engine, UnknownOutcomeError("no answer"))
    replace_call(engine, "fetch_order", failing)
    engine.want(lots=3)


def cannot_be_flattened(engine: Engine) -> None:
    engine.venue.held["BTCPERP"] = Decimal(1)  # not one of the perpetuals that we can trade
    engine.mode = (Mode.FLATTEN, "flatten by me")
    engine.nudge()


def reads_fail(engine: Engine) -> None:
    engine.venue.faults.read_fails = 1


@pytest.mark.parametrize(
    ("begin", "most_a_minute"),
    [
        pytest.param(unreadable_row, 10, id="unreadable-row"),
        pytest.param(fate_unknown, 75, id="look-ups-fail"),
        pytest.param(cannot_be_flattened, 6, id="not-to-be-flattened"),
        pytest.param(reads_fail, 10, id="reads-fail"),
    ],
)
def test_an_hour_in_an_odd_state_floods_neither_the_venue_nor_the_disk(
    tmp_path: Path, begin: Callable[[Engine], None], most_a_minute: int
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        begin(engine)
        await asyncio.sleep(60)
        requests, events = len(engine.venue.requests), len(engine.events_disk.rows)
        rows = len(engine.disk.rows)
        await asyncio.sleep(HOUR_S)

        assert (len(engine.venue.requests) - requests) / 60 <= most_a_minute
        assert len(engine.events_disk.rows) - events < 20
        assert len(engine.disk.rows) - rows < 20
        await engine.stop()

    run_virtually(story())


def test_a_symbol_that_the_venue_does_not_list_is_alerted_and_costs_a_resync_a_minute(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, symbols=(S, "NOPEUSDT"))
        engine.venue.symbols = (S,)
        engine.start()
        engine.want("NOPEUSDT", lots=1)
        engine.want(lots=1)
        await asyncio.sleep(60)
        assert engine.held() == 1
        requests, events = len(engine.venue.requests), len(engine.events_disk.rows)
        await asyncio.sleep(HOUR_S)

        assert (len(engine.venue.requests) - requests) / 60 <= 6
        assert len(engine.events_disk.rows) - events < 20
        assert "not_listed/one/NOPEUSDT" in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_b15_the_alert_of_a_full_disk_ends_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.disk.is_full = True
        engine.want(lots=3)
        await asyncio.sleep(20)
        assert "disk/one" in engine.alerts()
        engine.disk.is_full = False
        await asyncio.sleep(200)

        assert engine.held() == 3
        assert "disk/one" not in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_the_alert_of_a_hold_is_raised_again_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await change_by_hand(engine, -2)
        await engine.crash()
        engine.start()
        await asyncio.sleep(130)

        assert engine.desk.ledger(S).hold is not None
        assert HELD_ALERT in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_where_changes_are_restored_no_alert_stays_behind(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2, external_change_policy="restore")
        await change_by_hand(engine, -2)
        await change_by_hand(engine, -1)
        engine.want(lots=1)
        await asyncio.sleep(200)

        assert HELD_ALERT not in engine.alerts()
        assert engine.codes().count("external_change") == 2
        await engine.stop()

    run_virtually(story())


def test_an_orphan_is_alerted(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1)
        engine.settings = replace(engine.settings, weights=())
        engine.nudge()
        await asyncio.sleep(130)

        assert "orphan/one/BTCUSDT" in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_a_hold_made_while_the_clock_was_ahead_can_be_lifted(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await restart_with_clock_moved(engine, 3_600_000)
        await change_by_hand(engine, -2)
        await restart_with_clock_moved(engine, -3_600_000)
        assert engine.desk.ledger(S).hold is not None
        engine.resumed[S] = engine.clock.now_ms()
        engine.nudge()
        await asyncio.sleep(30)

        assert engine.desk.ledger(S).hold is None
        await engine.stop()

    run_virtually(story())


def test_setting_the_clock_back_lets_no_old_instruction_lift_a_hold(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)  # the clock is an hour ahead, nobody knows
        await change_by_hand(engine, -2)
        await restart_with_clock_moved(engine, -3_600_000)

        assert engine.desk.ledger(S).hold is not None
        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())


def test_a_liquidation_does_not_colour_the_change_after_it(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.venue.orders["liq"] = OrderState(
            client_id="",
            order_id="liq",
            symbol=S,
            size_lots=Decimal(-2),
            filled_lots=Decimal(-2),
            status=OrderStatus.FILLED,
            is_liquidation=True,
            updated_at_ms=engine.clock.now_ms(),
        )
        await change_by_hand(engine, -2)
        hold = engine.desk.ledger(S).hold
        assert hold is not None
        assert hold.kind is HoldKind.LIQUIDATION
        engine.resumed[S] = engine.clock.now_ms()
        engine.nudge()
        await engine.settled()
        await asyncio.sleep(60)
        await change_by_hand(engine, -1)
        hold = engine.desk.ledger(S).hold

        assert hold is not None
        assert hold.kind is HoldKind.EXTERNAL
        await engine.stop()

    run_virtually(story())


def test_b15_our_own_fill_whose_intent_a_full_disk_lost_is_still_ours(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.disk.is_full = True
        engine.want(lots=0)
        await asyncio.sleep(5)
        assert engine.held() == 0
        await engine.crash()
        engine.disk.is_full = False
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(100)

        assert engine.desk.ledger(S).hold is None
        assert engine.held() == 1
        await engine.stop()

    run_virtually(story())


def test_b15_two_midnights_of_a_full_disk_do_not_hide_the_ledger(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "orders-")
    began_ms = 20_000 * DAY_MS
    journal.append_sync([{"t": "held"}], at_ms=began_ms)
    for day in (1, 2):
        with disk_full_after(0), pytest.raises(OSError, match="File too large"):
            journal.append_sync([{"t": "held"}], at_ms=began_ms + day * DAY_MS)
    journal.close()
    assert len(list(tmp_path.iterdir())) == 3

    assert newest_rows(tmp_path, "orders-") == ([{"t": "held"}], 0)


def test_leverage_changed_by_hand_while_flat_is_set_again_before_the_next_entry(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1)
        engine.want(lots=0)
        await engine.settled()
        engine.venue.leverage[S] = Decimal(50)
        await asyncio.sleep(310)
        engine.want(lots=1)
        await engine.settled()

        assert engine.held() == 1
        assert engine.venue.leverage[S] == 3
        await engine.stop()

    run_virtually(story())


def test_a_symbol_held_in_the_wrong_margin_mode_is_not_increased(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(margin_mode="isolated"))
        engine.start()  # the venue says cross
        engine.venue.trade_by_hand(S, Decimal(1))
        engine.want(lots=2)
        await asyncio.sleep(60)
        assert engine.held() == 1
        assert "margin_mode" not in engine.venue.requests
        assert "margin_mode" in codes_of(engine)
        assert "margin_mode/one/BTCUSDT" in engine.alerts()
        engine.want(lots=0)
        await asyncio.sleep(60)

        assert engine.held() == 0
        assert "margin_mode/one/BTCUSDT" not in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_a25_orders_that_another_engine_made_long_ago_trip_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1)
        engine.desk.strangers_since_ms = lambda: engine.clock.now_ms() - 3_600_000
        engine.venue.orders["x"] = OrderState(
            client_id="tezzzzzacct000000000aaaa",
            order_id="x",
            symbol=S,
            size_lots=Decimal(1),
            filled_lots=Decimal(1),
            status=OrderStatus.FILLED,
            updated_at_ms=engine.clock.now_ms() - DAY_MS,
        )
        await change_by_hand(engine, 1)
        engine.resumed[S] = engine.clock.now_ms()
        engine.nudge()
        await change_by_hand(engine, 1)

        assert engine.trips == []
        await engine.stop()

    run_virtually(story())


def test_a_finished_flatten_confirms_nothing_and_sends_nothing_any_more(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.mode = (Mode.FLATTEN, "flatten by me")
        engine.want(lots=3)
        await asyncio.sleep(90)
        assert engine.held() == 0
        frozen = engine.desk.frozen.get("one", S)
        assert frozen is not None
        assert not frozen.confirmed
        sent = len(engine.venue.placed)
        engine.venue.trade_by_hand(S, Decimal(1))
        await asyncio.sleep(HOUR_S)

        assert len(engine.venue.placed) == sent
        await engine.stop()

    run_virtually(story())


def test_reads_that_list_nothing_for_a_while_make_no_hold(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        await asyncio.sleep(5)

        async def nothing() -> PositionsRead:
            rows: PositionsRead = await honest()
            return replace(rows, positions={})

        honest = replace_call(engine, "fetch_positions", nothing)
        await asyncio.sleep(20)  # degraded: 200 with an empty list, margin in use
        replace_call(engine, "fetch_positions", honest)
        await asyncio.sleep(70)

        assert engine.desk.ledger(S).hold is None
        assert engine.held() == 2
        await engine.stop()

    run_virtually(story())


def test_an_entry_that_came_too_late_is_not_told_as_held_as_wanted(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.venue.faults.read_fails = 1
        engine.want(lots=1)
        await asyncio.sleep(950)
        engine.venue.faults.read_fails = 0
        await asyncio.sleep(120)
        said = [row["text"] for row in engine.events_disk.rows if row["code"] == "confirmed"]

        assert said
        assert not any("as wanted" in text for text in said)
        await engine.stop()

    run_virtually(story())
