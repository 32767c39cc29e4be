"""trade-engine check over HTTP: four accounts at four venues of the paper exchange."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from core.home import Home
from core.store import atomic_write_json
from tests.check_scene import EVERY, CheckScene, account_row, check_scene

DAY_MS = 86_400_000


@pytest.fixture
async def scene(home: Home, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[CheckScene]:
    async with check_scene(home, capsys) as running:
        yield running


async def test_what_is_in_place_is_all_ok_on_every_venue(scene: CheckScene) -> None:
    found = await scene.check()

    assert (found.code, found.failed()) == (0, [])
    assert found.document["ok"] is True
    assert found.document["verdict"].startswith("All ok, ")
    for venue in EVERY:
        assert found.state(venue, "key") == "ok"
        assert found.state(venue, "position mode") == "ok"
        assert found.row(venue, "equity")["detail"].startswith("100000.00 USDT, 100000.00")
        assert found.state(venue, "BTCUSDT") == found.state(venue, "ETHUSDT") == "ok"
    assert "0.001 lots = 60.00 USDT" in found.row("bybit", "BTCUSDT")["detail"]


async def test_the_table_ends_in_one_line_and_sends_nothing(scene: CheckScene) -> None:
    found = await scene.check(as_json=False)

    assert found.code == 0
    assert found.out.rstrip().splitlines()[-1].startswith("All ok, ")
    assert "\nkucoin" in found.out
    assert {request.method for request in scene.server.requests()} == {"GET"}


async def test_a_failed_check_is_named_and_ends_in_exit_code_3(scene: CheckScene) -> None:
    scene.configure(bybit={"api_secret": "NOTTHESECRET"})
    found = await scene.check(as_json=False)

    assert found.code == 3
    assert "1 check failed: bybit key" in found.err
    assert "All ok" not in found.out


async def test_a_bad_key_fails_its_account_alone_and_is_not_shown(scene: CheckScene) -> None:
    wrong: dict[str, object] = {"api_secret": "NOTTHESECRET"}
    scene.configure(bybit=wrong, kucoin=wrong)
    found = await scene.check()

    assert found.code == 3
    assert found.failed() == [("bybit", "key"), ("kucoin", "key")]
    assert "signature" in found.row("bybit", "key")["detail"]
    assert "SECRET" not in found.out.replace("API secret", "")
    assert "KEYOF" not in found.out


async def test_c3_a_key_that_may_withdraw_fails_unless_it_is_allowed(scene: CheckScene) -> None:
    for venue in EVERY:
        scene.server.set_rights(venue, can_withdraw=True)
    refused, allowed = await scene.check(), await scene.check("--allow-withdraw-keys")

    right = "right to withdraw"
    assert (refused.code, refused.failed()) == (3, [("bybit", right), ("kucoin", right)])
    assert [refused.state(v, right) for v in ("blofin", "mexc")] == ["unknown", "unknown"]
    assert (allowed.code, allowed.failed()) == (0, [])
    assert allowed.state("bybit", right) == "warn"


async def test_a_key_that_may_only_read_fails_where_the_venue_tells(scene: CheckScene) -> None:
    for venue in EVERY:
        scene.server.set_rights(venue, is_read_only=True)
    found = await scene.check()

    right = "right to trade"
    assert found.code == 3
    assert found.failed() == [("blofin", right), ("bybit", right), ("kucoin", right)]
    assert found.state("mexc", right) == "unknown"
    assert "test-trade" in found.row("mexc", right)["detail"]


async def test_a_key_that_ends_soon_is_told(scene: CheckScene) -> None:
    now_ms = time.time_ns() // 1_000_000
    scene.server.set_rights("bybit", expires_at_ms=now_ms + 3 * DAY_MS)
    scene.server.set_rights("blofin", expires_at_ms=now_ms + 90 * DAY_MS, ips=("10.0.0.1",))
    found = await scene.check()

    assert found.code == 0
    assert found.state("bybit", "key's end") == "warn"
    assert "in 3 days" in found.row("bybit", "key's end")["detail"]
    assert found.state("blofin", "key's end") == "ok"
    assert "10.0.0.1" in found.row("blofin", "addresses")["detail"]


async def test_a15_hedge_mode_is_detected_and_told_as_supported(scene: CheckScene) -> None:
    for venue in EVERY:
        scene.hedge(venue)
    found = await scene.check()

    assert found.code == 0
    for venue in EVERY:
        assert found.row(venue, "position mode")["detail"].startswith("hedge: supported")


@pytest.mark.parametrize(
    ("ahead_ms", "state", "code"),
    [pytest.param(3_000, "warn", 0, id="3s"), pytest.param(-8_000, "FAIL", 3, id="minus-8s")],
)
async def test_b18_a_skewed_clock_warns_and_fails_beyond_five_seconds(
    scene: CheckScene, ahead_ms: int, state: str, code: int
) -> None:
    scene.clock.wrong_by_ms = ahead_ms
    found = await scene.check()

    assert found.code == code
    assert [found.state(venue, "clock") for venue in EVERY] == [state] * 4
    assert [found.state(venue, "key") for venue in EVERY] == ["ok"] * 4


async def test_a_market_that_nobody_lists_fails_and_one_listed_elsewhere_warns(
    scene: CheckScene,
) -> None:
    tables = scene.server.exchange.instruments
    listed = {venue: {str(symbol) for symbol in tables[venue]} for venue in EVERY}
    everywhere = set.intersection(*listed.values())
    partly = sorted(set.union(*listed.values()) - everywhere)
    scene.weigh("BTCUSDT", "NOSUCHUSDT", *partly[:1])
    found = await scene.check()

    assert found.code == 3
    assert found.failed() == [(venue, "NOSUCHUSDT") for venue in EVERY]
    for symbol in partly[:1]:
        missing = [venue for venue in EVERY if symbol not in listed[venue]]
        assert [found.state(venue, symbol) for venue in missing] == ["warn"] * len(missing)


async def test_too_much_leverage_and_too_little_money_are_told(scene: CheckScene) -> None:
    scene.server.exchange.deposit(scene.server.account("bybit"), Decimal(-99_900))
    scene.weigh("BTCUSDT", leverage=1, weight="0.1")
    found = await scene.check("--account", "bybit")

    assert found.code == 0
    assert found.state("bybit", "BTCUSDT") == "warn"
    assert (
        "10.00 USDT: it will always be below the minimum"
        in (found.row("bybit", "BTCUSDT")["detail"])
    )


async def test_a_venue_that_hangs_fails_alone_and_delays_nobody(
    scene: CheckScene, home: Home
) -> None:
    atomic_write_json(home.root / "engine_config.json", {"engine": {"request_timeout_s": 1}})
    scene.server.add_fault("hang_after", account="kucoin")
    scene.server.add_fault("hang_after", endpoint="/api/v1/timestamp")
    began_s = time.monotonic()
    found = await scene.check()
    took_s = time.monotonic() - began_s

    assert (found.code, found.failed()) == (3, [("kucoin", "key"), ("kucoin", "markets")])
    assert "trying again" in found.row("kucoin", "key")["detail"]
    assert [found.state(v, "BTCUSDT") for v in EVERY if v != "kucoin"] == ["ok"] * 3
    assert took_s < 5


async def test_rights_that_cannot_be_read_are_a_warning_and_no_right(scene: CheckScene) -> None:
    scene.server.add_fault("http", status=502, endpoint="/v5/user/query-api")
    found = await scene.check("--account", "bybit")

    assert found.code == 0
    assert found.state("bybit", "rights") == "warn"
    whats = {row["what"] for row in found.document["findings"]}
    assert not whats & {"right to trade", "right to withdraw"}


async def test_a_disabled_account_is_named_and_not_asked(scene: CheckScene) -> None:
    scene.configure(("bybit", "mexc"), mexc={"enabled": False})
    found = await scene.check()

    assert found.code == 0
    assert found.row("mexc", "account")["detail"] == "disabled: not looked at"
    assert {request.account for request in scene.server.requests()} <= {"bybit", "", "*"}


async def test_an_account_that_cannot_be_opened_fails_beside_the_others(
    scene: CheckScene,
) -> None:
    scene.configure(("bybit",))
    rows = [account_row("bybit"), {**account_row("mexc"), "exchange": "nowhere"}]
    atomic_write_json(scene.home.credentials, {"accounts": rows})
    found = await scene.check()

    assert (found.code, found.failed()) == (3, [("mexc", "account")])
    assert "nowhere" in found.row("mexc", "account")["detail"]
    assert found.state("bybit", "key") == "ok"


async def test_one_account_is_checked_alone(scene: CheckScene) -> None:
    found = await scene.check("--account", "mexc")

    assert {row["where"] for row in found.document["findings"]} == {"mexc"}
    assert (await scene.check("--account", "nobody")).code == 2


async def test_a_live_account_says_whether_it_is_armed(scene: CheckScene) -> None:
    base_url = f"{scene.server.url}/bybit"
    scene.configure(("bybit",), bybit={"environment": "live", "base_url": base_url})
    found = await scene.check("--account", "bybit")

    assert (
        "dry-run: nothing is sent until ./trade-engine arm bybit"
        in (found.row("bybit", "trading")["detail"])
    )
    assert found.state("bybit", "addresses") == "warn"
