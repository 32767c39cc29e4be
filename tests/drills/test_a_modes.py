"""Hedge mode and leverage: A15, A18, A19."""

from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import pytest

from paper_exchange.account import Position, position_key
from tests.drills.stage import BTC, Stage, stage

TENTH = Decimal("0.1")


def hedge(here: Stage, **sides: str) -> None:
    """Put the account into hedge mode, holding so much on its sides."""
    positions = {}
    for name, coins in sides.items():
        index = {"long": 1, "short": 2}[name]
        positions[position_key(BTC, index)] = Position(
            symbol=BTC,
            side_index=index,
            size_lots=here.lots(coins),
            entry_price=Decimal(60_000),
            created_ms=1,
            updated_ms=1,
        )
    here.change_state(hedged={"": True}, positions=positions)


def sides(here: Stage) -> dict[int, Decimal]:
    """What is held on each side, in base coins."""
    exchange = here.server.exchange
    state = exchange.states[here.server.account("main").id]
    return {p.side_index: here.coins(p.size_lots) for p in state.positions.values()}


async def test_a15_in_hedge_mode_each_order_names_its_side(tmp_path: Path, venue: str) -> None:
    """The empty side was read, or both sides were held.

    Must happen: opened, reduced, flipped and closed on the right side; never both.
    """
    async with stage(tmp_path, venue) as here:
        hedge(here)
        await here.start()
        held = []
        for direction, size in (("long", "2/100"), ("long", "1/100"), ("short", "2/100")):
            await here.settled(await here.alert(direction, size))
            held.append(sides(here))
        await here.settled(await here.alert("flat"))

        assert [list(one) for one in held] == [[1], [1], [2]]
        assert held[0][1] == TENTH > held[1][1] > 0 > held[2][2]
        assert sides(here) == {}
        assert [(o.side, o.reduce_only) for o in here.orders()] == [
            ("long", False),
            ("long", True),
            ("long", True),
            ("short", False),
            ("short", True),
        ]


async def test_a15_both_sides_held_by_a_person_are_told_and_left(
    tmp_path: Path, venue: str
) -> None:
    """Must happen: no sum is made of two sides; nothing opens, and it says so clearly."""
    async with stage(tmp_path, venue) as here:
        hedge(here, long="0.1", short="-0.05")
        await here.start()
        signal = await here.alert("long", "4/100")
        await here.passed(1, since=signal)
        await here.again()

        assert here.orders() == []
        assert "both" in here.symbol_status()["reason"] + str(here.alerts())
        assert sides(here) == {1: TENTH, 2: Decimal("-0.05")}


@pytest.mark.parametrize("margin_mode", ["keep", "isolated"])
async def test_a18_an_alert_with_another_leverage_sells_nothing(
    tmp_path: Path, venue: str, margin_mode: str
) -> None:
    """A changed leverage closed the position and opened it again at market, by a mere alert.

    Must happen: the same size at another leverage sends no order at all.
    """
    accounts: dict[str, dict[str, Any]] = {"main": {"margin_mode": margin_mode}}
    async with stage(tmp_path, venue, accounts=accounts) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.forget()
        signal = await here.alert("long", "3/100", leverage=2)
        await here.passed(1, since=signal)
        await here.again(2)

        assert here.orders() == []
        assert here.held() == TENTH


@pytest.mark.parametrize("margin_mode", ["keep", "isolated"])
async def test_a18_a_larger_leverage_never_closes_what_is_held(
    tmp_path: Path, venue: str, margin_mode: str
) -> None:
    """Must happen: set in place and added to, or nothing until flat; no reduction."""
    accounts: dict[str, dict[str, Any]] = {"main": {"margin_mode": margin_mode}}
    async with stage(tmp_path, venue, accounts=accounts) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.forget()
        here.weigh(BTC, leverage=5)
        signal = await here.alert("long", "3/100")
        await here.until(lambda: (here.target() or 0) > TENTH, "the new target")
        await here.passed(1, since=signal)
        await here.again(2)

        assert not any(o.reduce_only for o in here.orders())
        assert here.held() >= TENTH
        assert here.held() == here.target() or here.symbol_status()["reason"]


async def test_a19_the_override_of_an_account_is_applied_before_sizing(
    tmp_path: Path, venue: str
) -> None:
    """The override was applied after sizing: three times what the account was to hold.

    Must happen: 2 % at 1x is 0.0333 BTC, and the venue is told 1x.
    """
    accounts: dict[str, dict[str, Any]] = {"main": {"leverage_override": "1"}}
    async with stage(tmp_path, venue, accounts=accounts) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))

        wanted = (Decimal(2_000) / 60_000 / here.step()).to_integral_value(ROUND_DOWN)
        assert here.held() == wanted * here.step()
        assert here.leverage_in_force() == 1
