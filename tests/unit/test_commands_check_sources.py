"""What `check` says of a source: its last word, holes in mapping and weights; by table."""

from decimal import Decimal

import pytest

from commands.checks.findings import Finding, State
from commands.checks.markets import wanted_markets
from commands.checks.sources import SourceSeen, judge_source
from core.model import Signal
from core.settings import EngineConfig, Settings
from core.settings.signals import parse_mapping, parse_weights

NOW = 1_800_000_000_000


def settings(
    mapping: dict[str, dict[str, str]],
    weights: dict[str, dict[str, str]],
    **sources: dict[str, int],
) -> Settings:
    rows = [
        {
            "symbol": symbol,
            "leverage": 3,
            "sources": [{"source": name, "weight": weight} for name, weight in heard.items()],
        }
        for symbol, heard in weights.items()
    ]
    return Settings(
        accounts=(),
        mapping=parse_mapping(mapping),
        weights=parse_weights(rows),
        engine=EngineConfig.model_validate({"sources": sources}),
    )


def heard(*symbols: str, ago_s: int = 5) -> dict[str, Signal]:
    return {
        symbol: Signal(
            id=symbol, source="tradingview", source_symbol=symbol, symbol="", depth=Decimal("0.1"),
            leverage=None, price=None, fired_at_ms=None, received_at_ms=NOW - 1000 * ago_s,
        )
        for symbol in symbols
    }  # fmt: skip


def source(
    seen: SourceSeen,
    mapping: dict[str, str],
    weights: dict[str, str],
    stale_after_s: int = 0,
) -> dict[str, Finding]:
    made = settings(
        {seen.name: mapping},
        {symbol: {seen.name: weight} for symbol, weight in weights.items()},
        **{seen.name: {"stale_after_s": stale_after_s}},
    )
    return {row.what: row for row in judge_source(seen, made, NOW)}


BTC = {"BTCUSDT": "BTCUSDT"}
WEIGHTS = {"BTCUSDT": "0.1"}


def test_a_source_in_order_tells_its_last_word() -> None:
    seen = SourceSeen(name="tradingview", is_known=True, newest=heard("BTCUSDT", ago_s=192))
    found = source(seen, BTC, WEIGHTS)

    assert {row.state for row in found.values()} == {State.OK}
    assert found["last signal"].detail == (
        "Latest tradingview signal BTCUSDT: 2027-01-15 07:56:48 UTC, 0:03:12 ago"
    )


@pytest.mark.parametrize(
    ("ago_s", "confirmed_s", "weight", "state"),
    [
        pytest.param(601, None, "0.1", State.FAIL, id="stale"),
        pytest.param(601, 30, "0.1", State.OK, id="confirmed"),
        pytest.param(601, None, "0", State.OK, id="weighs-nothing"),
        pytest.param(600, None, "0.1", State.OK, id="just-fresh"),
    ],
)
def test_a_stale_source_fails_where_it_counts(
    ago_s: int, confirmed_s: int | None, weight: str, state: State
) -> None:
    seen = SourceSeen(
        name="bittensor",
        is_known=True,
        is_level=True,
        newest=heard("BTCUSDT", ago_s=ago_s),
        confirmed_at_ms=None if confirmed_s is None else NOW - 1000 * confirmed_s,
    )
    found = source(seen, BTC, {"BTCUSDT": weight}, stale_after_s=600)

    assert found["last signal"].state is state


@pytest.mark.parametrize(
    ("seen", "mapping", "weights", "what", "state"),
    [
        pytest.param(
            SourceSeen(name="tradingview", is_known=True), BTC, WEIGHTS, "last signal", State.WARN,
            id="silent",
        ),
        pytest.param(
            SourceSeen(name="tradingview", is_known=True, newest=None, problem="gone"), BTC,
            WEIGHTS, "last signal", State.FAIL, id="lost",
        ),
        pytest.param(
            SourceSeen(name="tradingview", is_known=True, newest=heard("TAOUSDT")), BTC, WEIGHTS,
            "not mapped", State.WARN, id="heard-unmapped",
        ),
        pytest.param(
            SourceSeen(name="bittensor", is_known=True, is_level=True, newest=heard("EURUSD")),
            BTC, WEIGHTS, "not mapped", State.OK, id="level-unmapped",
        ),
        pytest.param(
            SourceSeen(name="tradingview", is_known=True), {**BTC, "TAOUSDT": "TAOUSDT"}, WEIGHTS,
            "no weights", State.WARN, id="no-weights",
        ),
        pytest.param(
            SourceSeen(name="tradingview", is_known=True), {}, WEIGHTS, "no mapping", State.WARN,
            id="no-mapping",
        ),
        pytest.param(
            SourceSeen(name="tradingveiw", is_known=False), {}, WEIGHTS, "source", State.FAIL,
            id="no-such-source",
        ),
        pytest.param(
            SourceSeen(name="tradingveiw", is_known=False), BTC, {"BTCUSDT": "0"}, "source",
            State.WARN, id="no-such-source-mapped",
        ),
    ],
)  # fmt: skip
def test_a_hole_in_a_source_is_told(
    seen: SourceSeen, mapping: dict[str, str], weights: dict[str, str], what: str, state: State
) -> None:
    found = source(seen, mapping, weights)

    assert found[what].state is state
    if state is State.WARN and what.startswith("no"):
        assert ".json" in found[what].detail


def test_only_what_weighs_and_is_mapped_is_a_wanted_market() -> None:
    made = settings(
        {"tradingview": {"A": "BTCUSDT", "B": "ETHUSDT"}},
        {
            "BTCUSDT": {"tradingview": "0.1", "bittensor": "0.4"},
            "ETHUSDT": {"tradingview": "0"},
            "SOLUSDT": {"tradingview": "0.1"},
        },
    )

    assert [(row.symbol, row.weight) for row in wanted_markets(made)] == [
        ("BTCUSDT", Decimal("0.1"))
    ]
