"""Two sources at work under the real PM2: SN8's miners and alerts, together and apart.

The tests share a house, but none needs another; what is held is asked of the exchange's books.
"""

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from account_processors import venue_profiles
from paper_exchange.wires import find_wires
from signal_processors.bittensor_config import FILE
from tests.process.installation import ROOT
from tests.process.terminal import Terminal
from tests.process.whole_house import House, Row, call, wait_for, whole_house

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
SIGNALS = "bittensor-signals"
SCRIPT = str(ROOT / "signal_processors" / "bittensor_processor.py")
VENUES = tuple(venue_profiles())
NEAR = Decimal("0.03")  # the dead band, and what fees took since
FIRST_WORD_S = 20
# what miners do shows at once: how fast depths may grow is tested elsewhere
AT_ONCE = {
    "publishing": {"slew_per_minute": 10},
    "fetching": {"poll_interval_s": 2, "poll_interval_with_push_s": 2},
}


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Give a house in which SN8 has spoken within 20 s, and whose miners trade only when told."""
    with whole_house(hears_sn8=True) as house:
        (house.home.root / FILE).write_text(json.dumps(AT_ONCE))
        configure(house, {})
        add_a_real_account(house)
        house.up()
        wait_for("its first word", lambda: bool(told(house)), FIRST_WORD_S)
        sn8(house, "settings", change_every_s=0)
        wait_for("it is confirmed", lambda: confirmed_at(house) > 0)
        yield house


def configure(house: House, sources: Row) -> None:
    config = json.loads(house.home.engine_config.read_text())
    config |= {"engine": {"resync_interval_s": 2}, "sources": sources}
    house.home.engine_config.write_text(json.dumps(config))


def add_a_real_account(house: House) -> None:
    """Give it a live account whose venue is our exchange, which a disabled twin lets in."""
    keys = json.loads(house.home.credentials.read_text())
    secrets = {"api_key": "key-of-real", "api_secret": "secret-of-real"}
    twin = {"name": "twin", "exchange": "bybit", **secrets}
    keys["accounts"] += [
        {**twin, "environment": "paper", "enabled": False},
        {**twin, "environment": "live", "name": "real", "base_url": f"{house.paper}/bybit"},
    ]
    house.home.credentials.write_text(json.dumps(keys))


def why(house: House, symbol: str) -> Row:
    done = house.run("why", symbol, "--json")
    assert done.returncode == 0, done.stderr
    document: Row = json.loads(done.stdout)
    return document


def exposure(house: House, symbol: str) -> Decimal:
    return Decimal(why(house, symbol)["exposure"])


def held(house: House, venue: str, symbol: str) -> Decimal:
    """Tell what an account holds, signed, as a multiple of its equity."""
    books = house.books(venue)
    mark = Decimal(str(call(f"{house.paper}/control/prices?exchange={venue}")[symbol]["mark"]))
    base = Decimal(books["sizes"].get(symbol, "0")) * instrument(venue, symbol).contract_size
    share: Decimal = base * mark / Decimal(books["equity_usdt"])
    return share


def instrument(venue: str, symbol: str) -> Any:
    return find_wires()[venue].instruments[symbol]


def is_near(house: House, venue: str, symbol: str, wanted: Decimal) -> bool:
    """Tell whether an account holds what is wanted, but for a step and the dead band."""
    row = instrument(venue, symbol)
    mark = Decimal(str(call(f"{house.paper}/control/prices?exchange={venue}")[symbol]["mark"]))
    step = row.step_lots * row.contract_size * mark / Decimal(house.books(venue)["equity_usdt"])
    return bool(abs(held(house, venue, symbol) - wanted) <= abs(wanted) * NEAR + step)


def wait_until_held(house: House, symbol: str, wanted: Decimal) -> None:
    wait_for(
        f"{symbol} {wanted} x equity on every paper account",
        lambda: all(is_near(house, venue, symbol, wanted) for venue in VENUES),
    )


def sn8(house: House, do: str, **parameters: Any) -> Row:
    answer: Row = call(f"{house.paper}/control/sn8", {"do": do, **parameters})
    return answer


def told(house: House) -> list[Row]:
    """List what SN8 published of BTCUSD, oldest first."""
    rows = house.rows("raw_signals/bittensor/*.jsonl")
    return [row for row in rows if row["source_symbol"] == "BTCUSD"]


def confirmed_at(house: House) -> int:
    """Tell when SN8's source last verified its whole state, in ms; 0 = never."""
    checkpoint = json.loads((house.home.raw_signals / "bittensor" / "latest.json").read_bytes())
    return int(checkpoint["confirmed_at_ms"] or 0)


