"""Sizes: toward zero, never rounded up to a minimum, split without loss."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.model import ZERO, Instrument
from core.sizing import (
    BELOW_MINIMUM,
    collar_price,
    minimum_lots,
    notional_usdt,
    size_target,
    split_lots,
    toward_zero,
)

ETH = Instrument(
    symbol="ETHUSDT",
    step_lots=Decimal("0.01"),
    min_lots=Decimal("0.01"),
    max_market_lots=Decimal(724),
    min_notional_usdt=Decimal(5),
    contract_size=Decimal(1),
    tick_size=Decimal("0.01"),
    max_leverage=Decimal(100),
    leverage_step=Decimal("0.01"),
)
sizes = st.integers(-100_000, 100_000).map(lambda n: n * ETH.step_lots)


def test_the_readme_s_example_is_sized_by_hand() -> None:
    # 100,000 x 0.058 x 0.1 x 3 / 3328.25 = 0.5228...
    sized = size_target(
        Decimal("0.058") * Decimal("0.1") * 3, Decimal(100_000), Decimal("3328.25"), ETH
    )
    assert sized.lots == Decimal("0.52")


def test_b14_decimal_noise_loses_no_lot() -> None:
    exact = Decimal("0.12") - Decimal("0.10")
    assert toward_zero(exact, Decimal("0.01")) == Decimal("0.02")


def test_a16_a_target_below_the_minimum_is_zero_with_a_reason() -> None:
    sized = size_target(Decimal("0.00003"), Decimal(100_000), Decimal(3000), ETH)
    assert sized.lots == 0
    assert sized.reason == BELOW_MINIMUM


def test_a30_a_contract_size_other_than_one_is_honoured() -> None:
    xbt = Instrument(
        symbol="BTCUSDT",
        step_lots=Decimal(1),
        min_lots=Decimal(1),
        max_market_lots=None,
        min_notional_usdt=Decimal(0),
        contract_size=Decimal("0.001"),
        tick_size=Decimal("0.1"),
        max_leverage=Decimal(100),
        leverage_step=Decimal("0.01"),
    )
    sized = size_target(Decimal("0.5"), Decimal(100_000), Decimal(50_000), xbt)
    assert sized.lots == 1000
    assert notional_usdt(sized.lots, Decimal(50_000), xbt) == 50_000


@given(
    st.decimals("-3", "3", places=6),
    st.decimals("1", "1000000", places=2),
    st.decimals("0.5", "90000", places=2),
)
def test_a_size_is_never_larger_than_asked_and_less_than_a_step_smaller(
    exposure: Decimal, equity: Decimal, price: Decimal
) -> None:
    sized = size_target(exposure, equity, price, ETH)
    exact = equity * exposure / price
    assert abs(sized.lots) <= abs(exact)
    assert sized.lots * exposure >= 0
    if sized.lots:
        assert abs(exact - sized.lots) < ETH.step_lots
        assert abs(sized.lots) >= minimum_lots(ETH, price)
    else:
        assert abs(exact) < minimum_lots(ETH, price) + ETH.step_lots


@given(sizes, st.one_of(st.none(), st.integers(1, 5000).map(lambda n: n * ETH.step_lots)))
def test_a_split_loses_nothing_and_no_piece_is_too_large(
    size: Decimal, largest: Decimal | None
) -> None:
    pieces = split_lots(size, largest, ETH.step_lots)
    assert sum(pieces, ZERO) == size
    assert all(piece * size > 0 for piece in pieces)
    assert largest is None or all(abs(piece) <= largest for piece in pieces)


@given(st.decimals("100", "90000", places=2), st.booleans(), st.booleans())
def test_a_widened_collar_is_never_nearer_than_a_tight_one(
    mark: Decimal, is_buy: bool, widen: bool
) -> None:
    share = Decimal("0.005")
    price = collar_price(mark, share, is_buy=is_buy, tick_size=ETH.tick_size, widen=widen)
    exact = mark * (1 + share if is_buy else 1 - share)
    assert abs(price - exact) < ETH.tick_size
    assert (price >= exact) if is_buy is widen else (price <= exact)


def test_a_collar_is_at_least_one_tick() -> None:
    price = collar_price(
        Decimal("0.001"), Decimal("0.5"), is_buy=False, tick_size=Decimal("0.01"), widen=True
    )
    assert price == Decimal("0.01")
