"""What the venue refuses: A10, A17, A33."""

import asyncio
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from core.errors import RejectedError
from tests.drills.scripted import scripted
from tests.drills.stage import BTC, ETH, stage
from tests.virtual_time import run_virtually

TENTH = Decimal("0.1")


async def test_a10_a_rejected_symbol_does_not_trade_the_others_again(
    tmp_path: Path, venue: str
) -> None:
    """One rejected symbol kept the account unconfirmed: all others were traded at each pass.

    Must happen: the other symbol is confirmed and left alone; only the rejected one is retried.
    """
    async with stage(tmp_path, venue, retry_first_s=1, retry_max_s=1) as here:
        here.break_orders("reject_order", symbol=ETH, code=here.words.codes["size"])
        await here.alert("long", "1/100", symbol=ETH)
        signal = await here.alert("long", "2/100")
        await here.start()
        await here.passed(2, since=signal)
        here.server.pin(BTCUSDT="60300")
        await here.again(2)

        assert [o.size_lots for o in here.orders() if o.symbol == BTC] == [TENTH]
        assert here.symbol_status(BTC)["verified"]
        assert {e["symbol"] for e in here.events() if e["code"] == "confirmed"} == {BTC}
        assert not here.symbol_status(ETH)["verified"]


async def test_a17_a_leverage_that_cannot_be_set_opens_nothing(tmp_path: Path, venue: str) -> None:
    """The error was swallowed; then it was opened with the old leverage.

    Must happen: no order, an alert that names the symbol.
    """
    accounts = {"main": {"margin_mode": "cross"}}  # where isolated leverage goes with the order
    async with stage(tmp_path, venue, accounts=accounts) as here:
        here.break_at(here.words.leverage, "refuse", code=here.words.codes["risk_limit"], text="no")
        await here.start()
        await here.passed(since=await here.alert("long", "2/100"))
        await here.until(lambda: f"not_prepared/main/{BTC}" in here.alerts(), "told")

        assert here.orders() == []
        assert here.held() == 0


async def test_a17_a_leverage_that_is_set_already_is_a_success(tmp_path: Path, venue: str) -> None:
    """Must happen: "leverage not modified" does not stop the order."""
    async with stage(tmp_path, venue) as here:
        already_so = here.profile.codes["already_so"].split()[-1]
        here.break_at(here.words.leverage, "refuse", code=already_so, text="not modified")
        await here.start()
        await here.settled(await here.alert("long", "2/100"))

        assert here.held() == TENTH
        assert not [key for key in here.alerts() if key.startswith("not_prepared")]


async def test_a33_refused_for_margin_it_is_tried_smaller_once_and_then_waits(
    tmp_path: Path,
    venue: str,
) -> None:
    """An increase refused for margin was retried for ever, with fees, rate budget and alerts.

    Must happen: one smaller try, then none; an exit of another symbol goes meanwhile.
    """
    async with stage(tmp_path, venue, retry_first_s=1, retry_max_s=1) as here:
        await here.start()
        await here.settled(await here.alert("long", "1/100", symbol=ETH))
        here.forget()
        here.break_orders("reject_order", symbol=BTC, code=here.words.codes["margin"])
        signal = await here.alert("long", "2/100")
        await here.until(lambda: len(here.orders()) == 2, "tried twice")
        await here.passed(1, since=signal, where=lambda r: _has(r.symbols[BTC].reasons, "margin"))
        await here.again(2)
        assert len(here.orders()) == 2
        await here.alert("flat", symbol=ETH)
        await here.until(lambda: here.held(ETH) == 0, "the other one closed")

        assert [o.symbol for o in here.orders()] == [BTC, BTC, ETH]


def _has(reasons: tuple[object, ...], code: str) -> bool:
    return any(getattr(reason, "code", "") == code for reason in reasons)


@pytest.mark.parametrize("kind", ["margin", "risk_limit", "price", "other"])
def test_a33_a_refused_increase_backs_off(tmp_path: Path, kind: str) -> None:
    """Refused for an hour. Must happen: 5 s doubling to 120 s, at most 35 tries in the hour."""

    async def story() -> None:
        engine, venue = scripted(tmp_path, max_entry_age_s=0)
        venue.refuses = RejectedError("no", kind=kind)
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(3600)

        assert 2 <= len(venue.placed) <= (3 if kind == "margin" else 35)
        venue.refuses = None
        engine.want(lots=1)
        await engine.settled()
        assert engine.held() == 1
        await engine.stop()

    run_virtually(story())


def test_a33_a_refused_reduction_never_gives_up(tmp_path: Path) -> None:
    """Must happen: an exit that is refused is tried every 5 s, and goes when it is let."""

    async def story() -> None:
        engine, venue = scripted(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        venue.refuses, venue.refuses_reductions = RejectedError("no", kind="price"), True
        engine.want(lots=0)
        await asyncio.sleep(600)
        tries = venue.sent(reduce_only=True)
        assert len(tries) >= 100
        assert tries[-1].limit_price is None
        venue.refuses = None
        await engine.settled(within_s=6)

        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())


async def test_a33_a_pause_below_a_second_is_still_a_pause(tmp_path: Path, venue: str) -> None:
    """`retry_first_s` of 0.5 is a valid setting. Must happen: it is not taken for no pause."""
    async with stage(tmp_path, venue, retry_first_s=0.5, retry_max_s=0.5) as here:
        here.break_orders("reject_order", symbol=BTC, code=here.words.codes["size"])
        await here.start()
        await here.alert("long", "2/100")
        await here.until(lambda: len(here.orders()) >= 3, "three tries")
        at = [r.at_ms for r in here.requests() if here.words.on_the_wire(r)]

        assert min(later - earlier for earlier, later in pairwise(at)) >= 400
