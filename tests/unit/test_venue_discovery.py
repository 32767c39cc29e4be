"""Venues are found by directory, and each states what ccxt and the port need."""

from pathlib import Path

import pytest
from pydantic import SecretStr

import account_processors
from account_processors import (
    Address,
    Transport,
    address_of,
    open_market,
    open_venue,
    venue_profiles,
)
from account_processors.transport.ccxt_loading import load
from account_processors.transport.classify import KEY_REMEDIES
from account_processors.transport.limiter import Limiter
from core.errors import ConfigError
from core.settings import AccountConfig
from tests.virtual_time import VirtualClock

PROFILES = venue_profiles()
FOLDER = Path(str(account_processors.__file__)).parent
NOT_VENUES = {"__init__", "base"}


def account_of(
    exchange: str = "bybit", environment: str = "paper", **changes: object
) -> AccountConfig:
    return AccountConfig.model_validate(
        {
            "name": "first",
            "exchange": exchange,
            "api_key": SecretStr("KEY"),
            "api_secret": SecretStr("SECRET"),
            "environment": environment,
            **changes,
        }
    )


def transport() -> Transport:
    clock = VirtualClock()
    return Transport(clock=clock, limiter=Limiter(clock))


def test_every_file_of_the_folder_is_a_venue() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - NOT_VENUES

    assert files == set(PROFILES)


@pytest.mark.parametrize("name", PROFILES)
def test_a_venue_asks_for_the_credentials_that_ccxt_requires(name: str) -> None:
    profile = PROFILES[name]
    required = load(profile.ccxt_id).venue_class().describe()["requiredCredentials"]

    assert {key for key, needed in required.items() if needed} == set(profile.credentials)
    assert set(profile.credentials.values()) <= set(AccountConfig.model_fields)


@pytest.mark.parametrize("name", PROFILES)
def test_a_venue_names_methods_that_ccxt_has_and_budgets_that_exist(name: str) -> None:
    profile = PROFILES[name]
    venue_class = load(profile.ccxt_id).venue_class
    groups = {budget.group for budget in profile.budgets}
    modes = (profile.margin_mode, profile.symbol_margin_mode, profile.position_mode)
    endpoints = [
        *(profile.tickers, profile.markets, profile.equity, profile.positions, profile.cancel),
        *(profile.open_orders, *profile.order_lookup, *profile.recent_orders),
        *(mode.endpoint for mode in modes if mode is not None),
        *([profile.server_time] if profile.server_time else []),
    ]

    assert [e.method for e in endpoints if not hasattr(venue_class, e.method)] == []
    used = {e.group for e in endpoints} | {"ip", "order", "leverage", "margin_mode"}
    assert used <= groups | set(profile.costs)
    assert {name for costs in profile.costs.values() for name in costs} <= groups


@pytest.mark.parametrize("name", PROFILES)
def test_a_venue_describes_the_refusals_that_decide_what_to_do(name: str) -> None:
    known = set(PROFILES[name].codes)

    assert {"margin", "nothing_to_reduce", "duplicate_id", "rate_limit", "key", "ip"} <= known
    assert known & set(KEY_REMEDIES)


def test_an_unknown_venue_is_a_configuration_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="bybit"):
        open_market("nowhere", Address(), transport())


@pytest.mark.parametrize(
    ("environment", "base_url", "address"),
    [
        ("live", None, Address()),
        ("demo", None, Address(is_demo=True)),
        ("paper", None, Address(base_url="http://127.0.0.1:9/bybit")),
        ("live", "http://h:1/x", Address(base_url="http://h:1/x")),
    ],
)
def test_an_account_s_address(environment: str, base_url: str | None, address: Address) -> None:
    account = account_of(environment=environment, base_url=base_url)

    assert address_of(account, "http://127.0.0.1:9/") == address


def test_paper_without_an_exchange_to_trade_on_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="first"):
        address_of(account_of())


@pytest.mark.parametrize("name", ["api_key", "api_secret"])
async def test_b10_a_missing_key_is_named(name: str) -> None:
    account = account_of().model_copy(update={name: SecretStr("")})
    market = open_market("bybit", Address(), transport())
    with pytest.raises(ConfigError, match=name):
        open_venue(account, market)


async def test_a_live_account_goes_to_the_venue_and_a_demo_one_to_its_demo_host() -> None:
    kit = transport()
    hosts = {}
    for address in (Address(), Address(is_demo=True), Address(base_url="http://127.0.0.1:9/bybit")):
        client = open_market("bybit", address, kit).make_client({})
        hosts[address.name] = dict(client.urls["api"])  # type: ignore[attr-defined] # ccxt's
        await client.close()
    await kit.close()

    assert hosts["live"]["private"] == "https://api.{hostname}"
    assert hosts["demo"]["private"] == "https://api-demo.{hostname}"
    assert set(hosts["http://127.0.0.1:9/bybit"].values()) == {"http://127.0.0.1:9/bybit"}


def test_c2_keys_are_in_no_representation() -> None:
    market = open_market("bybit", Address(), transport())
    venue = open_venue(account_of(), market)

    assert "SECRET" not in repr(vars(venue)["_caller"])
    assert "SECRET" not in repr(venue)


@pytest.mark.parametrize("timeout_s", [1.0, 10.0, 30.0])
def test_an_order_may_be_taken_until_window_and_time_out_have_passed(timeout_s: float) -> None:
    clock = VirtualClock()
    kit = Transport(clock=clock, limiter=Limiter(clock), timeout_s=timeout_s)
    venue = open_venue(account_of(), open_market("bybit", Address(), kit))

    assert venue.deadline_ms() == max(20_000, round(5_000 + timeout_s * 1000 + 5_000))
