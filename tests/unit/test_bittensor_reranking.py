"""When miners are ranked anew, how far that moves the weights, and what outlives a restart."""

from decimal import Decimal
from typing import Any

import pytest

from core.home import Home
from signal_processors.bittensor_config import parse_processor_config
from tests.unit.sn8_following import AT_ONCE, Desk, following, statistics
from tests.unit.sn8_scene import HOUR_MS, NOW_MS, closed_row, hotkey, miner_row, open_row, registry

MINERS = 30
EVERYBODY = range(MINERS)
REVERSED = {n: 0.02 * (n + 1) for n in EVERYBODY}
MOST = Decimal("0.1")  # that all weights together move at a ranking
STEP = Decimal("0.0001")
Document = dict[str, Any]


def crowd(numbers: Any = EVERYBODY, net: float = 0.5, *, at_ms: int = NOW_MS) -> Document:
    """Give miners that all hold this much, with a little history."""
    return {
        hotkey(n): miner_row(
            [
                open_row(n, net, at_ms=at_ms - 60_000),
                *(closed_row(n, 1.01, number=k) for k in range(3)),
            ]
        )
        for n in numbers
    }


async def settle(desk: Desk) -> None:
    desk.chain.registry, desk.chain.now = registry(EVERYBODY), "fresh"
    desk.study(statistics(MINERS))
    assert await desk.see(crowd())


def weights(desk: Desk) -> dict[str, Decimal]:
    return {} if desk.follower.ranking is None else desk.follower.ranking.weights


def flags(desk: Desk) -> list[str]:
    """Say what the ranking had to do without."""
    assert desk.follower.ranking is not None
    return list(desk.follower.ranking.flags)


def distance(one: dict[str, Decimal], other: dict[str, Decimal]) -> Decimal:
    """Add up by how much all weights differ."""
    keys = {*one, *other}
    gaps = (abs(one.get(key, Decimal(0)) - other.get(key, Decimal(0))) for key in keys)
    return sum(gaps, Decimal(0))


async def wanted(home: Home, figures: Document, config: Document) -> dict[str, Decimal]:
    """Rank from nothing; gives the weights."""
    async with following(home, config) as desk:
        desk.chain.registry, desk.chain.now = registry(EVERYBODY), "fresh"
        desk.study(figures)
        assert await desk.see(crowd())
        return weights(desk)


async def test_nothing_is_ranked_before_a_snapshot(home: Home) -> None:
    async with following(home) as desk:
        desk.study(statistics(MINERS))

        assert not desk.follower.is_ranking_due()
        await desk.follower.rank()
        assert desk.follower.ranking is None


async def test_ranking_is_due_after_an_hour_and_moves_weights_a_little(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        before = weights(desk)
        desk.study(statistics(MINERS, skill=REVERSED))
        desk.clock.pass_s(3599)
        assert not desk.follower.is_ranking_due()
        desk.clock.pass_s(1)
        assert desk.follower.is_ranking_due()
        assert await desk.see(crowd())

        assert MOST - STEP <= distance(before, weights(desk)) <= MOST
        assert not desk.follower.is_ranking_due()


async def test_the_time_between_rankings_is_as_configured(home: Home) -> None:
    config = {**AT_ONCE, "following": {"rank_every_s": 60}}
    async with following(home, config) as desk:
        await settle(desk)
        desk.clock.pass_s(59)
        assert not desk.follower.is_ranking_due()
        desk.clock.pass_s(1)
        assert desk.follower.is_ranking_due()


async def test_a_clock_that_was_set_back_does_not_stop_ranking(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        desk.clock.pass_s(-3600)

        assert desk.follower.is_ranking_due()


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({"following": {"max_weight": 0.04}}, id="following"),
        pytest.param({"risk_adjusted": {"half_life_days": 5}}, id="risk-adjusted"),
        pytest.param({"ranking": "classic"}, id="ranking"),
        pytest.param({"scoring": {"sharpe_exponent": 1}}, id="scoring"),
        pytest.param({"filtering": {"min_trades": 3}}, id="filtering"),
        pytest.param({"asset_filtering": {"min_trades_per_asset": 1}}, id="asset-filtering"),
    ],
)
async def test_edited_ranking_settings_take_their_whole_effect_at_once(
    home: Home, tmp_path: Any, edit: Document
) -> None:
    config = {**AT_ONCE, **edit}
    async with following(home) as desk:
        await settle(desk)
        desk.config = parse_processor_config(config)
        assert desk.follower.is_ranking_due()
        assert await desk.see(crowd())
        after = weights(desk)
        assert not desk.follower.is_ranking_due()

    assert after == await wanted(Home(tmp_path / "other"), statistics(MINERS), config)


