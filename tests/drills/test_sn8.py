"""SN8 as a source of signals, at its worst: A23, A24, B6, B12. None of them reaches a venue.

Everything is real from the payload's bytes to the journal; only time and the chain are set.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import pytest

from core.cycle import weighing_for
from core.events import Events
from core.home import Home
from core.model import Target
from core.settings import SourceWeight, SymbolWeights
from core.signal_manager import SignalManager
from core.source_reader import SourceReader
from core.targets import compute_targets
from paper_exchange.server import PaperServer
from paper_exchange.sn8.options import Sn8Options
from signal_processors.bittensor_client import ValidatorClient
from signal_processors.bittensor_memory import NAME
from tests.engine.harness import MemoryLog, paper_account, settings_for
from tests.sn8_servers import access
from tests.unit.sn8_following import TARGETS, Desk, following, statistics
from tests.unit.sn8_scene import closed_row, hotkey, miner_row, open_row, payload, registry

GENUINE = (
    Path(__file__).resolve().parents[3] / "shared/data/sn8/miner_positions_1miner_auto_sync_ck.json"
)
WITHOUT_CHAIN = Decimal("0.05")  # who owns a key is then unknown
SLEW = Decimal("0.25")  # a minute
FOLLOWED = 20
MEMORY = (
    b'{"v":1,"validator":"a validator","ranking":null,"held":[],"watermark_ms":%b,"results":%b}'
)
OLD = range(100)


def changed_networks() -> Iterator[Any]:
    """Give what became of a network, known to the chain or not."""
    for name, numbers in (
        # 30 of 100 left and as many came, three of the followed among them
        ("outage", [*range(3, 73), *range(200, 230)]),
        ("shrunk-to-40", range(40)),
        ("shrunk-without-8-followed", [*range(12), *range(20, 48)]),
        ("shrunk-without-the-followed", range(60, 100)),
        ("swapped", range(200, 300)),
    ):
        yield pytest.param(numbers, True, id=f"{name}-chain")
        yield pytest.param(numbers, False, id=f"{name}-no-chain")


def crowd(desk: Desk, numbers: Iterable[int], net: float) -> dict[str, Any]:
    """Give miners that all hold this much of BTC since a moment ago."""
    at_ms = desk.clock.now - 1000
    return {hotkey(n): miner_row([open_row(n, net, at_ms=at_ms), *history(n)]) for n in numbers}


def history(number: int) -> list[dict[str, Any]]:
    return [closed_row(number, 1.01, number=n) for n in range(2)]


def study(desk: Desk, numbers: Iterable[int]) -> None:
    """Have the validator judge these miners, the first the best."""
    keys = [hotkey(number) for number in numbers]
    document = statistics(len(keys))
    for row, key in zip(document["data"], keys, strict=True):
        row["hotkey"] = key
    desk.study(document)


# --- A23: the guard that lets the first payload through and then locks
async def test_a23_a_first_payload_of_one_miner_gets_no_more_than_its_cap(home: Home) -> None:
    """The first run accepts any payload: one miner gets 100 %.

    Must happen: one miner counts its cap, half of it while owners are unknown, and no more.
    """
    async with following(home, {}) as desk:
        study(desk, [0])
        for _ in range(10):
            assert await desk.see(crowd(desk, [0], 0.5))
            desk.clock.pass_s(60)

        assert desk.published() == {"BTCUSD": WITHOUT_CHAIN}


async def test_a23_a_first_payload_of_one_readable_miner_among_many_is_not_believed(
    home: Home,
) -> None:
    async with following(home, {}) as desk:
        document = crowd(desk, range(100), 0.5)
        for number in range(1, 100):
            document[hotkey(number)] = {"positions": None}

        for _ in range(10):
            assert not await desk.see(document)
        assert desk.published() == {}


async def test_a23_a_first_payload_moves_no_depth_faster_than_allowed(home: Home) -> None:
    """Must happen: everybody on one side is a depth of 1, reached in minutes and not at once."""
    async with following(home, {}) as desk:
        study(desk, OLD)
        reached = []
        for _ in range(5):
            assert await desk.see(crowd(desk, OLD, 0.5))
            reached.append(desk.published()["BTCUSD"])
            desk.clock.pass_s(60)

    assert reached == [SLEW, 2 * SLEW, 3 * SLEW, 1, 1]


@pytest.mark.parametrize(("numbers", "is_chain_known"), list(changed_networks()))
async def test_a23_a_changed_network_is_followed_again(
    home: Home, numbers: Iterable[int], is_chain_known: bool
) -> None:
    """After an outage with more than ten changes the guard rejects for ever.

    Must happen: whatever the network has become, it is believed in the end and followed by what it
    holds; on the way no depth grows on the word of who is gone.
    """
    async with following(home, {}) as desk:
        await settle(desk, OLD, is_chain_known=is_chain_known)
        before = desk.published()["BTCUSD"]
        desk.clock.pass_s(5 * 3600)  # nothing is heard of the validator
        study(desk, numbers)
        if is_chain_known:
            desk.chain.registry = registry(numbers)
        fall = await see_for_a_day(desk, numbers, -0.5)
        rise = await see_for_a_day(desk, numbers, 0.25)

    assert before > Decimal("0.99")
    assert fall == sorted(fall, reverse=True)
    assert fall[-1] <= Decimal("-0.75")
    assert rise == sorted(rise)
    assert rise[-1] >= Decimal("0.375")


async def settle(desk: Desk, numbers: Iterable[int], *, is_chain_known: bool) -> None:
    """Follow a network to the full."""
    if is_chain_known:
        desk.chain.registry, desk.chain.now = registry(numbers), "fresh"
    study(desk, numbers)
    for _ in range(5):
        assert await desk.see(crowd(desk, numbers, 0.5))
        desk.clock.pass_s(60)


async def see_for_a_day(desk: Desk, numbers: Iterable[int], net: float) -> list[Decimal]:
    """Look every minute for a while, then every hour; gives what was published each time.

    The last snapshots must be believed without a word.
    """
    reached = []
    for looks in range(36):
        is_believed = await desk.see(crowd(desk, numbers, net))
        assert is_believed or looks < 12
        reached.append(desk.published()["BTCUSD"])
        desk.clock.pass_s(60 if looks < 12 else 3600)
    return reached


# --- A24: exposure that nobody holds
def test_a24_the_genuine_payload_shows_ghosts_where_orders_are_summed() -> None:
    """Orders of closed positions summed: ghost exposure."""
    positions = genuine()[1]
    summed = sum((order for row in positions for order in orders(row)), Decimal(0))
    ghosts = [row for row in positions if row["is_closed_position"] and sum(orders(row)) != 0]

    assert ghosts
    assert abs(summed - net(positions)) > Decimal("0.05")


async def test_a24_the_genuine_miner_counts_with_what_it_holds_open(home: Home) -> None:
    """Must happen: only open positions count, by their `net_leverage`."""
    content, positions = genuine()
    newest_ms = max(order["processed_ms"] for row in positions for order in row["orders"])
    expected = WITHOUT_CHAIN * net(positions) / Decimal("0.5")
    async with following(home) as desk:
        desk.clock.now = newest_ms + 60_000
        assert await desk.see_bytes(content)

        assert desk.published() == {"BTCUSD": expected.quantize(Decimal("0.0001"), ROUND_DOWN)}


async def test_a24_a_position_closed_without_a_flat_order_counts_nothing(home: Home) -> None:
    """Closed by an order through zero: its orders leave a remainder that nobody holds."""
    ghost = closed_row(0, 1.01) | {
        "orders": [
            {"order_type": "LONG", "leverage": 0.3, "processed_ms": 1_699_990_000_000},
            {"order_type": "SHORT", "leverage": -0.5, "processed_ms": 1_699_991_000_000},
        ]
    }
    rows = [ghost, open_row(0, 0.5), *(closed_row(0, 1.01, number=n) for n in range(1, 4))]
    async with following(home) as desk:
        desk.study(statistics(1))
        assert await desk.see(payload(rows))

        assert desk.published() == {"BTCUSD": WITHOUT_CHAIN}


def genuine() -> tuple[bytes, list[dict[str, Any]]]:
    """Read the payload as plain JSON: its bytes, its miner's positions."""
    if not GENUINE.exists():
        pytest.skip(f"{GENUINE.name} is not here: shared/data/sn8")
    content = GENUINE.read_bytes()
    (miner,) = json.loads(content, parse_float=Decimal).values()
    return content, miner["positions"]