def accounts(house: House, name: str, symbol: str) -> list[Row]:
    return [row for row in why(house, symbol)["accounts"] if row["account"] == name]


def orders(house: House) -> dict[str, set[str]]:
    """Name every order that the exchange ever took, by account."""
    return {venue: set(house.books(venue)["orders"]) for venue in VENUES}


def test_every_paper_account_holds_what_the_miners_want_by_its_weight(house: House) -> None:
    document = why(house, "BTCUSDT")
    (row,) = document["signals"]

    assert (row["source"], row["source_symbol"], row["is_simulated"]) == (
        *("bittensor", "BTCUSD", True),
    )
    assert (row["weight"], row["leverage"]) == ("0.15", "3")
    wanted = Decimal(row["depth"]) * Decimal("0.15") * 3
    assert Decimal(document["exposure"]) == wanted != 0
    wait_until_held(house, "BTCUSDT", wanted)
    assert sum(Decimal(one["depth"]) for one in row["meta"]["miners"]) == pytest.approx(
        Decimal(row["depth"]), abs=Decimal("0.0001")
    )


def test_a_real_account_never_hears_the_simulation(house: House) -> None:
    wait_for("it is read", lambda: state_of(house, "real") == "ready")

    assert accounts(house, "real", "BTCUSDT") == []


def state_of(house: House, name: str) -> str:
    rows = house.part("trade-engine")["accounts"]
    return str(next(row["state"] for row in rows if row["name"] == name))


def test_killed_it_comes_back_and_its_depths_go_on(house: House) -> None:
    before, bought = told(house), orders(house)
    killed = house.kill(SIGNALS)
    at_ms = confirmed_at(house)
    wait_for("a new one", lambda: house.is_ready(SIGNALS, other_than=killed))
    wait_for("it confirms", lambda: confirmed_at(house) > at_ms)

    assert killed
    assert told(house) == before
    assert orders(house) == bought


def test_the_exchange_killed_with_its_validator_buys_nothing_twice(house: House) -> None:
    bought, count = orders(house), len(told(house))
    killed = house.kill("paper-exchange")
    wait_for("a new one", lambda: house.is_ready("paper-exchange", other_than=killed))
    sn8(house, "settings", change_every_s=0)
    at_ms = confirmed_at(house)
    wait_for("push is back", lambda: house.part(SIGNALS)["push"]["live"])
    wait_for("it confirms", lambda: confirmed_at(house) > at_ms)
    wait_until_held(house, "BTCUSDT", exposure(house, "BTCUSDT"))

    assert killed
    assert [row for row in told(house)[count:] if not Decimal(row["depth"])] == []
    moved = len(told(house)) - count  # by miners that traded meanwhile
    for venue, names in orders(house).items():
        assert bought[venue] <= names
        assert len(names) - len(bought[venue]) <= moved
    assert house.status()["frozen_positions"] == []
    assert [row for name in (SIGNALS, "trade-engine") for row in house.tracebacks(name)] == []


def test_an_alert_is_added_to_it_and_a_real_account_hears_the_alert_alone(house: House) -> None:
    alone = exposure(house, "BTCUSDT")
    assert house.send("BTCUSDT", "long", "50/100") is not None
    both = alone + Decimal("0.5") * Decimal("0.1") * 3
    wait_until_held(house, "BTCUSDT", both)
    wait_for("the real account's pass", lambda: bool(accounts(house, "real", "BTCUSDT")))
    (real,) = accounts(house, "real", "BTCUSDT")

    assert exposure(house, "BTCUSDT") == both
    assert Decimal(why(house, "BTCUSDT")["exposure_without_simulated"]) == both - alone
    mark = Decimal(str(call(f"{house.paper}/control/prices?exchange=bybit")["BTCUSDT"]["mark"]))
    assert Decimal(real["target_lots"]) * mark / 100_000 == pytest.approx(both - alone, rel=NEAR)
    assert (real["held_lots"], real["as_wanted"]) == ("0", False)
    assert "dry_run: " in real["reason"]
    assert "simulated_source: bittensor" in real["reason"]
    assert house.send("BTCUSDT", "flat") is not None
    wait_until_held(house, "BTCUSDT", alone)


