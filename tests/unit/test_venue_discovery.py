"""Venues are found by directory, and each states what ccxt and the port need."""

import ast
from collections.abc import Iterator
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
from account_processors.transport.profile import Profile
from core.errors import ConfigError
from core.model import OrderStatus
from core.settings import AccountConfig
from tests.virtual_time import VirtualClock

PROFILES = venue_profiles()
# kinds of account that trade by paths of their own are venues too, as far as a profile goes
EVERY = [*PROFILES.values(), *(p.copy_trading for p in PROFILES.values() if p.copy_trading)]
IDS = [*PROFILES, *(f"{name}-copy" for name, p in PROFILES.items() if p.copy_trading)]
FOLDER = Path(str(account_processors.__file__)).parent
NOT_VENUES = {"__init__", "base", "probing"}


def account_of(
    exchange: str = "bybit", environment: str = "paper", **changes: object
) -> AccountConfig:
    return AccountConfig.model_validate(
        {
            "name": "first",
            "exchange": exchange,
            "api_key": SecretStr("KEY"),
            "api_secret": SecretStr("SECRET"),
            "api_passphrase": SecretStr("PASSPHRASE"),
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
def test_a_venue_states_its_fields_and_words_once(name: str) -> None:
    profile = PROFILES[name]
    codes = [code for codes in profile.codes.values() for code in codes.split()]

    assert len(codes) == len(set(codes))  # no code has two meanings
    assert not profile.wrappers & set(codes)
    assert set(profile.order.sides.values()) == {1, -1}
    assert set(profile.order.statuses.values()) >= {OrderStatus.OPEN, OrderStatus.FILLED}
    places = [(one.method, tuple(one.params.items())) for one in profile.order_lookup]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("profile", EVERY, ids=IDS)
def test_a_venue_names_methods_that_ccxt_has_and_budgets_that_exist(profile: Profile) -> None:
    venue_class = load(profile.ccxt_id).venue_class
    groups = {budget.group for budget in profile.budgets}
    modes = (profile.margin_mode, profile.symbol_margin_mode, profile.position_mode)
    optional = (profile.server_time, profile.place, profile.reduce, profile.close_all)
    endpoints = [
        *(profile.tickers, profile.markets, profile.equity, profile.positions, profile.cancel),
        *(profile.open_orders, *profile.order_lookup, *profile.recent_orders),
        *(mode.endpoint for mode in modes if mode is not None),
        *(one for one in (*optional, profile.set_leverage) if one is not None),
    ]

    assert [e.method for e in endpoints if not hasattr(venue_class, e.method)] == []
    used = {e.group for e in endpoints} | {"ip", "order", "leverage", "margin_mode"}
    assert used <= groups | set(profile.costs)
    assert {name for costs in profile.costs.values() for name in costs} <= groups


@pytest.mark.parametrize("profile", EVERY, ids=IDS)
def test_a_venue_asks_for_orders_in_ways_that_tell_them_apart(profile: Profile) -> None:
    first, *others = profile.order_lookup

    assert profile.recent_orders
    assert first.is_filtered is profile.knows_client_ids
    assert profile.cancel_param
    assert others, "an order that was just filled may be in another place"


@pytest.mark.parametrize("name", PROFILES)
def test_a_venue_describes_the_refusals_that_decide_what_to_do(name: str) -> None:
    known = set(PROFILES[name].codes)

    assert {"margin", "nothing_to_reduce", "duplicate_id", "rate_limit", "key", "ip"} <= known
    assert known & set(KEY_REMEDIES)


def test_an_unknown_venue_is_a_configuration_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="bybit"):
        open_market("nowhere", Address(), transport())


@pytest.mark.parametrize("name", PROFILES)
def test_an_account_s_address(name: str) -> None:
    paper_url = "http://127.0.0.1:9"
    live = account_of(name, "live")
    elsewhere = account_of(name, "live", base_url="http://h:1/x")

    assert address_of(live, paper_url) == Address()
    assert address_of(account_of(name), f"{paper_url}/") == Address(base_url=f"{paper_url}/{name}")
    assert address_of(elsewhere, paper_url) == Address(base_url="http://h:1/x")
    demo = account_of(name, "demo")
    if PROFILES[name].demo:
        assert address_of(demo, paper_url) == Address(is_demo=True)
    else:
        with pytest.raises(ConfigError, match=f"{name} has no demo"):
            address_of(demo, paper_url)


def test_paper_without_an_exchange_to_trade_on_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="first"):
        address_of(account_of())


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, p in PROFILES.items() for key in p.credentials.values()]
)
async def test_b10_a_missing_key_is_named(name: str, key: str) -> None:
    account = account_of(name).model_copy(update={key: SecretStr("")})
    market = open_market(name, Address(), transport())
    with pytest.raises(ConfigError, match=key):
        open_venue(account, market)