def orders(row: Mapping[str, Any]) -> list[Decimal]:
    return [Decimal(order["leverage"]) for order in row["orders"]]


def net(positions: Iterable[Mapping[str, Any]]) -> Decimal:
    """Add up what is held open."""
    held = (Decimal(p["net_leverage"]) for p in positions if not p["is_closed_position"])
    return sum(held, Decimal(0))


# --- B6: one bad miner
Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(
            lambda miner: miner["positions"].append(open_row(3, 0.4, uuid="another")),
            "two_open",
            id="two-open-positions",
        ),
        pytest.param(
            lambda m: m["positions"][-1].update(return_at_close=None), "no_result", id="null-return"
        ),
        pytest.param(lambda miner: miner.update(positions=None), "unreadable", id="null-positions"),
    ],
)
async def test_b6_one_bad_miner_is_dropped_and_the_others_are_followed(
    home: Home, damage: Damage, reason: str
) -> None:
    """A miner with two open positions, or a null return: the ranking crashes for ever.

    Must happen: that miner alone is dropped and told; what it held is held, the others are
    followed; also after a restart.
    """
    for _ in range(2):
        async with following(home) as desk:
            study(desk, range(FOLLOWED))
            if not desk.published():
                assert await desk.see(crowd(desk, range(FOLLOWED), 0.5))
            document = crowd(desk, range(FOLLOWED), -0.5)
            damage(document[hotkey(3)])
            for _ in range(3):
                assert await desk.see(document)
                desk.clock.pass_s(15)

            dropped = desk.follower.status()["snapshot"]["dropped"]
            assert list(dropped) == [hotkey(3)]
            assert dropped[hotkey(3)].startswith(reason)
            assert desk.published() == {"BTCUSD": -(FOLLOWED - 2) * WITHOUT_CHAIN}


