"""What there is when somebody says `flatten`: positions of ours and of others, orders, signals."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from paper_exchange.account import position_key
from paper_exchange.orders import Ticket, TimeInForce
from tests.engine.command_house import ENGINE_ID, SYMBOLS, CommandHouse
from tests.venues import WORDS, Door

ME: Final = "main"
BTC, ETH, DOGE = SYMBOLS


async def signals(house: CommandHouse) -> None:
    """Say something that opens or flips, without end."""
    wish = random.Random(1)
    while True:
        symbol, share = wish.choice(SYMBOLS), wish.choice(["0.03", "-0.03", "0.01", "-0.02"])
        house.say(**{symbol: share})
        await asyncio.sleep(wish.uniform(0.05, 1.5))


async def _traded(house: CommandHouse, **shares: str) -> None:
    await house.start()
    house.say(**shares)
    await asyncio.sleep(15)
    assert {s for s, _ in house.sizes(ME)} == set(shares)


async def long(house: CommandHouse) -> None:
    await _traded(house, BTCUSDT="0.02")


async def short(house: CommandHouse) -> None:
    await _traded(house, ETHUSDT="-0.03")


async def several(house: CommandHouse) -> None:
    await _traded(house, BTCUSDT="-0.02", ETHUSDT="0.03", DOGEUSDT="0.01")


async def by_hand(house: CommandHouse) -> None:
    paper = house.server.account(ME)
    house.server.exchange.trade_by_hand(paper, BTC, house.lots(ME, BTC, "0.2"))
    house.server.exchange.trade_by_hand(paper, ETH, -house.lots(ME, ETH, "2"))
    await house.start()
    await asyncio.sleep(5)


async def dust(house: CommandHouse) -> None:
    """One step of a contract whose smallest order is more, where the venue has such a thing."""
    instruments = WORDS[house.venues[ME]].instrument
    symbol = next((s for s in SYMBOLS if instruments(s).min_lots > instruments(s).step_lots), DOGE)
    row, paper = instruments(symbol), house.server.account(ME)
    price = row.reference_price * row.contract_size
    smallest = max(row.min_lots, row.min_notional_usdt * 2 / price) // row.step_lots + 1
    house.server.exchange.trade_by_hand(paper, symbol, smallest * row.step_lots)
    state = house.state(ME)
    key = position_key(symbol, 0)
    left = replace(state.positions[key], size_lots=row.step_lots)
    after = replace(state, positions={key: left})
    house.server.exchange.change(paper.id, after, house.clock.now_ms())
    await house.start()
    await asyncio.sleep(5)


async def both_sides(house: CommandHouse) -> None:
    house.hedge(ME)
    lots = house.lots(ME, BTC, "0.1")
    for side, sign, count in ((1, 1, 2), (2, -1, 1)):
        ticket = Ticket(symbol=BTC, size_lots=sign * count * lots, side_index=side)
        house.place_directly(ME, ticket, f"hand-{side}")
    await house.start()
    await asyncio.sleep(5)


async def unknown_order(house: CommandHouse) -> None:
    """Ours is held, and more was asked for: the answer is lost and cannot be looked up."""
    words = WORDS[house.venues[ME]]
    await _traded(house, BTCUSDT="0.02")
    door = Door("POST", words.placing)
    lost = [house.server.add_fault("drop_after", account=ME, count=1, **door.fault)]
    lost += [house.server.add_fault("http", **d.fault) for d in words.look_up]
    house.say(BTCUSDT="0.04", ETHUSDT="-0.02")
    await asyncio.sleep(0.4)
    for one in lost:
        house.server.remove_fault(one)


async def on_the_way(house: CommandHouse) -> None:
    """Ours is held, and more is on its way: it arrives when nobody waits for it any more."""
    await _traded(house, BTCUSDT="0.02")
    door = Door("POST", WORDS[house.venues[ME]].placing)
    house.server.add_fault("latency", ms=18_000, account=ME, count=1, **door.fault)
    house.say(BTCUSDT="0.04")
    await asyncio.sleep(0.4)


async def resting(house: CommandHouse) -> None:
    """An order of ours that no journal knows waits far below the price, beside a position."""
    paper = house.server.account(ME)
    house.server.exchange.trade_by_hand(paper, BTC, house.lots(ME, BTC, "0.1"))
    row = WORDS[house.venues[ME]].instrument(BTC)
    price = row.reference_price * Decimal("0.8")
    ticket = Ticket(
        symbol=BTC,
        size_lots=house.lots(ME, BTC, "0.1"),
        client_id=f"te{ENGINE_ID}zzzz0lp0000000001",
        limit_price=price - price % row.tick_size,
        time_in_force=TimeInForce.GTC,
    )
    house.place_directly(ME, ticket, "rests-1")
    await house.start()


async def busy(house: CommandHouse) -> None:
    """Signals that open and flip without end."""
    await _traded(house, BTCUSDT="0.02", ETHUSDT="0.02")


SITUATIONS: Final[Mapping[str, Callable[[CommandHouse], Awaitable[None]]]] = {
    "long": long,
    "short": short,
    "several": several,
    "by hand": by_hand,
    "dust": dust,
    "both sides": both_sides,
    "unknown order": unknown_order,
    "on the way": on_the_way,
    "resting": resting,
    "busy": busy,
}
