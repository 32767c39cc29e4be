"""Remainders too small to be traded: A28."""

from pathlib import Path

from tests.drills.stage import Stage, share, stage

DOGE = "DOGEUSDT"
LEAST = {"main": {"min_order_notional_usdt": "118"}}  # 590 DOGE at 0.2


async def hold_doge(here: Stage, coins: int) -> None:
    """Have the engine hold so many, worth 0.2 USDT each."""
    signal = await here.alert("long", share(coins, "0.2"), symbol=DOGE)
    await here.settled(signal)


def sent(here: Stage) -> list[tuple[int, bool]]:
    """What was ordered: coins, and whether it may only reduce."""
    return [(int(o.size_lots), o.reduce_only) for o in here.orders()]


async def test_a28_a_remainder_below_the_minimum_is_closed_with_the_rest(
    tmp_path: Path, venue: str
) -> None:
    """A reduction left dust that could neither be closed nor ignored.

    Must happen: a target that sizes below the minimum closes the whole position.
    """
    async with stage(tmp_path, venue, accounts=LEAST, symbols=(DOGE,)) as here:
        here.server.pin(DOGEUSDT="0.2")
        await here.start()
        await hold_doge(here, 3_000)
        assert here.held(DOGE) == 3_000
        await hold_doge(here, 400)

        assert here.held(DOGE) == 0
        assert sent(here) == [(3_000, False), (-3_000, True)]


async def test_a28_a_reduction_leaves_no_remainder_below_the_minimum(
    tmp_path: Path, venue: str
) -> None:
    """600 DOGE wanted were worth 120 USDT and are worth 114 now, when 2,400 more are sold.

    Must happen: less than 118 USDT could not be closed by themselves, so all 3,000 are.
    """
    async with stage(
        tmp_path, venue, accounts=LEAST, symbols=(DOGE,), ticker_max_age_s=0.2
    ) as here:
        here.server.pin(DOGEUSDT="0.2")
        here.trade(600, symbol=DOGE)
        await here.start()
        await hold_doge(here, 615)
        here.server.pin(DOGEUSDT="0.19")
        await here.price_of(DOGE, "0.19")
        here.trade(2_400, symbol=DOGE)
        await here.again(2)

        assert here.held(DOGE) == 0
        assert sent(here) == [(-3_000, True)]


async def test_a28_what_is_left_by_hand_is_closed_by_the_exit(tmp_path: Path, venue: str) -> None:
    """Somebody left of a position what is worth less than the least order.

    Must happen: the exit closes it once; it is not tried for ever.
    """
    async with stage(tmp_path, venue, accounts=LEAST, symbols=(DOGE,)) as here:
        here.server.pin(DOGEUSDT="0.2")
        here.trade(3_000, symbol=DOGE)
        here.trade(-2_900, symbol=DOGE)
        await here.start()
        await here.settled(await here.alert("flat", symbol=DOGE))
        await here.again(2)

        assert here.held(DOGE) == 0
        assert sent(here) == [(-100, True)]


async def test_a28_half_of_the_smallest_order_goes_by_the_venue_s_own_way_or_is_told(
    tmp_path: Path, venue: str
) -> None:
    """Held is half of what the venue takes as an order.

    Must happen: the venue's own way to close a whole position where it has one, else it is told;
    it is not tried for ever.
    """
    async with stage(tmp_path, venue) as here:
        crumb = here.hold_crumb()
        await here.start()
        signal = await here.alert("flat")
        await here.passed(1, since=signal)
        await here.again(2)
        tries = here.writes()
        await here.again(2)

        assert here.writes() == tries
        if here.profile.close_all is None:
            assert here.held() == crumb
            assert "dust" in here.symbol_status()["reason"]
        else:
            assert here.held() == 0
            assert len(tries) == 1