@pytest.mark.parametrize(
    "torn",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"v":1,"val', id="torn"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"v":1}', id="nothing-in-it"),
        pytest.param(MEMORY % (b'"x"', b"{}"), id="text-for-number"),
        pytest.param(MEMORY % (b"0", b"[]"), id="list-for-object"),
        pytest.param(MEMORY % (b"1e999", b"{}"), id="endless-number"),
    ],
)
async def test_b6_an_empty_memory_file_stops_nothing(home: Home, torn: bytes) -> None:
    """An empty guard file: the ranking crashes for ever.

    Must happen: following begins anew, from the depths that were published.
    """
    async with following(home) as desk:
        study(desk, range(FOLLOWED))
        assert await desk.see(crowd(desk, range(FOLLOWED), 0.5))
    (home.state / NAME).write_bytes(torn)
    async with following(home) as desk:
        desk.clock.pass_s(60)
        study(desk, range(FOLLOWED))
        for _ in range(3):  # nothing is remembered: one snapshot alone ends nothing
            assert desk.published() == {"BTCUSD": 1}
            assert await desk.see(crowd(desk, range(FOLLOWED), -0.25))

        assert desk.published() == {"BTCUSD": Decimal("-0.5")}
    assert json.loads((home.state / NAME).read_bytes())["v"] == 1


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        pytest.param("trade_pair", ["BTCUSD"], "open", id="two-open-positions"),
        pytest.param("return_at_close", None, "closed", id="null-return"),
    ],
)
async def test_b6_a_validator_with_one_bad_miner_is_followed(
    home: Home, field: str, value: object, where: str
) -> None:
    """The same over HTTP, from a validator that shows one miner damaged."""
    desk = Desk(home)
    options = Sn8Options(seed=1, miners=40, change_every_s=0)
    async with PaperServer(clock=desk.clock, sn8=options) as server:
        desk.open()
        client = ValidatorClient(access(f"{server.url}/sn8"), clock=desk.clock)
        try:
            desk.study(json.loads((await client.fetch("statistics")).body))
            for index in range(options.miners):
                server.sn8.set_position("BTCUSD", 0.25, index=index)
            server.sn8.rebuild()
            assert await desk.see_bytes((await client.fetch("positions")).body)
            bad = next(iter(desk.follower.ranking.weights)) if desk.follower.ranking else ""
            for pair in ("BTCUSD", "ETHUSD"):
                server.sn8.set_position(pair, 0.5, hotkey=bad)
            server.sn8.misbehave("poisoned", hotkey=bad, field=field, value=value, where=where)
            desk.clock.pass_s(60)

            assert await desk.see_bytes((await client.fetch("positions")).body)
            assert list(desk.follower.status()["snapshot"]["dropped"]) == [bad]
            assert desk.follower.status()["snapshot"]["miners"] == 39
        finally:
            await client.close()
            await desk.close()


