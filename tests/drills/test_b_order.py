"""Which alert counts, and what adds up, down to the position: B11, B12."""

from decimal import Decimal
from pathlib import Path

from tests.drills.stage import BTC, stage

TENTH = Decimal("0.1")


async def test_b11_sequences_are_compared_as_numbers(tmp_path: Path, venue: str) -> None:
    """Ids were compared as text: 10 came before 9, and an exit was dropped.

    Must happen: of two alerts within seconds the larger number counts, whichever came first.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100", signal_seq="9"))
        await here.settled(await here.alert("flat", signal_seq="10"))
        assert here.held() == 0
        await here.alert("long", "2/100", signal_seq="9")
        await here.settled(await here.alert("long", "1/100", signal_seq="11"))

        assert TENTH * Decimal("0.48") < here.held() <= TENTH / 2
        assert [o.size_lots for o in here.orders()] == [TENTH, -TENTH, here.held()]


async def test_b12_two_source_symbols_of_one_target_add_up(tmp_path: Path, venue: str) -> None:
    """Two source symbols that are mapped to one target overwrote each other.

    Must happen: they add up; an exit of one leaves the other.
    """
    async with stage(tmp_path, venue) as here:
        here.write("asset_mapping_config.json", {"tradingview": {"BTCUSDT": BTC, "XBTUSD": BTC}})
        await here.start()
        await here.settled(await here.alert("long", "2/100", symbol="BTCUSDT"))
        await here.settled(await here.alert("long", "2/100", symbol="XBTUSD"))
        both = here.held()
        await here.settled(await here.alert("flat", symbol="BTCUSDT"))

        assert both > TENTH * Decimal("1.98")
        assert TENTH * Decimal("0.98") < here.held() <= TENTH
