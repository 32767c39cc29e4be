"""A rehearsal has every part of the engine, and none of them writes a file."""

import re
from decimal import Decimal

import orjson
import pytest

from account_processors.transport.limiter import COMMAND_SHARE
from commands.engine_world import RealWorld, World
from commands.plans.rehearsal import Rehearsal
from core.clock import SteadyClock
from core.control import Control
from core.decision import Frozen
from core.events import Events
from core.home import Home
from core.intents import OrdersJournal
from core.ledger import Held
from core.model import Contribution
from core.safety.losses import Baseline
from core.settings import AccountConfig
from tests.engine.harness import paper_account
from tests.engine.plan_scene import tree

CLOCK = SteadyClock()
FROZEN = Frozen(version="v", exposure=Decimal(1), leverage=Decimal(3), lots=Decimal(2))
BASELINE = Baseline(day="2026-01-01", day_start_usdt=Decimal(1), peak_usdt=Decimal(2))
SAID = Contribution(
    source="tradingview",
    source_symbol="BTCUSDT",
    symbol="BTCUSDT",
    depth=Decimal(1),
    leverage=None,
    signal_id="s",
    received_at_ms=1,
)


def live(name: str = "real") -> AccountConfig:
    return paper_account(name=name, environment="live")


async def use(world: World) -> tuple[object, ...]:
    """Have every part remember something; gives what it says afterwards."""
    settings = world.settings().read()
    log = world.log("orders-", CLOCK)
    journal = OrdersJournal(log, CLOCK)
    held = Held(symbol="BTCUSDT", lots=Decimal(3), at_ms=1, is_ours=True)
    await journal.record("one", [held])
    events = Events(world.log("events-", CLOCK), CLOCK)
    targets, baselines = world.targets(), world.baselines()
    targets.put("one", {"BTCUSDT": FROZEN})
    baselines.put("one", BASELINE)
    trips = world.trips(CLOCK, events, Control)
    trips.stop("one", "second_engine", "two of them")
    flattens = world.flattens()
    flattens.put("one", {"an-id"})
    manager = world.signals([], CLOCK, events)
    manager.remember([SAID])
    manager.confirm_execution("one", {"BTCUSDT": "v"}, {"BTCUSDT": Decimal(1)})
    await events.drain()
    await log.close()
    return (
        settings.engine.webhook.port,
        journal.ledger("one", "BTCUSDT").expected_lots,
        targets.get("one", "BTCUSDT"),
        baselines.get("one"),
        trips.has("one", "second_engine"),
    )


async def test_a_rehearsal_remembers_everything_and_writes_no_file(home: Home) -> None:
    home.engine_config.write_bytes(orjson.dumps({"webhook": {"port": 8123}}))
    home.engine_config.chmod(0o644)  # a rehearsal does not even tighten it
    before = tree(home.root)
    said = await use(Rehearsal(home))

    assert said == (8123, Decimal(3), FROZEN, BASELINE, True)
    assert tree(home.root) == before


async def test_the_same_use_of_the_real_world_writes_all_of_these_files(home: Home) -> None:
    home.engine_config.write_bytes(orjson.dumps({"webhook": {"port": 8123}}))
    before = set(tree(home.root))
    await use(RealWorld(home))
    new = set(tree(home.root)) - before
    written = {re.sub(r"(-\d{4}-\d\d-\d\d)?\.jsonl?$", "", name) for name in new}

    assert written == {
        "account_asset_depths",
        "state/baselines",
        "state/contributions",
        "state/events",
        "state/flattened",
        "state/last_good/engine_config",
        "state/orders",
        "state/targets",
        "state/trips",
    }


def test_a_rehearsal_bears_the_engine_s_own_name_and_makes_none(home: Home) -> None:
    first = Rehearsal(home).engine_id()
    assert not (home.state / "engine.json").exists()
    made = RealWorld(home).engine_id()

    assert len(first) == len(made)
    assert Rehearsal(home).engine_id() == made == RealWorld(home).engine_id()


def test_a_rehearsal_takes_no_key_no_errand_a_tenth_of_the_budget_and_needs_no_arming(
    home: Home,
) -> None:
    rehearsal, real = Rehearsal(home), RealWorld(home)

    assert rehearsal.share == COMMAND_SHARE
    assert rehearsal.lease(live()) is None
    assert rehearsal.errands(Control) is None
    assert real.errands(Control) is not None
    assert rehearsal.is_dry_run(Control(), live()) is False
    assert real.is_dry_run(Control(), live()) is True


@pytest.mark.parametrize(("asked", "names"), [(None, ["a", "b"]), ("b", ["b"])], ids=["all", "one"])
def test_only_the_account_asked_for_takes_part(
    asked: str | None, names: list[str], home: Home
) -> None:
    accounts = [live("a"), live("b")]
    chosen = Rehearsal(home, account=asked).chosen(accounts)

    assert [row.name for row in chosen] == names
    assert RealWorld(home).chosen(accounts) == accounts