HOSTS = {  # live, demo
    "bybit": ("https://api.{hostname}", "https://api-demo.{hostname}"),
    "blofin": ("https://openapi.blofin.com", "https://demo-trading-openapi.blofin.com"),
    "kucoin": ("https://api-futures.kucoin.com", ""),
    "mexc": ("https://api.mexc.com", ""),
}


@pytest.mark.parametrize("name", PROFILES)
async def test_a_live_account_goes_to_the_venue_and_a_demo_one_to_its_demo_host(name: str) -> None:
    kit = transport()
    live, demo = HOSTS[name]
    paper = Address(base_url=f"http://127.0.0.1:9/{name}")
    hosts = {}
    for address in (Address(), paper, *([Address(is_demo=True)] if demo else [])):
        client = open_market(name, address, kit).make_client({})
        hosts[address.name] = list(_urls(client.urls["api"]))  # type: ignore[attr-defined] # ccxt's
        await client.close()
    await kit.close()

    assert any(url.startswith(live) for url in hosts["live"])
    assert not demo or all(url.startswith(demo) for url in hosts["demo"] if "api" in url)
    assert not demo or hosts["demo"] != hosts["live"]
    assert all(url.startswith(f"http://127.0.0.1:9/{name}") for url in hosts[paper.name])


@pytest.mark.parametrize("name", PROFILES)
def test_c2_keys_are_in_no_representation(name: str) -> None:
    venue = open_venue(account_of(name), open_market(name, Address(), transport()))
    said = repr(vars(venue)["_caller"]) + repr(venue) + repr(vars(venue)["_limiter"])

    assert "SECRET" not in said
    assert "PASSPHRASE" not in said


def _urls(urls: object) -> Iterator[str]:
    if isinstance(urls, dict):
        for name, part in urls.items():
            yield from () if name == "ws" else _urls(part)
    else:
        yield str(urls)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("timeout_s", [1.0, 10.0, 30.0])
def test_an_order_may_be_taken_until_window_and_time_out_have_passed(
    name: str, timeout_s: float
) -> None:
    clock = VirtualClock()
    kit = Transport(clock=clock, limiter=Limiter(clock), timeout_s=timeout_s)
    venue = open_venue(account_of(name), open_market(name, Address(), kit))
    seconds = PROFILES[name].request_window_s + timeout_s + 5

    assert venue.deadline_ms() == max(20_000, round(seconds * 1000))


def test_what_venues_share_names_none_of_them() -> None:
    shared = [FOLDER / "base.py", FOLDER / "__init__.py", *(FOLDER / "transport").glob("*.py")]
    shared += (FOLDER.parent / "core").rglob("*.py")
    named = [
        f"{path.name}:{node.lineno}"
        for path in shared
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Constant) and node.value in PROFILES)
        or (isinstance(node, ast.Name) and node.id in PROFILES)
    ]

    assert len(shared) > 50
    assert named == []