@pytest.mark.parametrize(
    "edit",
    [
        {"publishing": {"slew_per_minute": 1}},
        {"guards": {"vanish_after": 5}},
        {"fetching": {"poll_interval_s": 20}},
        {"chain": {"require": "hard"}},
    ],
    ids=lambda edit: next(iter(edit)),
)
async def test_other_settings_rank_nobody_anew(home: Home, edit: Document) -> None:
    async with following(home) as desk:
        await settle(desk)
        desk.config = parse_processor_config({**AT_ONCE, **edit})

        assert not desk.follower.is_ranking_due()


async def test_statistics_that_come_later_rank_anew_with_their_whole_effect(
    home: Home, tmp_path: Any
) -> None:
    async with following(home) as desk:
        desk.chain.registry, desk.chain.now = registry(EVERYBODY), "fresh"
        assert await desk.see(crowd())
        assert flags(desk) == ["no_statistics"]
        assert not desk.follower.is_ranking_due()
        desk.study(statistics(MINERS))
        assert desk.follower.is_ranking_due()
        assert await desk.see(crowd())
        after = weights(desk)
        assert not desk.follower.is_ranking_due()

    assert after == await wanted(Home(tmp_path / "other"), statistics(MINERS), dict(AT_ONCE))


async def test_a_chain_that_comes_later_ranks_anew(home: Home) -> None:
    async with following(home) as desk:
        desk.study(statistics(MINERS))
        assert await desk.see(crowd())
        assert flags(desk) == ["no_chain"]
        assert max(weights(desk).values()) <= Decimal("0.05")
        desk.chain.registry, desk.chain.now = registry(EVERYBODY), "fresh"
        assert desk.follower.is_ranking_due()
        assert await desk.see(crowd())

        assert flags(desk) == []
        assert max(weights(desk).values()) > Decimal("0.05")


async def test_weights_of_who_is_absent_stay_while_something_of_theirs_is_held(
    home: Home,
) -> None:
    async with following(home) as desk:
        await settle(desk)
        weight = weights(desk)[hotkey(0)]
        for _ in range(2):
            desk.clock.pass_s(3600)
            assert await desk.see(crowd(range(1, MINERS), at_ms=desk.clock.now))
            assert weights(desk)[hotkey(0)] == weight


async def test_weights_of_who_is_absent_and_holds_nothing_end(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        seen = []
        for _ in range(5):
            desk.clock.pass_s(3600)
            assert await desk.see(crowd(range(1, MINERS), at_ms=desk.clock.now))
            seen.append(hotkey(0) in weights(desk))

    assert seen == [True, True, False, False, False]


async def test_a_ranking_after_a_forced_snapshot_forgets_who_is_absent(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        for _ in range(5):
            desk.clock.pass_s(60)
            await desk.see(crowd(range(10, MINERS), at_ms=desk.clock.now))
        assert not {hotkey(n) for n in range(10)} & weights(desk).keys()
        desk.clock.pass_s(60)

        assert await desk.see(crowd(range(10, MINERS), at_ms=desk.clock.now))
        assert not desk.follower.is_ranking_due()


# --- over a restart
async def test_after_a_restart_nothing_is_published_before_a_snapshot_is_believed(
    home: Home,
) -> None:
    async with following(home) as desk:
        await settle(desk)
        before = desk.published()
    async with following(home) as desk:
        desk.clock.pass_s(60)
        assert desk.published() == before
        assert not desk.follower.is_in_step
        assert await desk.follower.publish(via="tick", confirmed_at_ms=desk.clock.now) == 0
        assert await desk.see({}) is False

        assert desk.published() == before


async def test_held_positions_and_their_count_outlive_a_restart(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        before = desk.published()["BTCUSD"]
        assert await desk.see(crowd(range(1, MINERS)))
        assert desk.published()["BTCUSD"] == before
    seen = []
    async with following(home) as desk:
        desk.chain.registry, desk.chain.now = registry(EVERYBODY), "fresh"
        desk.study(statistics(MINERS))
        for _ in range(2):
            assert await desk.see(crowd(range(1, MINERS)))
            seen.append(desk.published()["BTCUSD"] == before)

    assert seen == [True, False]


async def test_what_snapshots_are_compared_with_outlives_a_restart(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
    async with following(home) as desk:
        assert await desk.see(crowd(at_ms=NOW_MS - HOUR_MS)) is False
        assert desk.follower.verdict is not None

        assert desk.follower.verdict.reasons[0].startswith("went_back")


async def test_a_restart_ranks_nobody_anew_and_moves_no_weight(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        before = weights(desk)
    async with following(home) as desk:
        desk.chain.registry, desk.chain.now = registry(EVERYBODY), "fresh"
        assert await desk.see(crowd())

        assert weights(desk) == before
        assert desk.follower.ranking is not None
        assert desk.follower.ranking.made_at_ms == NOW_MS


async def test_another_ranking_chosen_while_it_was_down_is_in_force_at_once(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
    config = {**AT_ONCE, "ranking": "classic", "filtering": {"min_trades": 3}}
    async with following(home, config) as desk:
        assert await desk.see(crowd())

        assert desk.follower.ranking is not None
        assert desk.follower.ranking.name == "classic"