def test_ethusdt_follows_alerts_alone_and_ends_flat(house: House) -> None:
    wait_for("miners hold it", lambda: "ETHUSD" in house.part(SIGNALS)["published"])
    for direction, sign in (("long", 1), ("short", -1), ("flat", 0)):
        house.send("ETHUSDT", direction, "20/100")
        wait_until_held(house, "ETHUSDT", sign * Decimal("0.2") * Decimal("0.1") * 3)

    assert [house.books(venue)["sizes"].get("ETHUSDT", "0") for venue in VENUES] == ["0"] * 4


def test_looking_prints_and_stores_nothing(house: House) -> None:
    before = {path: path.read_bytes() for path in house.home.raw_signals.rglob("*.jsonl")}
    printed = {}
    for words in (("--rank", "--json"), ("--once", "--json"), ("--once",)):
        with Terminal([sys.executable, SCRIPT, *words], house.environment, "/") as terminal:
            assert terminal.end() == 0
            printed[words] = terminal.text
    with Terminal([sys.executable, SCRIPT, "--rank"], house.environment, "/", columns=100) as seen:
        assert seen.end() == 0

    ranked = json.loads(printed["--rank", "--json"])["rows"]
    depths = json.loads(printed["--once", "--json"])["depths"]
    assert len(ranked) == 40
    assert {row["pair"] for row in depths} <= {"BTCUSD", "ETHUSD"}
    assert "agreement" in printed["--once",]
    assert [row["hotkey"] for row in ranked if row["hotkey"] not in seen.text] == []
    assert max(map(len, seen.text.splitlines())) <= 100
    after = {path: path.read_bytes() for path in house.home.raw_signals.rglob("*.jsonl")}
    assert after == before


def test_miners_that_turn_round_turn_the_positions_round(house: House) -> None:
    before = exposure(house, "BTCUSDT")
    for miner in call(f"{house.paper}/control/sn8")["miners"]:
        if net := miner["open"].get("BTCUSD"):
            sn8(house, "set_position", index=miner["index"], pair="BTCUSD", net_leverage=-net)
    wait_for("its word", lambda: Decimal(told(house)[-1]["depth"]) == -before / 3 / Decimal("0.15"))

    wait_until_held(house, "BTCUSDT", -before)
    assert "push" in {word["meta"]["via"] for word in told(house)}


def test_a_validator_that_fails_for_long_moves_nothing_and_is_named(house: House) -> None:
    word, bought = told(house)[-1], orders(house)
    sn8(house, "http_status", status=500, path="/miner-positions")
    sn8(house, "silence")
    configure(house, {"bittensor": {"stale_after_s": 1}})
    wait_for("the alert", lambda: "500" in alert(house))
    wait_for("it is stale", lambda: "stale: bittensor" in house.report("BTCUSDT")["reason"])
    shown = house.run("why", "BTCUSDT").stdout

    assert "the last good targets stay" in alert(house)
    assert "STALE" in shown
    assert "500" in shown
    assert told(house)[-1] == word
    assert orders(house) == bought
    sn8(house, "clear")
    configure(house, {})
    wait_for("the alert is over", lambda: alert(house) == "")
    wait_for("it is fresh", lambda: "stale" not in house.report("BTCUSDT")["reason"])
    assert orders(house) == bought


def alert(house: House) -> str:
    """Give what the status says about reading positions; "" = nothing."""
    alerts = {row["key"]: row["text"] for row in house.status()["alerts"]}
    return str(alerts.get(f"config/{SIGNALS}/positions", ""))