# --- B12: two names of one thing
@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        pytest.param(0.5, "1", id="same-side"),
        pytest.param(-0.5, "0", id="other-side"),
        pytest.param(-0.25, "0.25", id="partly-against"),
    ],
)
async def test_b12_two_pairs_of_sn8_mapped_to_one_symbol_add_up(
    home: Home, alias: float, expected: str
) -> None:
    """Two source symbols mapped to one target overwrite each other.

    Must happen: they add up, in whatever order they come; half of the miners hold BTCUSD, half
    BTCUSDC.
    """
    half = FOLLOWED // 2
    async with following(home) as desk:
        study(desk, range(FOLLOWED))
        rows = [[open_row(n, 0.5)] for n in range(half)]
        rows += [[open_row(n, alias, pair="BTCUSDC")] for n in range(half, FOLLOWED)]
        assert await desk.see(payload(*rows))
        assert set(desk.published()) == {"BTCUSD", "BTCUSDC"}
        target = heard(desk)

    assert target.exposure == Decimal(expected) * 3


@pytest.mark.parametrize(
    ("one", "other", "shares"),
    [
        pytest.param(0.5, 0.5, 1, id="same-side"),
        pytest.param(1.5, -0.5, 0, id="beyond-the-limit-and-against"),
    ],
)
async def test_b12_one_miner_with_both_names_counts_once(
    home: Home, one: float, other: float, shares: int
) -> None:
    """Must happen: what it holds under both names adds up within one miner's limit."""
    async with following(home) as desk:
        study(desk, range(4))
        both = [[open_row(n, one), open_row(n, other, pair="BTCUSDC")] for n in range(4)]
        assert await desk.see(payload(*both))
        target = heard(desk)

    assert target.exposure == 4 * WITHOUT_CHAIN * 3 * shares


def heard(desk: Desk) -> Target:
    """Tell what the engine makes of the journal."""
    account = paper_account()
    weights = SymbolWeights(
        symbol="BTCUSDT",
        leverage=Decimal(3),
        sources=(SourceWeight(source="bittensor", weight=Decimal(1)),),
    )
    settings = settings_for(("BTCUSDT",), account=account)
    settings = replace(settings, mapping={"bittensor": TARGETS}, weights=(weights,))
    source = SourceReader(desk.home, "bittensor", is_level=True)
    manager = SignalManager(desk.home, [source], desk.clock, Events(MemoryLog(), desk.clock))
    said = manager.collect(settings)
    targets = compute_targets(said, weighing_for(settings, account), now_ms=desk.clock.now)
    return targets["BTCUSDT"]
